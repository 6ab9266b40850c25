"""RNet and ONet over some crops, for numba to compile."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from gallery.faces.machine_code.processor import ROWS, padded
from gallery.faces.mtcnn.compiled.layers import dense, direct, pooled, room_for_tiles, tiled
from gallery.faces.mtcnn.geometry import ONET_PX, RNET_PX

LOWEST = np.float32(-1e30)
"""Beyond the far edges, where the first maximum's squares are cut short."""
RNET_CROPS, ONET_CROPS = 4, 3
"""Computed together: as many tiles as fit the registers."""

PIXELS = 3
P5, P10, P15, P28, P32 = padded(5), padded(10), padded(15), padded(28), padded(32)
P48, P64, P128, P256 = padded(48), padded(64), padded(128), padded(256)

rnet_1, rnet_pool_1 = direct(3, 28, RNET_PX, 3), pooled(28, 3, 23, 11)
rnet_2, rnet_pool_2 = tiled(3, 28, 48, 11, 9 * RNET_CROPS), pooled(48, 3, 9, 4)
rnet_3, rnet_4, rnet_5 = direct(48, 64, 4, 2), dense(9 * padded(64), 128), dense(padded(128), 5)
RNET_2_PIXELS = room_for_tiles(3, 28, 48, 9 * RNET_CROPS)
RNET_2_PRODUCTS = room_for_tiles(3, 48, 48, 9 * RNET_CROPS)

onet_1, onet_pool_1 = direct(3, 32, ONET_PX, 3), pooled(32, 3, 47, 23)
onet_2, onet_pool_2 = tiled(3, 32, 64, 23, 49), pooled(64, 3, 21, 10)
onet_3, onet_pool_3 = tiled(4, 64, 64, 10, 4 * ONET_CROPS), pooled(64, 2, 8, 4)
onet_4, onet_5, onet_6 = direct(64, 128, 4, 2), dense(9 * padded(128), 256), dense(padded(256), 15)
ONET_2_PIXELS, ONET_2_PRODUCTS = room_for_tiles(3, 32, 64, 49), room_for_tiles(3, 64, 64, 49)
ONET_3_TILES = room_for_tiles(4, 64, 64, 4 * ONET_CROPS)


def rnet(crops, count, weights, outputs) -> None:
    """float32[n * 24 * 24 * 3] -> float32[(n + ROWS) * padded(5)], of which the first n rows count."""
    w1, b1, s1, w2, b2, s2, w3, b3, s3, w4, b4, s4, w5, b5, s5 = weights
    first = np.full(23 * 23 * P28, LOWEST, np.float32)
    pool_1 = np.empty(RNET_CROPS * 11 * 11 * P28, np.float32)
    pixels = np.zeros(RNET_2_PIXELS, np.float32)
    products = np.zeros(RNET_2_PRODUCTS, np.float32)
    second = np.empty(RNET_CROPS * 9 * 9 * P48, np.float32)
    pool_2 = np.empty(4 * 4 * P48, np.float32)
    third = np.zeros((count + ROWS) * 9 * P64, np.float32)
    fourth = np.zeros((count + ROWS) * P128, np.float32)
    for begin in range(0, count, RNET_CROPS):
        some = min(RNET_CROPS, count - begin)
        for crop in range(some):
            rnet_1(crops, (begin + crop) * 24 * 24 * PIXELS, w1, b1, s1, first, 0, 23 * P28)
            rnet_pool_1(first, 0, pool_1, crop * 11 * 11 * P28)
        rnet_2(pool_1, some, w2, b2, s2, second, pixels, products)
        for crop in range(some):
            rnet_pool_2(second, crop * 9 * 9 * P48, pool_2, 0)
            rnet_3(pool_2, 0, w3, b3, s3, third, (begin + crop) * 9 * P64, 3 * P64)
    rnet_4(third, count, w4, b4, s4, fourth)
    rnet_5(fourth, count, w5, b5, s5, outputs)


def onet(crops, count, weights, outputs) -> None:
    """float32[n * 48 * 48 * 3] -> float32[(n + ROWS) * padded(15)], of which the first n rows count."""
    w1, b1, s1, w2, b2, s2, w3, b3, s3, w4, b4, s4, w5, b5, s5, w6, b6, s6 = weights
    first = np.full(47 * 47 * P32, LOWEST, np.float32)
    pool_1 = np.empty(23 * 23 * P32, np.float32)
    pixels_2 = np.zeros(ONET_2_PIXELS, np.float32)
    products_2 = np.zeros(ONET_2_PRODUCTS, np.float32)
    second = np.empty(21 * 21 * P64, np.float32)
    pool_2 = np.empty(ONET_CROPS * 10 * 10 * P64, np.float32)
    pixels_3 = np.zeros(ONET_3_TILES, np.float32)
    products_3 = np.zeros(ONET_3_TILES, np.float32)
    third = np.empty(ONET_CROPS * 8 * 8 * P64, np.float32)
    pool_3 = np.empty(4 * 4 * P64, np.float32)
    fourth = np.zeros((count + ROWS) * 9 * P128, np.float32)
    fifth = np.zeros((count + ROWS) * P256, np.float32)
    for begin in range(0, count, ONET_CROPS):
        some = min(ONET_CROPS, count - begin)
        for crop in range(some):
            onet_1(crops, (begin + crop) * 48 * 48 * PIXELS, w1, b1, s1, first, 0, 47 * P32)
            onet_pool_1(first, 0, pool_1, 0)
            onet_2(pool_1, 1, w2, b2, s2, second, pixels_2, products_2)
            onet_pool_2(second, 0, pool_2, crop * 10 * 10 * P64)
        onet_3(pool_2, some, w3, b3, s3, third, pixels_3, products_3)
        for crop in range(some):
            onet_pool_3(third, crop * 8 * 8 * P64, pool_3, 0)
            onet_4(pool_3, 0, w4, b4, s4, fourth, (begin + crop) * 9 * P128, 3 * P128)
    onet_5(fourth, count, w5, b5, s5, fifth)
    onet_6(fifth, count, w6, b6, s6, outputs)
