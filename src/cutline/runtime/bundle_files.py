"""The files of a bundle, in a folder or in one zip file: each is checked before it is used.

Nothing is unpacked beside a zip file: its files are read into memory, never more of them than the manifest
says there is.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

from cutline.errors import BundleError
from cutline.files import DAMAGE, FileInMemory

MANIFEST: Final = "manifest.json"
CHECKSUM: Final = "manifest.sha256"
"""Holds the SHA-256 of the manifest, as ``sha256sum manifest.json`` prints it."""

ZIP: Final = ".zip"

_DAMAGED_ZIP: Final = (*DAMAGE, struct.error, OverflowError)
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LARGEST_MANIFEST: Final = 64 * 1024**2
# Networks hardly shrink; deflate alone could make a thousand bytes of one.
_MOST_TIMES: Final = 200
_FREE: Final = 1024**2
_ENCRYPTED: Final = 1
# So that equal bundles are equal files: the first moment that a zip file knows.
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3


class BundleFiles(Protocol):
    """The files of one bundle.

    Attributes:
        place: The folder or the zip file.
    """

    place: Path

    def names(self) -> list[str]:
        """Return the names of all files, without those that file managers leave behind."""
        ...

    def named(self, name: str) -> str:
        """Return what messages call a file, whether or not it is there."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content of a file that no manifest tells about; FileNotFoundError when there is none."""
        ...

    def check(self, name: str, facts: Mapping[str, Any], keep: bool) -> None:
        """Compare a file with what the manifest says of it; BundleError where it is missing or differs.

        Args:
            name: Of the file.
            facts: Its ``bytes`` and ``sha256``.
            keep: Whether the file will be asked for by ``files / name``.
        """
        ...

    def __truediv__(self, name: str) -> Path | FileInMemory:
        """Return a file that was checked."""
        ...


class FolderFiles:
    """The files of a bundle that is a folder."""

    def __init__(self, place: Path) -> None:
        """Read nothing yet."""
        self.place = place

    def names(self) -> list[str]:
        """Return the names of all files and folders in it, without those that file managers leave behind."""
        return [path.name for path in sorted(self.place.iterdir()) if not _is_left_behind(path.name)]

    def named(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.place / name)

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self.place / name).read_bytes()

    def check(self, name: str, facts: Mapping[str, Any], keep: bool) -> None:  # noqa: ARG002 (it is kept)
        """Compare a file with the manifest."""
        path = self.place / name
        if not path.is_file():
            raise _missing(self, name)
        if path.stat().st_size != facts.get("bytes") or sha256_of(path) != facts.get("sha256"):
            raise _damaged(self, name)

    def __truediv__(self, name: str) -> Path:
        """Return the path of a file."""
        return self.place / name


