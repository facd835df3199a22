"""What one file of captions holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cutline.records import Problem


@dataclass(frozen=True)
class CaptionFile:
    """Captions by image, as one file has them.

    Attributes:
        source: The path that was read.
        captions: Key of the image in this file → its captions in NFC. References stand in the order of the
            file and are never blank; of hypotheses the best comes first, and they may be blank.
        names: Key → name of the image as the file writes it, with ``/`` between folders; the key itself where
            the file has no ids.
        splits: Key → ``"train"``, ``"val"`` or ``"test"``, for the images whose split the file names.
        problems: Rows that were left out.
    """

    source: str
    captions: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    splits: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        """Count images."""
        return len(self.captions)
