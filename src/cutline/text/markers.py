"""Start, end and padding markers that programs leave in captions.

Left in on both sides of a score, a marker is one more word that always matches, and every score rises for
nothing; left in the training captions, it is a word that the model learns to write.
"""

from __future__ import annotations

import re
from typing import Final

_OF: Final = r"(?:start|begin|end)_?of_?(?:text|seq|sentence|turn|utterance)"
_ENDS: Final = rf"start|end|startseq|endseq|{_OF}|im_start|im_end|sos|bos|eos|eot|eot_id|pad|cls|sep"
_FOR_A_WORD: Final = "unk|mask"
"""Names of what stands in the place of a word: no part of a sound caption, but no end of one either."""


def _pattern(names: str) -> str:
    angled, square = rf"<\|?/?(?:s|{names})\|?>", rf"\[/?(?:{names})\]"
    return rf"(?:{angled}|{square}|\b(?:startseq|endseq|startofseq|endofseq)\b)"


_END: Final = _pattern(_ENDS)
_LEADING: Final = re.compile(rf"\s*(?:{_END}\s*)+", re.IGNORECASE)
_BEHIND: Final = r"[\s.,;!?…。]*"
_TRAILING: Final = re.compile(rf"{_END}(?:{_BEHIND}{_END})*{_BEHIND}\Z", re.IGNORECASE)
_ANY: Final = re.compile(_pattern(f"{_ENDS}|{_FOR_A_WORD}"), re.IGNORECASE)
# Each of these can be a word of a caption; both, at its two ends, cannot.
_PAIR: Final = re.compile(rf"\s*\b([sb]os)\b\s+(.*?)\s*\beos\b{_BEHIND}", re.IGNORECASE | re.DOTALL)


def strip_markers(caption: str) -> str:
    """Return a caption without the markers at its beginning and end.

    Known are ``<start>``, ``<end>``, ``<s>``, ``</s>``, ``<bos>``, ``<eos>``, ``<sos>``, ``<pad>``,
    ``<|startoftext|>``, ``<|im_end|>``, ``[CLS]``, ``[END]`` and their like, ``startseq`` and ``endseq``, and
    the words ``sos`` (or ``bos``) and ``eos`` where a caption stands between both; in any case.
    Punctuation behind an end marker goes with it. ``<unk>`` stands for a word, and stays.

    Example:
        >>> strip_markers("<start> a dog runs . <end> <pad> <pad>")
        'a dog runs .'
        >>> strip_markers("a dog runs</s>."), strip_markers("sos a dog eos")
        ('a dog runs', 'a dog')
        >>> strip_markers("the end"), strip_markers("sos in the sand")
        ('the end', 'sos in the sand')
    """
    if not _possible(caption):
        return caption
    found = _TRAILING.search(caption)
    text = caption[: found.start()].rstrip() if found else caption
    found = _LEADING.match(text)
    text = text[found.end() :] if found else text
    pair = _PAIR.fullmatch(text)
    return pair[2] if pair else text


def has_marker(caption: str) -> bool:
    """Say whether :func:`strip_markers` would take something away.

    Example:
        >>> has_marker("startseq a dog endseq"), has_marker("a dog")
        (True, False)
    """
    return strip_markers(caption) != caption


def first_marker(caption: str) -> str:
    """Return the first marker anywhere in a caption, one for a word included, or ``""``.

    Example:
        >>> first_marker("a <unk> dog <end>"), first_marker("a dog")
        ('<unk>', '')
    """
    if not _possible(caption):
        return ""
    found = _ANY.search(caption)
    pair = None if found else _PAIR.fullmatch(caption)
    return found[0] if found else pair[1] if pair else ""


def without_markers(caption: str) -> str:
    """Put a space in the place of every marker, wherever it is.

    Example:
        >>> without_markers("a <unk> dog<end>.").split()
        ['a', 'dog', '.']
    """
    if not _possible(caption):
        return caption
    text = _ANY.sub(" ", caption)
    pair = _PAIR.fullmatch(text)
    return pair[2] if pair else text


def _possible(caption: str) -> bool:
    # Looking for what every marker holds is much faster than matching, and nearly all captions have none.
    if "<" in caption or "[" in caption:
        return True
    lower = caption.lower()
    return "seq" in lower or "eos" in lower
