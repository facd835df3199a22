"""The markers that are stripped before captions are scored: those of :mod:`cutline.text.markers`."""

from __future__ import annotations

from cutline.text.markers import has_marker, strip_markers

__all__ = ["has_marker", "strip_markers"]
