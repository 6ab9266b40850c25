"""Notes in the gallery's trail by what settings names are given, whenever they are others than before."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gallery import schema, trail
from gallery.errors import GalleryError

if TYPE_CHECKING:
    from daemon.config import Config
    from gallery.store import Gallery

logger = logging.getLogger(__name__)

WHAT = "settings"
"""Of the entries in the trail."""


def decisive(config: Config) -> dict[str, int | float | str | None]:
    """What decides who is named; codes and numbers alone."""
    encoder, tracker = config.encoder, config.tracker
    return {
        "encoder": encoder.name,
        "threshold": encoder.threshold,
        "calibrated": int(encoder.calibrated),
        "margin": tracker.margin,
        "hysteresis": tracker.hysteresis,
        "min_samples": tracker.min_samples,
        "confirm_samples": tracker.confirm_samples,
        "require_consent": int(config.gallery.require_consent),
    }


def note_settings(gallery: Gallery, config: Config, who: str) -> bool:
    """Adds an entry where the newest one tells of other settings; whether it did.

    The gallery's revision stays: what it holds is as before. A gallery that can't be written to is told of in
    the log, and no reason not to run.
    """
    wanted = decisive(config)
    try:
        known = next((each.detail for each in reversed(gallery.trail()) if each.what == WHAT), None)
        if known == wanted:
            return False
        with schema.explained(gallery.path), schema.transaction(gallery.connection):
            trail.note(gallery.connection, who, WHAT, None, **wanted)
    except GalleryError as error:
        logger.error("the settings are not noted in the trail: %s", error)
        return False
    return True
