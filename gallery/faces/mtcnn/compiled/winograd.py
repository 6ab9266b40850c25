"""Winograd's minimal filtering: a 3x3 convolution of a whole tile of pixels with a third of the products.

A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016: a tile of m x m results is
A' [(G g G') * (B' d B)] A, with g the weights, d the (m + 2) x (m + 2) pixels and * element by element.
Interpolated at 0, 1, -1 (m = 2), 2 (m = 3) and -2 (m = 4). Its rounding moved no logit of the nets on
photographs by more than 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gallery.faces.mtcnn.compiled.vectors import Code, Value

WEIGHTS = {
    2: np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
    3: np.array(
        [[1 / 2, 0, 0], [-1 / 2, -1 / 2, -1 / 2], [-1 / 6, 1 / 6, -1 / 6], [1 / 6, 1 / 3, 2 / 3], [0, 0, 1]]
    ),
    4: np.array(
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ]
    ),
}
"""G, by m."""


def transformed(weight: NDArray[np.float32], results: int) -> NDArray[np.float64]:
    """[outputs, inputs, 3, 3] -> [(m + 2) * (m + 2), outputs, inputs]."""
    g = WEIGHTS[results]
    places = np.einsum("ay,oiyx,bx->aboi", g, weight.astype(np.float64), g)
    return np.asarray(places.reshape(-1, *weight.shape[:2]))


def of_pixels(code: Code, d: Sequence[Value], results: int) -> list[Value]:
    """B' d, along one axis."""
    if results == 2:
        return [
            code.subtract(d[0], d[2]),
            code.add(d[1], d[2]),
            code.subtract(d[2], d[1]),
            code.subtract(d[1], d[3]),
        ]
    if results == 3:
        span = code.subtract(d[3], d[1])
        return [
            code.multiply_add(2, code.subtract(d[0], d[2]), span),
            code.subtract(code.multiply_add(-2, d[1], d[3]), d[2]),
            code.multiply_add(-3, d[2], code.multiply_add(2, d[1], d[3])),
            span,
            code.subtract(code.multiply_add(-2, span, d[4]), d[2]),
        ]
    even, odd = code.multiply_add(-4, d[2], d[4]), code.multiply_add(-4, d[1], d[3])
    wide, span = code.subtract(d[4], d[2]), code.subtract(d[3], d[1])
    return [
        code.multiply_add(4, d[0], code.multiply_add(-5, d[2], d[4])),
        code.add(even, odd),
        code.subtract(even, odd),
        code.multiply_add(2, span, wide),
        code.multiply_add(-2, span, wide),
        code.multiply_add(4, d[1], code.multiply_add(-5, d[3], d[5])),
    ]


def of_products(code: Code, p: Sequence[Value], results: int) -> list[Value]:
    """A' p, along one axis."""
    total, difference = code.add(p[1], p[2]), code.subtract(p[1], p[2])
    if results == 2:
        return [code.add(p[0], total), code.subtract(difference, p[3])]
    if results == 3:
        return [
            code.add(code.add(p[0], total), p[3]),
            code.multiply_add(2, p[3], difference),
            code.add(code.multiply_add(4, p[3], total), p[4]),
        ]
    total_2, difference_2 = code.add(p[3], p[4]), code.subtract(p[3], p[4])
    return [
        code.add(code.add(p[0], total), total_2),
        code.multiply_add(2, difference_2, difference),
        code.multiply_add(4, total_2, total),
        code.add(code.multiply_add(8, difference_2, difference), p[5]),
    ]


def both_ways(
    code: Code, rows: Sequence[Sequence[Value]], transform: Callable[..., list[Value]], results: int
) -> list[list[Value]]:
    """The transform down the columns, then along the rows."""
    columns = [transform(code, column, results) for column in zip(*rows, strict=True)]
    return [transform(code, row, results) for row in zip(*columns, strict=True)]
