"""Makes the demo's clip from the shipped portraits: two people who are enrolled, and a stranger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH_PX, HEIGHT_PX = 640, 480
FPS = 15
FRAMES = 45
ACTORS = ("barack-obama-2.jpg", "eileen-collins.jpg", "joe-biden.jpg")
"""From left to right. Barack Obama's photograph is another one than the one that is enrolled."""


def write_clip(samples: Path, clip: Path) -> None:
    """Writes three seconds of Motion JPEG in which the three come in from the left, one after the other."""
    import cv2

    portraits = [_portrait(samples / file) for file in ACTORS]
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH_PX, HEIGHT_PX))
    try:
        for number in range(FRAMES):
            writer.write(_compose(portraits, number))
    finally:
        writer.release()


def _portrait(file: Path) -> NDArray[np.uint8]:
    """The photograph, scaled to a third of the picture's width."""
    import cv2

    bgr = cv2.imread(str(file))
    assert bgr is not None, file
    width = WIDTH_PX // len(ACTORS)
    scaled = cv2.resize(
        bgr, (width, round(bgr.shape[0] * width / bgr.shape[1])), interpolation=cv2.INTER_AREA
    )
    return np.asarray(scaled, np.uint8)


def _compose(portraits: list[NDArray[np.uint8]], number: int) -> NDArray[np.uint8]:
    """Frame `number`: everybody sways a little; each one comes a quarter of the clip after the one before."""
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), 96, np.uint8)
    for place, portrait in enumerate(portraits):
        if number < place * FRAMES // 4:
            continue
        height, width = portrait.shape[:2]
        top = (HEIGHT_PX - height) // 2 + round(12 * np.sin(number / 4 + place))
        picture[top : top + height, place * width : (place + 1) * width] = portrait
    return picture
