"""What numba compiles of dlib's face encoder: all of it is one function."""

from __future__ import annotations

from gallery.faces.dlib_compiled import network

LAYERS = "UniTuple(f4[::1], 29)"

FUNCTIONS = {"encode": (network.encode, f"void(u1[::1], i8, {LAYERS}, {LAYERS}, f4[::1], f4[:,::1])")}
"""By name: a function, and numba's signature of it."""
