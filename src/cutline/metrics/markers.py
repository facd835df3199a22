"""Start, end and padding markers that systems leave in their captions.

Left in on both sides, a marker is one more word that always matches, and every score rises for nothing.
"""

from __future__ import annotations

import re
from typing import Final

_ANGLED: Final = r"</?s>|<(?:start|end|bos|eos|sos|pad)>|<\|(?:start|end)oftext\|>"
_MARKER: Final = rf"(?:{_ANGLED}|\[(?:CLS|SEP|PAD|BOS|EOS)\]|\bstartseq\b|\bendseq\b)"
_LEADING: Final = re.compile(rf"\s*(?:{_MARKER}\s*)+", re.IGNORECASE)
_TRAILING: Final = re.compile(rf"(?:\s*{_MARKER})+\s*\Z", re.IGNORECASE)


def strip_markers(caption: str) -> str:
    """Return a caption without the markers at its beginning and end.

    Known are ``<start>``, ``<end>``, ``<s>``, ``</s>``, ``<bos>``, ``<eos>``, ``<sos>``, ``<pad>``, ``[CLS]``
    and their like, ``startseq`` and ``endseq``, in any case.

    Example:
        >>> strip_markers("<start> a dog runs . <end> <pad> <pad>")
        'a dog runs .'
        >>> strip_markers("the end")
        'the end'
    """
    found = _LEADING.match(caption)
    return _TRAILING.sub("", caption[found.end() :] if found else caption)


def has_marker(caption: str) -> bool:
    """Say whether :func:`strip_markers` would take something away.

    Example:
        >>> has_marker("startseq a dog endseq"), has_marker("a dog")
        (True, False)
    """
    # Looking for what every marker holds is much faster than matching, and nearly all captions have none.
    possible = "<" in caption or "[" in caption or "seq" in caption.lower()
    return possible and strip_markers(caption) != caption
