"""Outputs are written under a temporary name, flushed, and moved into place.

A reader of a file therefore sees the old one or the new one, never half of one, whatever kills the writer.

A folder is replaced in two renames, so that much cannot be promised of it. Each file in it is whole, but for
a moment there is no folder of that name, and a reader that opens one file after the other may get some of
the old folder and some of the new. Who reads a folder that may be replaced meanwhile calls
:func:`recover_folder` first, and makes sure afterwards that it is still the same one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal

DAMAGE: Final = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, SyntaxError),
)
"""What NumPy and zipfile raise on ``.npz`` archives in which bits have changed: found by changing them."""


_BEGINNING: Final = 2_000


@dataclass(frozen=True)
class FileInMemory:
    """Content that is read as a file is read: one of a zip file, say.

    Attributes:
        path: What messages call it.
        content: Its bytes.

    Example:
        >>> str(FileInMemory("model.zip/card.md", b"# A model")), FileInMemory("a", b"text").read_text()
        ('model.zip/card.md', 'text')
    """

    path: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        """Return the path."""
        return self.path

    def open(self, mode: Literal["rb"]) -> IO[bytes]:  # noqa: ARG002 (as of a Path)
        """Return the content as a stream."""
        return io.BytesIO(self.content)

    def read_bytes(self) -> bytes:
        """Return the content."""
        return self.content

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return the content as text; UnicodeDecodeError where it is none."""
        return self.content.decode(encoding)


def flush_to_disk(path: Path) -> None:
    """Force a file's or folder's contents to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of ``path`` when the block ends without an error.

    Args:
        path: The file to create or replace; its folder is made when it is absent.
        mode: ``"w"`` for UTF-8 text with ``\\n`` line ends, ``"wb"`` for bytes.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing(target) as stream:
        ...     _ = stream.write("kept")
        >>> target.read_text()
        'kept'
    """
    temporary = _temporary_beside(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    opened = _opened(temporary, path, mode, text)
    try:
        with opened as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _opened(temporary: Path, path: Path, mode: str, text: Mapping[str, str]) -> IO[Any]:
    """Open the temporary file; an error names the file that was asked for, and says what helps."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return temporary.open(mode, **text)  # type: ignore[call-overload, no-any-return]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"no file can be written there ({reason}); name one in another folder"
        raise OSError(error.errno, message, str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as stream:
        stream.write(text)


def begins_with_mark(path: Path, mark: str) -> bool:
    """Tell whether a file has ``mark`` near its beginning: whether the program that puts it there wrote it.

    Example:
        >>> begins_with_mark(Path("a-file-that-is-not-there"), "mark")
        False
    """
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return mark.encode() in stream.read(_BEGINNING)
    return False


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, readable by people: indented, any script unescaped."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of ``path`` when the block ends without an error.

    A folder cannot be replaced in one step, so the old one is first set aside as ``.NAME.old``;
    :func:`recover_folder` puts it back when a kill fell between the two renames.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(path)
    temporary.mkdir()
    set_aside = path.with_name(f".{path.name}.old")
    try:
        yield temporary
        for child in temporary.rglob("*"):
            flush_to_disk(child)
        _swap_in(temporary, path, set_aside)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        recover_folder(path)
        raise


def _swap_in(temporary: Path, path: Path, set_aside: Path) -> None:
    for attempt in range(3):
        if path.exists():
            shutil.rmtree(set_aside, ignore_errors=True)
            path.rename(set_aside)
        try:
            temporary.rename(path)
            break
        except OSError:
            # A reader that looked between the two renames has put the old folder back.
            if attempt == 2 or not path.exists():
                raise
    shutil.rmtree(set_aside, ignore_errors=True)


def remove_partial(folder: Path) -> None:
    """Remove what writers that were killed left directly in a folder; no writer may be at work in it.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / ".weights.npz.0a1b2c3d.partial").write_bytes(b"half")
        >>> remove_partial(folder)
        >>> list(folder.iterdir())
        []
    """
    for path in folder.glob(".*.partial"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def recover_folder(path: Path) -> None:
    """Put back the folder that an interrupted :func:`replacing_folder` had set aside.

    Nothing happens, and nothing is raised, when there is none or when it cannot be put back.
    """
    if path.exists():
        return
    set_aside = path.with_name(f".{path.name}.old")
    if set_aside.exists():
        # The writer may live and be faster, or the folder may be one that can only be read.
        with contextlib.suppress(OSError):
            set_aside.rename(path)
