"""dlib's face encoder from the pixels to the encodings, for numba to compile.

Layers are numbered as in the file: 0 is the stem, and every block has two, of which the second, with an even
number, is added to what came into the block.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from gallery.faces.dlib_compiled.layers import direct, halved, joined, tiled
from gallery.faces.dlib_compiled.level import A, B, C, D, E
from gallery.faces.dlib_compiled.stem import stem

SIZE_PX, DIMENSIONS = 150, 128

A_FACE, B_FACE, C_FACE, D_FACE, E_FACE = (level.size for level in (A, B, C, D, E))
ROOM = max(level.room for level in (A, B, C, D))
CHANNELS, E_FIRST, E_ROW = E.channels, E.origin, E.span * E.channels

on_pixels = stem(SIZE_PX, A)
on_a, on_b, on_c, on_d = tiled(A), tiled(B), tiled(C), tiled(D)
a_to_b, b_to_c = direct(A, B, 17, 3, 2), direct(B, C, 8, 3, 2)
c_to_d, d_to_e = direct(C, D, 3, 3, 2), direct(D, E, 1, 3, 2)
on_border, on_pixel = direct(D, D, 3, 3, 1), direct(E, E, 1, 1, 1)
halve_a, halve_b, halve_c, halve_d = halved(A, B), halved(B, C), halved(C, D), halved(D, E)
join_border, join_pixel = joined(D, 3), joined(E, 1)


def encode(chips, faces, weights, biases, projection, encodings) -> None:
    """uint8[n * 150 * 150 * 3] -> float32[n, 128]."""
    relu, same = np.zeros(CHANNELS, np.float32), np.ones(CHANNELS, np.float32)
    pixels, products = np.zeros(ROOM, np.float32), np.zeros(ROOM, np.float32)
    b, b_inner = np.zeros(faces * B_FACE, np.float32), np.zeros(faces * B_FACE, np.float32)
    begin(chips, faces, weights, biases, relu, pixels, products, b, b_inner)
    for layer in range(8, 15):
        source, result = (b_inner, b) if layer % 2 == 0 else (b, b_inner)
        on_b(source, faces, weights[layer], biases[layer], relu, result, layer % 2 == 0, pixels, products)
    c, c_inner = np.zeros(faces * C_FACE, np.float32), np.zeros(faces * C_FACE, np.float32)
    b_to_c(b, faces, weights[15], biases[15], relu, c_inner)
    halve_b(b, faces, c)
    for layer in range(16, 21):
        source, result = (c_inner, c) if layer % 2 == 0 else (c, c_inner)
        on_c(source, faces, weights[layer], biases[layer], relu, result, layer % 2 == 0, pixels, products)
    d, d_inner = np.zeros(faces * D_FACE, np.float32), np.zeros(faces * D_FACE, np.float32)
    d_border = np.zeros(faces * D_FACE, np.float32)
    c_to_d(c, faces, weights[21], biases[21], relu, d_inner)
    halve_c(c, faces, d)
    on_border(d_inner, faces, weights[22], biases[22], same, d_border)
    join_border(d_border, faces, d)
    for layer in range(23, 27):
        source, result = (d_inner, d) if layer % 2 == 0 else (d, d_inner)
        on_d(source, faces, weights[layer], biases[layer], relu, result, layer % 2 == 0, pixels, products)
    finish(d, faces, weights, biases, relu, same, projection, encodings)


@register_jitable
def begin(chips, faces, weights, biases, relu, pixels, products, b, b_inner) -> None:
    """Face by face, as the first level's pixels just fit into a core's own cache."""
    source = np.empty(SIZE_PX * SIZE_PX * 3, np.float32)
    a, a_inner = np.zeros(A_FACE, np.float32), np.zeros(A_FACE, np.float32)
    for face in range(faces):
        first = face * source.size
        for place in range(source.size):
            source[place] = chips[first + place]
        on_pixels(source, weights[0], biases[0], relu, a)
        for layer in range(1, 7):
            inner, result = (a_inner, a) if layer % 2 == 0 else (a, a_inner)
            on_a(inner, 1, weights[layer], biases[layer], relu, result, layer % 2 == 0, pixels, products)
        a_to_b(a, 1, weights[7], biases[7], relu, b_inner[face * B_FACE : (face + 1) * B_FACE])
        halve_a(a, 1, b[face * B_FACE : (face + 1) * B_FACE])


@register_jitable
def finish(d, faces, weights, biases, relu, same, projection, encodings) -> None:
    """The last block, the mean over its pixels, and the projection."""
    e, e_inner = np.zeros(faces * E_FACE, np.float32), np.zeros(faces * E_FACE, np.float32)
    e_pixel = np.zeros(faces * E_FACE, np.float32)
    d_to_e(d, faces, weights[27], biases[27], relu, e_inner)
    halve_d(d, faces, e)
    on_pixel(e_inner, faces, weights[28], biases[28], same, e_pixel)
    join_pixel(e_pixel, faces, e)
    quarter = np.float32(0.25)
    for face in range(faces):
        encodings[face, :] = 0
        for channel in range(CHANNELS):
            place = face * E_FACE + E_FIRST + channel
            below = place + E_ROW
            upper, lower = e[place] + e[place + CHANNELS], e[below] + e[below + CHANNELS]
            mean = (upper + lower) * quarter
            for number in range(DIMENSIONS):
                encodings[face, number] += mean * projection[channel * DIMENSIONS + number]