class ZipFiles:
    """The files of a bundle that is one zip file; those that were checked are kept in memory.

    Args:
        place: The zip file.
        archive: The same, open.
    """

    def __init__(self, place: Path, archive: zipfile.ZipFile) -> None:
        """Look at the list of files; BundleError where one could be meant to do harm."""
        self.place = place
        self._archive = archive
        self._checked: dict[str, FileInMemory] = {}
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in archive.infolist():
            self._refuse(entry)
            self._entries[entry.filename] = entry

    def names(self) -> list[str]:
        """Return the names of all files, without those that file managers leave behind."""
        return [name for name in sorted(self._entries) if not _is_left_behind(name)]

    def named(self, name: str) -> str:
        """Return the path of the zip file with the file's name behind it."""
        return f"{self.place.as_posix()}/{name}"

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        entry = self._entries.get(name)
        if entry is None:
            raise FileNotFoundError(self.named(name))
        if entry.file_size > _LARGEST_MANIFEST:
            raise _damaged(self, name)
        return self._unpacked(entry)

    def check(self, name: str, facts: Mapping[str, Any], keep: bool) -> None:
        """Compare a file with the manifest, and keep it where it is wanted."""
        entry = self._entries.get(name)
        if entry is None:
            raise _missing(self, name)
        # Before a byte is unpacked: what is larger than the manifest says is not read at all.
        if entry.file_size != facts.get("bytes"):
            raise _damaged(self, name)
        content = self._unpacked(entry)
        if hashlib.sha256(content).hexdigest() != facts.get("sha256"):
            raise _damaged(self, name)
        if keep:
            self._checked[name] = FileInMemory(self.named(name), content)

    def __truediv__(self, name: str) -> FileInMemory:
        """Return a file that was checked and kept."""
        return self._checked[name]

    def _unpacked(self, entry: zipfile.ZipInfo) -> bytes:
        try:
            with self._archive.open(entry) as stream:
                content = stream.read(entry.file_size)
                # Sums are compared when the end is reached, which is not yet known.
                longer = stream.read(1)
        except _DAMAGED_ZIP as error:
            raise BundleError(
                f"{self.named(entry.filename)}: damaged: cannot be unpacked ({error}); copy the bundle again"
            ) from None
        if longer or len(content) != entry.file_size:
            raise _damaged(self, entry.filename)
        return content

    def _refuse(self, entry: zipfile.ZipInfo) -> None:
        """Raise BundleError for what no bundle holds."""
        name = entry.filename
        if leaves(name) or entry.orig_filename != name:
            if re.fullmatch(r"[^/\\]+/([^/\\]+)?", name) and not name.startswith("."):
                raise BundleError(
                    f"{self.place}: its files lie in a folder ({name!r}), those of a bundle at the top; "
                    "write one with: cutline export MODEL --format bundle --out FILE.zip"
                )
            raise BundleError(
                f"{self.place}: refused the file name {entry.orig_filename!r}: it leaves the bundle"
            )
        fault = None
        if name in self._entries:
            fault = "is there twice"
        elif stat.S_ISLNK(entry.external_attr >> 16):
            fault = "is a link"
        elif entry.flag_bits & _ENCRYPTED:
            fault = "is encrypted"
        elif entry.compress_type not in _METHODS:
            fault = f"is packed with method {entry.compress_type}, allowed are stored (0) and deflated (8)"
        elif entry.file_size > _FREE + _MOST_TIMES * entry.compress_size:
            fault = f"would unpack {entry.compress_size:,} bytes to {entry.file_size:,}"
        if fault:
            raise BundleError(f"{self.named(name)}: refused: it {fault}; copy the bundle again")


@contextlib.contextmanager
def zip_files(place: Path) -> Iterator[ZipFiles]:
    """Open a bundle that is one zip file.

    Raises:
        BundleError: It is no zip file, or one that no bundle is.
    """
    with contextlib.ExitStack() as until_done:
        try:
            archive = until_done.enter_context(zipfile.ZipFile(place))
        except _DAMAGED_ZIP as error:
            raise not_a_zip(place, error) from None
        yield ZipFiles(place, archive)


def not_a_zip(place: Path, error: object = "no list of files at its end") -> BundleError:
    """Say that a file is no zip file."""
    return BundleError(f"{place}: not a zip file, or a damaged one ({error}); copy the bundle again")


def is_zip(place: Path) -> bool:
    """Tell whether a bundle is, or will be, one zip file rather than a folder.

    Example:
        >>> is_zip(Path("a-bundle.zip")), is_zip(Path("runs/first/bundle"))
        (True, False)
    """
    return place.is_file() or (place.suffix.lower() == ZIP and not place.is_dir())


def write_zip(folder: Path, stream: IO[bytes]) -> None:
    """Pack the files of a folder; equal files give equal bytes, but for other versions of zlib.

    Args:
        folder: Without folders in it.
        stream: Open for writing, and seekable.
    """
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(path.name, _MOMENT)
            entry.create_system, entry.external_attr = _UNIX, (stat.S_IFREG | 0o644) << 16
            entry.file_size, entry.compress_type = path.stat().st_size, zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)


def leaves(name: str) -> bool:
    """Tell whether a name means anything else than a file directly in the bundle.

    Example:
        >>> [leaves(name) for name in ("card.md", "../card.md", "/card.md", "a/b", r"a\\b", "..", "")]
        [False, True, True, True, True, True, True]
    """
    return Path(name).name != name or name in ("", "..") or "\\" in name or "\0" in name


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksum_of(manifest: bytes) -> str:
    """Return what belongs into ``manifest.sha256``, for a manifest."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n"


def _is_left_behind(name: str) -> bool:
    # File managers leave such files in every folder that is looked at.
    return name.startswith(".") or name == "Thumbs.db"


def _missing(files: BundleFiles, name: str) -> BundleError:
    return BundleError(f"{files.place}: the bundle is incomplete: {name} is missing; copy the bundle again")


def _damaged(files: BundleFiles, name: str) -> BundleError:
    return BundleError(f"{files.named(name)}: damaged: it differs from the manifest; copy the bundle again")
