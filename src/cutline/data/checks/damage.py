"""What happened to a caption on its way through other programs, and how it is undone."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from html.entities import html5
from typing import Final
from urllib.parse import unquote

from cutline.text.markers import first_marker, without_markers

_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_TAG: Final = re.compile(
    r"</?(?:a|b|br|p|i|u|em|strong|span|div|img|h[1-6]|li|ul|ol|font|su[bp]|t[dr]|table)\b[^<>]*>",
    re.IGNORECASE,
)
_ESCAPES: Final = re.compile(
    r"(?:\\u[0-9a-fA-F]{4})+|\\x[0-9a-fA-F]{2}|\\[nrt\"']|(?:%(?:2[0-9A-Fa-f]|[C-F][0-9A-Fa-f]%[89AB][0-9A-Fa-f]))+"
)
_LINK: Final = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]+@[\w-]+\.\w[\w.]*|(?<!\w)[@#][^\W\d]\w+", re.IGNORECASE
)
_LOST: Final = re.compile("\ufffd|锟斤拷|\x1a|(?<=[^\\W\\d_])\\?(?=[^\\W\\d_])")
# UTF-8 read as Windows-1252 begins with a letter such as Ã and goes on with one to three odd ones.
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]+")
_OFTEN_TWICE: Final = 3
_HARMLESS: Final = re.compile(r"[A-Za-z0-9 ,.'!;:()\-]*")
_ZERO_WIDTH: Final = frozenset(
    "\u200b\u2060\ufeff\u00ad\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def damage_in(caption: str) -> dict[str, str]:
    """Return the kinds of damage in a caption, each with the first piece that shows it.

    Example:
        >>> damage_in("a caf\\u00c3\\u00a9 &amp; a dog<end>")
        {'wrongly decoded text': 'Ã©', 'HTML in a caption': '&amp;', 'marker in a caption': '<end>'}
        >>> damage_in("Two dogs, running.")
        {}
    """
    if _HARMLESS.fullmatch(caption) and "www." not in caption.lower() and not first_marker(caption):
        return {}
    pieces = {name: look(caption) for name, look in _LOOKS.items()}
    return {name: piece for name, piece in pieces.items() if piece}


def mended(caption: str) -> str:
    """Undo the damage that can be undone without guessing; other captions come back as they are.

    What was lost stays lost. White space becomes single spaces where anything was changed.

    Example:
        >>> mended("startseq a caf\\u00c3\\u00a9 &amp; a\\\\nred   dog endseq")
        'a café & a red dog'
        >>> mended("two  spaces")
        'two  spaces'
    """
    if _HARMLESS.fullmatch(caption) and not damage_in(caption):
        return caption
    text = caption
    for mend in _MENDS:
        text = mend(text)
    if text == caption:
        return caption
    return unicodedata.normalize("NFC", re.sub(r"\s+([,.;:!?])", r"\1", " ".join(text.split())))


def redecode(text: str) -> str:
    """Turn UTF-8 that was read as Windows-1252 or Latin-1 into what it was; other text stays.

    Example:
        >>> redecode("a jalape\\u00c3\\u00b1o and a na\\u00efve caf\\u00e9")
        'a jalapeño and a naïve café'
    """
    for _ in range(_OFTEN_TWICE):
        again = _FOREIGN.sub(lambda run: _as_utf8(run[0]), text)
        if again == text:
            break
        text = again
    return text


def _as_utf8(run: str) -> str:
    try:
        return str(b"".join(map(_byte, run)), "utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return run


def _byte(character: str) -> bytes:
    # Five bytes that Windows-1252 leaves open are read as controls by most programs.
    return character.encode("latin-1" if ord(character) < 256 else "cp1252")


def _wrongly_decoded(caption: str) -> str:
    if redecode(caption) == caption:
        return ""
    return next((match[0] for match in _FOREIGN.finditer(caption) if _as_utf8(match[0]) != match[0]), "")


def _html(caption: str) -> str:
    found = (match[0] for match in _ENTITY.finditer(caption) if _decoded(match) != match[0])
    tag = _TAG.search(caption)
    return next(found, tag[0] if tag else "")


def _decoded(entity: re.Match[str]) -> str:
    # Left to itself, html.unescape takes the beginnings of words for entities: "&notes;" would become "¬es;".
    known = entity[0].startswith("&#") or entity[0][1:] in html5
    return html.unescape(entity[0]) if known else entity[0]


def _first(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def look(caption: str) -> str:
        match = pattern.search(caption)
        return match[0] if match else ""

    return look


def _invisible(caption: str) -> str:
    return next((f"U+{ord(letter):04X}" for letter in caption if _is_invisible(letter)), "")


def _is_invisible(letter: str) -> bool:
    # Line ends and tabs are white space to every reader; joiners shape letters in some scripts.
    if letter in "\n\r\t\x1a" or (letter.isascii() and letter.isprintable()):
        return False
    return letter in _ZERO_WIDTH or unicodedata.category(letter) in ("Cc", "Co", "Cn")


def _unescape(text: str) -> str:
    return _ESCAPES.sub(lambda match: _character(match[0]), text)


def _character(escape: str) -> str:
    if escape.startswith("%"):
        return str(unquote(escape))
    if escape[1] in "nrt":
        return " "
    if escape[1] == "u":
        # Pairs of surrogates make one character, a half of one is lost.
        return str(json.loads(f'"{escape}"')).encode(errors="replace").decode()
    return chr(int(escape[2:], 16)) if escape[1] == "x" else escape[1]


def _without_invisible(text: str) -> str:
    return "".join(
        "" if letter in _ZERO_WIDTH else " " if _is_invisible(letter) else letter for letter in text
    )


_LOOKS: Final[Mapping[str, Callable[[str], str]]] = {
    "wrongly decoded text": _wrongly_decoded,
    "lost character": _first(_LOST),
    "HTML in a caption": _html,
    "marker in a caption": first_marker,
    "escape in a caption": _first(_ESCAPES),
    "invisible character": _invisible,
    "link or address": _first(_LINK),
}
_MENDS: Final[tuple[Callable[[str], str], ...]] = (
    lambda text: _ENTITY.sub(_decoded, text),
    without_markers,
    lambda text: _TAG.sub(" ", text),
    _unescape,
    redecode,
    lambda text: _LINK.sub(" ", text),
    _without_invisible,
)
