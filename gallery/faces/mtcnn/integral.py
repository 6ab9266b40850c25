"""Averages over rectangles of a picture, exactly as `interpolate(mode="area")` takes them, from running sums.

One integral image serves all levels of the pyramid and all crops: a rectangle's sum is four of its numbers.
Sums are whole numbers, so nothing is rounded before the division. They may overflow int32 on pictures above 8
megapixels; their differences come out right all the same, because they wrap around together.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gallery.faces.mtcnn.pyramid import COLOURS, Strip
from gallery.faces.types import BgrImage

Averages = NDArray[np.float32]


class IntegralImage:
    """Running sums of one picture."""

    def __init__(self, bgr: BgrImage) -> None:
        self.height, self.width = bgr.shape[:2]
        self.flat = np.empty((self.height + 1) * (self.width + 1) * COLOURS + 1, np.int32)
        """The running sums, row by row, and one number more: int32[(height + 1) * (width + 1) * 3 + 1]. Those
        of the first row and column are 0."""
        self._sums = self.flat[:-1].reshape(self.height + 1, self.width + 1, COLOURS)
        cv2.integral(bgr, self._sums, sdepth=cv2.CV_32S)

    def strip(self, strip: Strip) -> Averages:
        """Rows of a pyramid level: float32[1, rows, columns, 3]."""
        rows, columns = strip.rows, strip.columns
        stripes = self._sums.take(rows.ends, 0) - self._sums.take(rows.starts, 0)
        sums = stripes.take(columns.ends, 1) - stripes.take(columns.starts, 1)
        # Two divisions, as interpolate does it, to the last bit.
        averages: Averages = sums.astype(np.float32)
        averages /= rows.lengths[:, None, None]
        averages /= columns.lengths[:, None]
        return averages[None]

    def crops(self, boxes: NDArray[np.int64], side: int) -> Averages:
        """Boxes int64[n, 4], the ends exclusive, as float32[n, side, side, 3]."""
        index = np.arange(side + 1)
        # int64[n, 2, side]: of each box along its width and along its height.
        first, length = boxes[:, :2, None], (boxes[:, 2:] - boxes[:, :2])[:, :, None]
        starts = first + index[:-1] * length // side
        ends = first - (-index[1:] * length // side)
        lengths = (ends - starts).astype(np.float32)
        left, right = starts[:, 0, None, :], ends[:, 0, None, :]
        top, bottom = starts[:, 1, :, None] * (self.width + 1), ends[:, 1, :, None] * (self.width + 1)
        sums = (
            self._at(bottom + right) - self._at(bottom + left) - self._at(top + right) + self._at(top + left)
        )
        averages = sums.astype(np.float32)
        averages /= lengths[:, 1, :, None, None]
        averages /= lengths[:, 0, None, :, None]
        return averages

    def _at(self, places: NDArray[np.int64]) -> NDArray[np.int32]:
        """int32[places, 3]: the running sums there."""
        return self._sums.reshape(-1, COLOURS).take(places, 0)
