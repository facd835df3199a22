"""What one cell or JSON field holds: an image's name, a caption, or a list of captions."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cutline.data.images import IMAGE_SUFFIXES

CAPTION_NAMES: Final = (
    "caption",
    "captions",
    "text",
    "sentence",
    "sentences",
    "description",
    "comment",
    "raw",
    "alt",
    "alt_text",
    "caption_text",
    "image_caption",
    "reference",
    "references",
)
"""Usual names of columns and keys that hold captions."""


def plain_name(name: str) -> str:
    """Return a column's name in lower case, with ``_`` for spaces and hyphens.

    Example:
        >>> plain_name(" Image-Name ")
        'image_name'
    """
    return re.sub(r"[\s-]+", "_", name.strip().strip("\ufeff").lower())


def first_position(plain: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the position of the first wanted name that is there, None when none is."""
    return next((plain.index(name) for name in wanted if name in plain), None)


def is_image_name(cell: Any) -> bool:
    """Tell whether a cell looks like the file name of an image.

    Example:
        >>> is_image_name(" a.JPG"), is_image_name("a dog"), is_image_name({"path": "a.png"})
        (True, False, True)
    """
    return image_name(cell).strip().lower().endswith(IMAGE_SUFFIXES)


def image_name(value: Any) -> str:
    """Return the name in an image cell; of an object, its ``path`` or ``file_name``; empty without one."""
    if isinstance(value, Mapping):
        return image_name(value.get("path") or value.get("file_name"))
    return "" if value is None or isinstance(value, list | bytes) else str(value)


def caption_texts(value: Any) -> Iterator[str]:
    """Yield the captions in a cell or field: a text, a list of them, also as text, or objects that hold one.

    Lists as text are JSON's (``["a dog", "a cat"]``) or Python's (``['a dog', 'a cat']``, as pandas writes).

    Example:
        >>> list(caption_texts('["a dog", "a cat"]')), list(caption_texts([{"raw": "a bus"}]))
        (['a dog', 'a cat'], ['a bus'])
        >>> list(caption_texts("['a dog', \\"a dog's bed\\"]"))
        ['a dog', "a dog's bed"]
    """
    if isinstance(value, str):
        listed = _json_list(value.strip())
        yield from [value] if listed is None else listed
    elif isinstance(value, Mapping):
        name = _caption_key(value)
        if name is not None:
            yield from caption_texts(value[name])
    elif isinstance(value, list | tuple):
        for part in value:
            yield from caption_texts(part)


def wrong_type(value: Any) -> str | None:
    """Describe the first thing in a caption cell that is no text; None when all is well or it is empty.

    Example:
        >>> wrong_type(5), wrong_type(["a dog", True]), wrong_type(["a dog", None]), wrong_type({"id": 3})
        ('int 5', 'bool True', None, "an object with the keys 'id'")
    """
    if value is None or isinstance(value, str):
        return None
    if isinstance(value, list | tuple):
        return next(filter(None, map(wrong_type, value)), None)
    if isinstance(value, Mapping):
        name = _caption_key(value)
        keys = ", ".join(map(repr, value))[:200]
        return f"an object with the keys {keys}" if name is None else wrong_type(value[name])
    return f"{type(value).__name__} {str(value)[:40]}"


def _caption_key(value: Mapping[str, Any]) -> str | None:
    names = list(value)
    position = first_position([plain_name(str(name)) for name in names], ("raw", *CAPTION_NAMES))
    return None if position is None else names[position]


def _json_list(value: str) -> list[str] | None:
    if not (value.startswith(('["', "['")) and value.endswith("]")):
        return None
    try:
        listed = json.loads(value)
    except (ValueError, RecursionError):
        return _python_list(value)
    return listed if all(isinstance(part, str) for part in listed) else None


def _python_list(value: str) -> list[str] | None:
    # Token by token, for NumPy parts texts by spaces alone, and Python would glue those together.
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(value).readline))
        texts = [ast.literal_eval(token.string) for token in tokens if token.type == tokenize.STRING]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    between = "".join(token.string for token in tokens if token.type != tokenize.STRING)
    is_list = re.fullmatch(r"\[[,\s]*\]\s*", between) and all(isinstance(text, str) for text in texts)
    return texts if is_list else None
