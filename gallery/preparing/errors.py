"""Why pictures could not be prepared: one line each that says what would be right."""

from __future__ import annotations

from gallery.errors import GalleryError


class PreparingRefused(GalleryError):
    """What was asked can't be meant, or would harm what is there; nothing was done."""


class PreparingFailed(GalleryError):
    """The work broke off, because a file could not be written; what was done stays."""
