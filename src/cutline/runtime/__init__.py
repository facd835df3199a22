"""What captioning needs at run time: the bundle on disk and the session that computes. No framework here."""

from __future__ import annotations

from cutline.runtime.bundle import Bundle, load_bundle
from cutline.runtime.saving import save_bundle
from cutline.runtime.sessions import Session, open_session

__all__ = ["Bundle", "Session", "load_bundle", "open_session", "save_bundle"]
