"""The kinds of fault the doctor knows: what each is, how bad it is, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
"""An error loses images or rows, or stops training; a warning makes captions or scores worse than they need
be; a note is worth a look."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    Attributes:
        name: Short stable name, the same in the terminal, in JSON and in the table of left-out rows.
        severity: How bad it is.
        meaning: What it is, as a clause.
        to_do: What helps, as an imperative.
    """

    name: str
    severity: Severity
    meaning: str
    to_do: str


_CORRECT: Final = "correct the captions; --fix mends them"
_LEFT_OUT: Final = "correct the rows; they are left out until then"

_ALL: Final = (
    # Files and rows.
    Kind(
        "missing image",
        "error",
        "named in the table, but there is no such file",
        "copy the files, or correct the names",
    ),
    Kind(
        "unreadable image",
        "error",
        "the file is there, but it cannot be decoded",
        "copy the files again, or convert them",
    ),
    Kind(
        "unreadable name",
        "error",
        "the image's name is not valid Unicode",
        "rename the file, and correct the table",
    ),
    Kind("broken row", "error", "the row has too few or too many cells, or no text", _LEFT_OUT),
    Kind("no image named", "error", "the row names no image", _LEFT_OUT),
    Kind(
        "image without caption",
        "error",
        "none of its captions can be used",
        "write a caption, or remove the image",
    ),
    Kind(
        "mended row",
        "note",
        "the row had more cells than the header; read as shown",
        "put captions with delimiters in quotes",
    ),
    Kind(
        "column left out",
        "note",
        "a column that may hold splits holds something else",
        "name the column of splits 'split'",
    ),
    Kind(
        "in no split list",
        "note",
        "none of the lists of train, val and test images names the image",
        "add it to a list",
    ),
    Kind(
        "two groups",
        "note",
        "the group column puts the image into two groups; the first counts",
        "give each image one group",
    ),
    Kind(
        "same image twice",
        "warning",
        "the same file under several names; counted as one image",
        "keep one of them",
    ),
    Kind(
        "image in two splits",
        "error",
        "the same image in two splits: its scores would be recited",
        "give each image one split; --fix keeps the one farthest from training",
    ),
    # Captions by themselves.
    Kind("empty caption", "error", "no text", "write a caption, or remove the row"),
    Kind("caption of only punctuation", "error", "no word", "write a caption, or remove the row"),
    Kind("duplicate row", "note", "the same caption of the same image again; kept once", "remove it"),
    Kind(
        "same caption twice",
        "note",
        "two captions of an image that differ only in case, spaces or punctuation",
        "keep one; --fix does",
    ),
    Kind(
        "caption without a letter",
        "warning",
        "only digits or symbols",
        "write a caption; --fix leaves it out",
    ),
    Kind(
        "placeholder",
        "warning",
        'a word for "nothing here" in place of a caption',
        "write a caption; --fix leaves it out",
    ),
    Kind(
        "file name as caption",
        "warning",
        "the name of a file in place of a caption",
        "write a caption; --fix leaves it out",
    ),
    Kind(
        "marker in a caption",
        "warning",
        "a marker of another program, which the model would learn to write",
        _CORRECT,
    ),
    Kind("wrongly decoded text", "warning", "UTF-8 read as Windows-1252 somewhere on the way", _CORRECT),
    Kind(
        "lost character",
        "warning",
        "characters that an earlier program could not write",
        "find an undamaged copy of the table",
    ),
    Kind("HTML in a caption", "warning", "entities or tags of a web page", _CORRECT),
    Kind(
        "escape in a caption", "warning", "an escape sequence that nobody turned into its character", _CORRECT
    ),
    Kind("invisible character", "note", "control or zero-width characters inside", _CORRECT),
    Kind(
        "link or address",
        "warning",
        "a web link, e-mail address, @name or #tag",
        "describe the picture instead; --fix takes them out",
    ),
    Kind("repeated words", "warning", "the same words twice in a row", "correct the captions"),
    Kind("unfinished caption", "warning", "ends where a sentence cannot end", "finish the captions"),
    Kind("very short caption", "note", "far shorter than the others", "say more, or remove it"),
    Kind(
        "very long caption",
        "note",
        "far longer than the others",
        "keep to what is seen, or cut it into several captions",
    ),
    Kind(
        "cut caption",
        "warning",
        "longer than text.max_length; training would cut it",
        "raise text.max_length to keep them, or shorten them",
    ),
    Kind(
        "other script",
        "warning",
        "written in another script than most",
        "train one model per language, or remove them",
    ),
    Kind(
        "other language",
        "warning",
        "seems to be in another language than most",
        "train one model per language, or remove them",
    ),
    Kind(
        "scripts mixed in a word",
        "warning",
        "letters of several alphabets inside one word",
        "type the words again",
    ),
    Kind(
        "likely misspelling",
        "note",
        "a rare word that is a frequent one with two letters swapped, or one doubled or halved",
        "correct the spelling if it is one",
    ),
    # Captions together.
    Kind(
        "caption of many images",
        "warning",
        "one and the same caption for many images",
        "say what sets each image apart",
    ),
    Kind(
        "one-caption image", "note", "one caption where the others have several", "write more captions for it"
    ),
    Kind(
        "one caption per image",
        "note",
        "every image has a single caption, so scores are uncertain",
        "write several per image, at least for val and test",
    ),
    Kind(
        "image of many captions",
        "warning",
        "far more captions than the other images",
        "see whether rows of other images name this one",
    ),
    Kind(
        "same opening",
        "note",
        "a large part of the captions begins with the same words",
        "drop the opening: the model would learn it first",
    ),
    Kind(
        "word in nearly all images",
        "note",
        "a word that says nothing, as it is said of nearly every image",
        "leave it out of the captions, or collect other images",
    ),
    Kind(
        "uneven gendered words",
        "note",
        "people of one gender are named far more often (English words only)",
        "collect images that even it out; the model would exaggerate the difference",
    ),
    Kind(
        "uneven groups", "note", "some groups have very few images beside the largest", "collect more of them"
    ),
    Kind(
        "rare words",
        "warning",
        "many of the words occur too seldom to be learned",
        "collect more captions, use plainer words, or lower text.min_count",
    ),
    Kind(
        "unknown words",
        "warning",
        "words that the train captions do not teach",
        "draw the splits at random, or collect more captions",
    ),
    Kind(
        "no vocabulary",
        "error",
        "no token is frequent enough",
        "lower text.min_count, or collect more captions",
    ),
    # Splits.
    Kind(
        "empty split",
        "warning",
        "a split without an image",
        "name it in the split column, or let cutline split",
    ),
    Kind(
        "few images",
        "warning",
        "too few images to learn much from",
        "collect more: 500 or more give better captions",
    ),
    Kind(
        "small split",
        "note",
        "so few images that scores jump by chance",
        "give val and test 50 images or more",
    ),
    Kind(
        "splits differ",
        "warning",
        "captions of one split are of another length than those of train",
        "draw the splits at random",
    ),
    # Pictures.
    Kind(
        "near-duplicates across splits",
        "warning",
        "nearly the same picture in two splits: its scores would be recited",
        "keep one; --fix keeps the one farthest from training",
    ),
    Kind(
        "near-duplicates",
        "note",
        "nearly the same picture several times in one split",
        "keep one if they add nothing",
    ),
    Kind("small image", "warning", "less than 64 pixels wide or high", "use larger ones if you can"),
    Kind(
        "long thin image",
        "note",
        "more than four times as wide as high, or the other way round; it is squashed to a square",
        "crop it to what the caption speaks of",
    ),
    Kind("plain image", "warning", "one colour all over", "remove it, unless it is meant"),
    Kind(
        "unlike its neighbours",
        "note",
        "the captions share nothing with those of similar images",
        "see whether the captions belong to another image",
    ),
    Kind(
        "unlikely caption",
        "note",
        "a trained model finds the caption fits most other images better",
        "see whether the caption belongs to another image",
    ),
)

KINDS: Final = {kind.name: kind for kind in _ALL}
"""Name → kind, in the order of the list in the documentation."""
