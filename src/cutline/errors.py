"""Every error cutline raises on purpose.

    CutlineError                 base; its message is one line a person can act on; ``exit_code`` 2
    ├── ConfigError              an option has a wrong name, type, range, or contradicts another
    │   └── UnknownNameError     a name that is in no registry; the nearest known one is suggested
    ├── DataError                a table, a caption or the layout of a data set
    │   ├── SplitError           splits that overlap, or a split without images
    │   └── ImageMismatchError   hypotheses and references that are not of the same images
    ├── ImageError               one image that cannot be read; never stops the others
    ├── FeatureStoreError        features on disk that are damaged, locked or cannot be written
    ├── WeightsError             encoder weights that are missing, refused or of the wrong shape
    ├── BundleError              a bundle that is incomplete, damaged or of another format version
    ├── ExportError              a network that cannot be written for another runtime
    ├── RunError                 a run folder in the way, or a resume that would change the run
    └── MissingDependencyError   an optional package is not installed; the message has the install line

Messages say what is wrong, where (file, row, key), the value found, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class CutlineError(Exception):
    """Base of the family: catch it to catch everything cutline raises on purpose."""

    exit_code = 2


class ConfigError(CutlineError):
    """An option is unknown, out of range or contradicts another one."""


class UnknownNameError(ConfigError):
    """A name that no registry knows."""


class DataError(CutlineError):
    """A table, caption or data set layout that cannot be used."""


class SplitError(DataError):
    """Splits that overlap by image, or that are empty.

    Attributes:
        offenders: Every image in two splits with those splits; the message shows the first of them.
    """

    def __init__(self, message: str, offenders: Sequence[str] = ()) -> None:
        """Keep all offenders beside the message."""
        super().__init__(message)
        self.offenders = tuple(offenders)


class ImageMismatchError(DataError):
    """Hypotheses and references that are not of the same images.

    Attributes:
        missing: Every image with references and no hypothesis; the message shows the first of them.
        extra: Every image with a hypothesis and no references.
    """

    def __init__(self, message: str, missing: Sequence[str] = (), extra: Sequence[str] = ()) -> None:
        """Keep all images beside the message."""
        super().__init__(message)
        self.missing = tuple(missing)
        self.extra = tuple(extra)


class ImageError(CutlineError):
    """One image that cannot be decoded; callers list it and go on with the others."""


class FeatureStoreError(CutlineError):
    """Stored features that are damaged, locked by another process or cannot be written."""


class WeightsError(CutlineError):
    """Encoder weights that are missing, unsafe to read or do not fit the network."""


class BundleError(CutlineError):
    """A bundle that is incomplete, damaged or of an unknown format version."""


class ExportError(CutlineError):
    """A network has a layer, or an option of one, that cannot be written for another runtime."""


class RunError(CutlineError):
    """A run folder that is in the way, incomplete, or that a resume would change."""


class MissingDependencyError(CutlineError):
    """An optional package is needed; the message holds the exact install line."""
