"""What the doctor can find: one record per kind of fault, with every place where it was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cutline.data.checks.kinds import KINDS, SEVERITIES, Severity
from cutline.records import Problem


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place where a fault was seen.

    Attributes:
        where: The image_id, or file and row, or what else names the place.
        detail: What was found there.
        caption: The caption it is about, or ``""``.
        images: image_ids of the pictures that show it, the one to change first.
    """

    where: str
    detail: str = ""
    caption: str = ""
    images: tuple[str, ...] = ()

    def line(self) -> str:
        r"""Return it as one line for people.

        Example:
            >>> Occurrence("a.jpg", "cut at the 41st token", "a dog runs").line()
            "a.jpg: 'a dog runs': cut at the 41st token"
            >>> print(Occurrence("a.jpg", caption=r"a dog\nruns").line())
            a.jpg: 'a dog\nruns'
        """
        return ": ".join(
            # As it stands: an escape must not look like two.
            part
            for part in (self.where, f"'{self.caption}'" if self.caption else "", self.detail)
            if part
        )


@dataclass(frozen=True)
class Finding:
    """All occurrences of one kind of fault.

    Attributes:
        kind: Name of the kind, one of :data:`KINDS`.
        severity: ``"error"``, ``"warning"`` or ``"note"``.
        message: What it is, in a clause.
        to_do: What helps.
        occurrences: Every place, the worst first where there is a worst; empty for faults of the whole set.
    """

    kind: str
    severity: Severity
    message: str
    to_do: str
    occurrences: tuple[Occurrence, ...] = ()

    @property
    def count(self) -> int:
        """Number of places, 1 for a fault of the whole data set."""
        return max(1, len(self.occurrences))

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        places = [
            {
                "where": place.where,
                "detail": place.detail,
                "caption": place.caption,
                "images": [*place.images],
            }
            for place in self.occurrences
        ]
        return {
            "kind": self.kind,
            "severity": self.severity,
            "count": self.count,
            "message": self.message,
            "to_do": self.to_do,
            "occurrences": places,
        }


def found(name: str, occurrences: Iterable[Occurrence] = (), message: str = "") -> Finding:
    """Make the finding of a kind.

    Args:
        name: One of :data:`KINDS`.
        occurrences: Every place.
        message: In the place of the kind's meaning.

    Example:
        >>> found("few images", message="12 images to train on").to_do
        'collect more: 500 or more give better captions'
    """
    kind = KINDS[name]
    return Finding(kind.name, kind.severity, message or kind.meaning, kind.to_do, tuple(occurrences))


def from_problems(problems: Sequence[Problem]) -> list[Finding]:
    """Turn what readers and the search for image files left out or mended into findings, one per kind."""
    by_kind: dict[str, list[Occurrence]] = {}
    for problem in problems:
        by_kind.setdefault(problem.kind, []).append(Occurrence(problem.where, problem.message))
    return [
        found(name, places)
        if name in KINDS
        else Finding(name, "note", "told while reading", "have a look", tuple(places))
        for name, places in by_kind.items()
    ]


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: errors first, then by number of places; equal ones stay in order."""
    return tuple(sorted(findings, key=lambda each: (SEVERITIES.index(each.severity), -each.count)))
