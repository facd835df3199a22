"""Penn Treebank tokens as COCO's evaluation server makes them, in lower case and without punctuation.

The server runs Stanford's PTBTokenizer 3.4.1 (Java) and removes a list of punctuation tokens. The rules here
were found by comparing outputs, so that no Java is needed. They give the same tokens on everyday English
captions and on most oddities; scripts other than Latin are kept, split at blanks and punctuation as there.

The server keeps a caption per line of a file and therefore shifts all later captions by one when a caption
holds U+2028 or another line break besides the plain one; here every line break is a blank.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# What COCO removes, by its shape (see below). Brackets stay, because its list names them in capitals and the
# tokens are in lower case by then.
_PUNCTUATION: Final = frozenset(
    [".", "?", "!", ",", ":", ";", "-", "–", "…", "'", "’", "`", '"', "&quot;", "&apos;", "&nbsp;", "&mdash;"]
)

_REWRITTEN: Final = {
    "(": ("-lrb-",),
    ")": ("-rrb-",),
    "[": ("-lsb-",),
    "]": ("-rsb-",),
    "{": ("-lcb-",),
    "}": ("-rcb-",),
    "€": ("$",),
    "£": ("#",),
    "¢": ("cents",),
    "¼": ("1/4",),
    "½": ("1/2",),
    "¾": ("3/4",),
    "&amp;": ("&",),
    "&lt;": ("<",),
    "&gt;": (">",),
    "cannot": ("can", "not"),
    "gimme": ("gim", "me"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "lemme": ("lem", "me"),
    "wanna": ("wan", "na"),
}

# Endings of don’t, it’s … get the plain apostrophe; elsewhere a curly one stays.
_CURLY: Final = frozenset(["n’t", "’s", "’m", "’d", "’ll", "’re", "’ve"])

# Written with their dot wherever they stand; others ("oz.", "vol.", "max.") lose it.
_ABBREVIATIONS: Final = (
    "adm al apr ariz assn attys aug ave bldg blvd bros calif capt cf cmdr co col colo conn corp cos cpl "
    "ct dec dept dr drs esq est etc ext feb fla fri ft ga gen gov hon inc ind intl jan jr jul jun kan "
    "ky lieut lt ltd maj mar md messrs mfg mich minn mlle mme mo mon mont mr mrs ms mt natl neb nev nov "
    "oct okla penn pfc ph plc pres prof profs pty pvt rd rep reps rev sen sens sep sept sgt sq sr st "
    "ste supt tel tenn thu thurs tue tues univ va vs vt wed wis wyo"
)

# A caption is matched by its shape: letters, marks and digits of every script become "x" or "X", quotes and
# dashes their plain forms, so that the pattern below needs to know ASCII alone.
_SHAPES: Final = {
    "’": "’",
    "‘": "`",
    "‛": "`",
    "‹": "`",
    "›": "`",
    "–": "–",
    "—": "–",
    "…": "…",
    "“": '"',
    "”": '"',
    "«": '"',
    "»": '"',
    "‐": "x",
    "‑": "x",
    "\u200c": "x",
    "\u200d": "x",
}

_PATTERN: Final = re.compile(
    r"""
      &(?:amp|lt|gt|quot|apos|nbsp|mdash); | &\#\d+;
    | </?[A-Za-z!][^<>]*>                                              # tags
    | (?:https?://|www\.)[^\s"<>]*[^\s"<>.,;:!?)\]]                    # addresses
    | [A-Za-z0-9][\w.+-]*@[A-Za-z0-9][\w.-]*\w
    | [\#@][A-Za-z_]\w*
    | [+-]?(?:\d+[.,:]|[.])\d+(?:[.,:]\d+)*(?:-\w+)*                   # 1,000  10:30  .5  3.5-inch
    | [+-]\d+
    | (?:[A-Za-z]\.){2,}(?![A-Za-z0-9])                                # u.s.
    | ph\.d\.
    | nos?\.(?=\s*\d)
    | (?:ABBREVIATIONS|[A-Za-z])\.(?![A-Za-z])
    | [A-Za-z]+(?:[.!?][A-Za-z]+)+                                     # end.next, without the blank
    | (?-i:[A-Z]+(?:&[A-Z]+)+)(?![A-Za-z])                             # AT&T
    | c\+\+ | c\#
    | \w(?:[\w/-]*\w)?(?=n['’]t(?![A-Za-z]))                           # did|n't
    | n['’]t(?![A-Za-z])
    | ['’](?:s|m|d|ll|re|ve)(?![A-Za-z])
    | ['’]n['’]
    | ['’](?:n | em | till? | cause | \d\ds?)(?![A-Za-z0-9])
    | 't(?=(?:is|was)\b)
    | \w+(?:-\w+)*-o'\w+ | ne'er | ol'(?!\w) | s'mores | nat'l(?!\w) | ma['’]am
    | (?:[dlno]['’] | c'(?=mon) | qu')[A-Za-z]+(?=(?:['’]s)?(?![A-Za-z'’]))
    | y['’](?=(?:all|know)(?![A-Za-z]))
    | \w+(?:[-/]\w+)*(?=['’](?:s|m|d|ll|re|ve)(?![A-Za-z]))            # dog|'s
    | \w+(?:[-/]\w+)*
    | [<>]?[:;=]['o]?-?[()] | [:;=]-?[DPp](?!\w) | =] | \^_\^
    | [!?]{2,} | \*+
    | [^\s]
    """.replace("ABBREVIATIONS", _ABBREVIATIONS.replace(" ", "|")),
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


# Most captions: words, commas, a full stop at the end. They need none of the rules above.
_PLAIN: Final = re.compile(r"[A-Za-z ,]*\.? *")
_WITH_STOP: Final = frozenset(_ABBREVIATIONS.split())


class _Shapes(dict[int, str]):
    """Shape of each character, always one character long.

    The table holds Latin, Greek and Cyrillic letters and the usual signs; any other character is worked out
    each time, so that the table never grows.
    """

    def __missing__(self, code: int) -> str:
        return _shape(chr(code))


def _shape(character: str) -> str:
    if character in _SHAPES:
        return _SHAPES[character]
    kind = unicodedata.category(character)
    if character.isascii():
        return " " if kind == "Cc" else character
    # Java counts in 16-bit units: what does not fit one, such as an emoji, is dropped there.
    if ord(character) > 0xFFFF or kind in {"Nl", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"}:
        return " "
    if kind[0] in "LM" or kind == "Nd":
        return "X" if kind == "Lu" else "x"
    return " " if "\u3008" <= character <= "\u3020" else character


_USUAL: Final = (range(0x530), range(0x1E00, 0x1F00), range(0x2000, 0x2070), range(0x20A0, 0x20C0))
_SHAPE_OF: Final = _Shapes({code: _shape(chr(code)) for codes in _USUAL for code in codes})


def tokenise_ptb(text: str) -> list[str]:
    """Split a caption into lower-case tokens as COCO's evaluation does.

    Args:
        text: One caption; line breaks count as blanks.

    Returns:
        The tokens, none of them blank; an empty list when nothing but punctuation is there.

    Example:
        >>> tokenise_ptb("Two dogs (and Mr. Smith's cat) don't run.")
        ['two', 'dogs', '-lrb-', 'and', 'mr.', 'smith', "'s", 'cat', '-rrb-', 'do', "n't", 'run']
        >>> tokenise_ptb(" ... !")
        []
    """
    if _PLAIN.fullmatch(text):
        tokens = text.lower().replace(",", " ").replace(".", " ").split()
        if _REWRITTEN.keys().isdisjoint(tokens) and not _may_keep_stop(text, tokens):
            return tokens
    return _by_rules(text)


def _may_keep_stop(text: str, tokens: list[str]) -> bool:
    return (
        text.rstrip(" ").endswith(".") and bool(tokens) and (len(tokens[-1]) == 1 or tokens[-1] in _WITH_STOP)
    )


def _by_rules(text: str) -> list[str]:
    tokens: list[str] = []
    for match in _PATTERN.finditer(text.translate(_SHAPE_OF)):
        shape = match[0]
        if shape in _PUNCTUATION:
            continue
        token = text[match.start() : match.end()].lower()
        if token in _CURLY:
            token = token.replace("’", "'")
        if shape[0] in "<>:;=" and len(shape) > 1:
            token = token.replace("(", "-lrb-").replace(")", "-rrb-")
        tokens.extend(_REWRITTEN.get(token) or token.split())
    return tokens
