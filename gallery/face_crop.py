"""Pictures of faces that are kept, for who wants to change the encoder later: cut with what is around them.

The face is not turned upright, for each encoder does that in its own way; where its landmarks are is written
into the picture, so that it need not be looked for again.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gallery.errors import GalleryError
from gallery.faces.types import BgrImage, Faces

MARGIN = 0.6
"""Of the box's sides, added on each: as much as an encoder's largest chip needs, also of a tilted face."""
LONGEST_PX = 640
"""Of the picture's sides; the face has some 290 pixels then, twice what an encoder looks at."""
QUALITY = 95
"""Of the JPEG, with colours in full: 19 KB of a face of LFW (100 pixels), 120 KB of a large portrait."""
MOST_PIXELS = 4_000_000
KEY = "visaged"


def cut(bgr: BgrImage, faces: Faces, row: int) -> bytes:
    """A JPEG of one face of an image, with box, landmarks and score in its comment."""
    import cv2
    from PIL import Image

    left, top, right, bottom = (float(edge) for edge in faces.boxes[row])
    aside, above = MARGIN * (right - left), MARGIN * (bottom - top)
    height, width = bgr.shape[:2]
    x0, y0 = max(0, int(left - aside)), max(0, int(top - above))
    x1, y1 = min(width, int(np.ceil(right + aside))), min(height, int(np.ceil(bottom + above)))
    pixels = bgr[y0:y1, x0:x1]
    scale = min(1.0, LONGEST_PX / max(pixels.shape[:2]))
    if scale < 1:
        size_px = [max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
        pixels = np.asarray(cv2.resize(pixels, size_px, interpolation=cv2.INTER_AREA), np.uint8)
    told = {
        "box": _placed(faces.boxes[row].reshape(2, 2), (x0, y0), scale),
        "landmarks": _placed(faces.landmarks[row], (x0, y0), scale),
        "score": round(float(faces.scores[row]), 4),
    }
    packed = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))
    comment = json.dumps({KEY: told}).encode()
    picture.save(packed, "JPEG", quality=QUALITY, subsampling=0, comment=comment)
    return packed.getvalue()


def read(content: bytes) -> tuple[BgrImage, Faces]:
    """The picture, and the one face that it was cut for; GalleryError where it is none of ours."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise ValueError("it is too large")
            told = json.loads(opened.info["comment"])[KEY]
            pixels = np.asarray(opened.convert("RGB"))
        return np.ascontiguousarray(pixels[:, :, ::-1]), _face(told)
    except (OSError, ValueError, KeyError, TypeError, SyntaxError) as error:
        raise GalleryError(f"a picture that was kept can't be used: {error}") from error


def _face(told: dict[str, Any]) -> Faces:
    return Faces(
        boxes=np.array(told["box"], np.float32).reshape(1, 4),
        scores=np.array([told["score"]], np.float32),
        landmarks=np.array(told["landmarks"], np.float32).reshape(1, 5, 2),
    )


def _placed(points: NDArray[np.float32], corner: tuple[int, int], scale: float) -> list[list[float]]:
    """Pixels of the image as pixels of the picture, where a pixel's centre has whole numbers."""
    placed = (points.astype(np.float64) - corner + 0.5) * scale - 0.5
    return [[round(float(x), 3), round(float(y), 3)] for x, y in placed]
