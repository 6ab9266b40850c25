"""Cuts faces out of frames, small enough to be sent along with what is told of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daemon.frame import Frame
from daemon.image_file import jpeg
from daemon.track import Track
from daemon.vocabulary import Picture

MARGIN = 0.4
"""Of the box's width and height, added on each side: MTCNN's boxes end at the chin and below the hair."""
SIDE_PX = 320
"""Longer side of a picture, at most: enough for people to know a face by."""
QUALITIES = (88, 70, 50, 30)
"""Of the JPEG: the first by which it is small enough."""
MOST_BYTES = 64 * 1024
"""Of the JPEG. A photographed face of 320 pixels has some 20 KB at 88."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One face, cut out of one frame."""

    bgr: NDArray[np.uint8]
    """uint8[h, w, 3]: the face and what is around it; neither side is longer than SIDE_PX."""
    cut_px: tuple[int, int, int, int]
    """Left, top, right, bottom of what was cut, in pixels of the frame, which it does not exceed."""
    face_px: tuple[float, float, float, float]
    """The face's box in pixels of the frame; may exceed it."""
    frame_index: int
    """Of the frame."""
    frame_size_px: tuple[int, int]
    """Width and height of the frame."""
    captured_unix_ns: int
    """The frame's time."""
    quality: float
    """0 to 1; below 0: it was not fit to decide by."""


def take(frame: Frame, track: Track) -> Shot | None:
    """The face where the track is, which must be seen on this frame; None: nothing of it is within."""
    height, width = frame.bgr.shape[:2]
    left, top, right, bottom = (float(edge) for edge in track.box)
    aside, above = MARGIN * (right - left), MARGIN * (bottom - top)
    cut = (
        max(0, int(np.floor(left - aside))),
        max(0, int(np.floor(top - above))),
        min(width, int(np.ceil(right + aside))),
        min(height, int(np.ceil(bottom + above))),
    )
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        return None
    return Shot(
        bgr=_small(frame.bgr[cut[1] : cut[3], cut[0] : cut[2]]),
        cut_px=cut,
        face_px=(left, top, right, bottom),
        frame_index=frame.index,
        frame_size_px=(width, height),
        captured_unix_ns=frame.captured_unix_ns,
        quality=_quality(track),
    )


def best_of(best: Shot | None, frame: Frame, track: Track) -> Shot | None:
    """The one so far, or the one of this frame if it shows more; of two alike the first."""
    if best is not None and _quality(track) <= best.quality:
        return best
    return take(frame, track) or best


def picture_of(shot: Shot) -> Picture:
    """What is sent: a JPEG of at most MOST_BYTES, and what it shows."""
    content = b""
    for quality in QUALITIES:
        content = jpeg(shot.bgr, quality)
        if len(content) <= MOST_BYTES:
            break
    height, width = shot.bgr.shape[:2]
    return Picture(
        jpeg=content,
        width=width,
        height=height,
        cut=shot.cut_px,
        box=shot.face_px,
        frame_index=shot.frame_index,
        frame_width=shot.frame_size_px[0],
        frame_height=shot.frame_size_px[1],
        captured_unix_ns=shot.captured_unix_ns,
    )


def _quality(track: Track) -> float:
    return track.quality - (1 if track.reasons else 0)


def _small(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy, so that the frame need not be kept."""
    import cv2

    scale = SIDE_PX / max(bgr.shape[:2])
    if scale >= 1:
        return bgr.copy()
    size_px = [max(1, round(side * scale)) for side in (bgr.shape[1], bgr.shape[0])]
    return np.asarray(cv2.resize(bgr, size_px, interpolation=cv2.INTER_AREA), np.uint8)
