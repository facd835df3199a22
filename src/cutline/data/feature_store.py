"""Features of images on disk, each image encoded once whatever happens to the process.

A feature store is a folder:

    manifest.json   format version, dtype, shape of a row, and the fingerprint of what made the rows
    features.bin    rows of float16, one after the other
    digests.bin     32 bytes per row: the SHA-256 of the image file the row belongs to
    .lock           held by the one writer through the operating system

Rows are forced to disk before their digests are written. A row without its digest does not count, so a
process killed at any moment leaves a store that holds everything up to its last whole batch.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import FileIO
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from cutline.data.store_folder import START_ANEW, check_manifest, locked, make_if_absent
from cutline.errors import FeatureStoreError

_DIGEST_BYTES: Final = 32
LARGEST_FLOAT16: Final = 65504.0


def as_stored(features: NDArray[Any]) -> NDArray[np.float16]:
    """Round features to what a store gives back: float16 of the same shape, clipped to ±65504.

    Example:
        >>> as_stored(np.array([0.1, 1e9])).tolist()
        [0.0999755859375, 65504.0]
    """
    clipped: NDArray[Any] = np.clip(features, -LARGEST_FLOAT16, LARGEST_FLOAT16)
    return clipped.astype(np.float16)


class FeatureStore:
    """Rows of features, found by the digest of the image they were computed from.

    Rows are read with seek and read into a fresh array rather than through a memory map: pages of a map
    stay resident in the process until the system wants them back, so that memory would appear to grow
    with the data set; here it holds what was asked for, and the system's file cache does the rest.

    One process writes (``mode="a"``), any number read (``mode="r"``), also at the same time. Reading
    from several threads is safe.

    Attributes:
        folder: Where the store lies.
        shape: Shape of one row: (D,) pooled or (R, D) grid.

    Example:
        >>> import hashlib, tempfile
        >>> dog = hashlib.sha256(b"dog").hexdigest()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with FeatureStore.open(folder, {"encoder": "toy"}, (2,)) as store:
        ...         store.append([dog], np.array([[0.5, 1.5]]))
        ...         store.read(store.rows([dog])).tolist(), dog in store, len(store)
        ([[0.5, 1.5]], True, 1)
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], files: contextlib.ExitStack, writes: bool
    ) -> None:
        """Take over the files of a checked folder; call :meth:`open` instead."""
        self.folder = folder
        self.shape = shape
        self._row_bytes = 2 * prod(shape)
        self._files = files
        self._writes = writes
        self._reading = threading.Lock()
        mode = "r+b" if writes else "rb"
        # Not buffered, so that a write is done, or has failed, when the call returns.
        self._features = files.enter_context(FileIO(folder / "features.bin", mode))
        self._digests = files.enter_context(FileIO(folder / "digests.bin", mode))
        self._row_of = self._load_index()
        if writes:
            self._cut_tails()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        fingerprint: Mapping[str, Any],
        shape: Sequence[int],
        mode: Literal["a", "r"] = "a",
        wait: Callable[[], None] | None = None,
    ) -> FeatureStore:
        """Open a store, making it when it is absent and ``mode`` is ``"a"``.

        Args:
            folder: The store's own folder.
            fingerprint: JSON-able description of everything the features depend on except the image
                bytes (encoder, weights, preprocessing); it must equal the one the store was made with.
            shape: Shape of one row.
            mode: ``"a"`` to read and append, ``"r"`` to read what was complete when it was opened.
            wait: What to do, once, before waiting for another writer to finish (tell somebody, say), after
                which the store holds that writer's rows; None to refuse at once.

        Raises:
            FeatureStoreError: Another process writes to it and ``wait`` is None, its fingerprint or shape
                differ, or it is damaged, absent (``"r"``) or not accessible.
        """
        folder, shape = Path(folder), tuple(int(axis) for axis in shape)
        described = {**fingerprint, "shape": list(shape)}
        with contextlib.ExitStack() as files:
            try:
                if mode == "a":
                    folder.mkdir(parents=True, exist_ok=True)
                    files.enter_context(locked(folder, wait))
                    make_if_absent(folder, described)
                check_manifest(folder, described)
                store = cls(folder, shape, files, mode == "a")
                store._files = files.pop_all()
                return store
            except OSError as error:
                raise FeatureStoreError(
                    f"{folder}: cannot open the feature store ({error.strerror}: {error.filename}); "
                    "check the folder's permissions or choose another"
                ) from error

    def __enter__(self) -> FeatureStore:
        """Return the store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Release the files and the lock; closing twice does nothing."""
        self._files.close()

    def __len__(self) -> int:
        """Count rows."""
        return len(self._row_of)

    def __contains__(self, digest: object) -> bool:
        """Tell whether features of the image with this digest (64 hexadecimal digits) are stored."""
        return isinstance(digest, str) and _binary(digest) in self._row_of

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return the digests without a row, in order, each once."""
        return [digest for digest in dict.fromkeys(digests) if digest not in self]

    def rows(self, digests: Iterable[str]) -> NDArray[np.int64]:
        """Return the row number of each digest, int64 (N,).

        Raises:
            FeatureStoreError: A digest has no row.
        """
        wanted = list(digests)
        absent = self.missing(wanted)
        if absent:
            raise FeatureStoreError(
                f"{self.folder}: no features of {len(absent)} images (first digest {absent[0]!r}); "
                "encode them before they are read"
            )
        return np.array([self._row_of[_binary(digest)] for digest in wanted], dtype=np.int64)

    def append(self, digests: Sequence[str], features: NDArray[Any]) -> None:
        """Add rows; when it returns they survive a kill, when it fails the earlier rows stay as they are.

        Values beyond ±65504, the range of float16, are clipped to it: an unusually strong activation
        stays the strongest, while infinity would turn the loss of a whole batch into NaN.

        Args:
            digests: SHA-256 of each image, 64 hexadecimal digits; rows already stored are left alone.
            features: Numbers (N, \\*shape), row i belonging to ``digests[i]``.

        Raises:
            FeatureStoreError: A value is not a number, or the disk is full or fails.
            ValueError: The store was opened for reading, or shapes or digests do not fit.
        """
        if not self._writes:
            raise ValueError(f"{self.folder} was opened for reading")
        if features.shape != (len(digests), *self.shape):
            raise ValueError(f"features of shape {features.shape} for {len(digests)} rows of {self.shape}")
        new = self._new_digests(digests)
        values = features[list(new.values())]
        broken = np.isnan(values).reshape(len(values), prod(self.shape)).any(axis=1)
        if broken.any():
            raise FeatureStoreError(
                f"{self.folder}: the encoder gave NaN for the image with digest "
                f"{list(new)[int(broken.argmax())].hex()}; check the encoder's weights"
            )
        self._write(list(new), as_stored(values))

    def read(self, rows: Iterable[int] | NDArray[np.integer[Any]]) -> NDArray[np.float16]:
        """Return the features in these rows, float16 (N, \\*shape), in the order asked for.

        Each row is read from disk once however often it is asked for, consecutive rows in one go.

        Raises:
            IndexError: A row number is negative or not below ``len(store)``.
            FeatureStoreError: The file became shorter since it was opened.
        """
        asked = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.int64)
        wanted, position = np.unique(asked, return_inverse=True)
        if wanted.size and not 0 <= wanted[0] <= wanted[-1] < len(self):
            raise IndexError(f"rows {wanted[0]}..{wanted[-1]} of a store with {len(self)} rows")
        found = np.empty((len(wanted), *self.shape), dtype=np.float16)
        target = memoryview(found.reshape(-1).view(np.uint8).data)
        breaks = np.flatnonzero(np.diff(wanted) != 1) + 1
        for first, last in zip([0, *breaks], [*breaks, len(wanted)], strict=True):
            if first < last:
                self._read_run(int(wanted[first]), target[first * self._row_bytes : last * self._row_bytes])
        return found if np.array_equal(asked, wanted) else found[position]

    def _new_digests(self, digests: Sequence[str]) -> dict[bytes, int]:
        new: dict[bytes, int] = {}
        for position, digest in enumerate(digests):
            key = _binary(digest)
            if not key:
                raise ValueError(f"{digest!r} is not a SHA-256 in hexadecimal")
            if key not in self._row_of:
                new.setdefault(key, position)
        return new

    def _read_run(self, row: int, target: memoryview) -> None:
        with self._reading:
            self._features.seek(row * self._row_bytes)
            while target:
                count = self._features.readinto(target)
                if not count:
                    raise FeatureStoreError(f"{self.folder}: features.bin became shorter; {START_ANEW}")
                target = target[count:]

    def _write(self, digests: list[bytes], values: NDArray[np.float16]) -> None:
        # What an interrupted call left behind must not end up under the digests of this one.
        self._cut_tails()
        size = values.nbytes + len(digests) * _DIGEST_BYTES
        try:
            with self._reading:
                _write_at(self._features, len(self) * self._row_bytes, values.tobytes())
            os.fsync(self._features.fileno())
            _write_at(self._digests, len(self) * _DIGEST_BYTES, b"".join(digests))
        except OSError as error:
            with contextlib.suppress(OSError):
                self._cut_tails()
            raise FeatureStoreError(
                f"{self.folder}: cannot write features ({error.strerror}); {size:,} bytes are needed for the "
                f"next {len(digests)} images; make room and run again: the first {len(self):,} rows are kept"
            ) from error
        self._row_of.update(zip(digests, range(len(self), len(self) + len(digests)), strict=True))

    def _load_index(self) -> dict[bytes, int]:
        digests = self._digests.readall()
        count = len(digests) // _DIGEST_BYTES
        size = os.fstat(self._features.fileno()).st_size
        if size < count * self._row_bytes:
            raise FeatureStoreError(
                f"{self.folder}: damaged: features.bin has {size:,} bytes, {count:,} rows need "
                f"{count * self._row_bytes:,}; {START_ANEW}"
            )
        index = {digests[_DIGEST_BYTES * row : _DIGEST_BYTES * (row + 1)]: row for row in range(count)}
        if len(index) < count:
            raise FeatureStoreError(f"{self.folder}: damaged: digests.bin repeats a digest; {START_ANEW}")
        return index

    def _cut_tails(self) -> None:
        self._digests.truncate(len(self) * _DIGEST_BYTES)
        self._features.truncate(len(self) * self._row_bytes)


def _binary(digest: str) -> bytes:
    """Return the 32 bytes of a digest, or nothing when it is none."""
    try:
        key = bytes.fromhex(digest)
    except ValueError:
        return b""
    return key if len(key) == _DIGEST_BYTES else b""


def _write_at(stream: FileIO, offset: int, data: bytes) -> None:
    stream.seek(offset)
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(stream.fileno(), remaining) :]
