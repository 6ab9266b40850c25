"""What numba compiles of MTCNN: the averages over a picture, and the three nets."""

from __future__ import annotations

from gallery.faces.mtcnn.compiled import areas, crops, levels
from gallery.faces.mtcnn.geometry import ONET_PX, RNET_PX

FLOATS, INDICES = "f4[::1]", "i8[::1]"
WINDOWS = f"Tuple(({INDICES}, {INDICES}, {FLOATS}))"
AREAS = f"void(i4[::1], i8, i8[:,::1], {FLOATS})"

FUNCTIONS = {
    "small_crops": (areas.crops(RNET_PX), AREAS),
    "large_crops": (areas.crops(ONET_PX), AREAS),
    "pnet": (
        levels.pnet,
        f"i8(i4[::1], {WINDOWS}, {WINDOWS}, UniTuple({FLOATS}, 14), {FLOATS}, {INDICES}, f4[:,::1])",
    ),
    "rnet": (crops.rnet, f"void({FLOATS}, i8, UniTuple({FLOATS}, 15), {FLOATS})"),
    "onet": (crops.onet, f"void({FLOATS}, i8, UniTuple({FLOATS}, 18), {FLOATS})"),
}
"""By name: a function, and numba's signature of it."""
