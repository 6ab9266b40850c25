"""Averages over rectangles of a picture, exactly as `interpolate(mode="area")` takes them, from running sums.

One integral image serves all levels of the pyramid and all crops: a rectangle's sum is four of its numbers.
Sums are whole numbers, so nothing is rounded before the division. They may overflow int32 on pictures above 8
megapixels; their differences come out right all the same, because they wrap around together.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gallery.faces.mtcnn import compiler
from gallery.faces.mtcnn.pyramid import COLOURS, Strip
from gallery.faces.types import BgrImage


class IntegralImage:
    """Running sums of one picture."""

    def __init__(self, bgr: BgrImage) -> None:
        self.height, self.width = bgr.shape[:2]
        # int32[height + 1, width + 1, 3]; the first row and column are 0. One more number lies behind them.
        self._flat = np.empty((self.height + 1) * (self.width + 1) * COLOURS + 1, np.int32)
        sums = self._flat[:-1].reshape(self.height + 1, self.width + 1, COLOURS)
        cv2.integral(bgr, sums, sdepth=cv2.CV_32S)
        self._sums = torch.from_numpy(sums)

    def strip(self, strip: Strip) -> Tensor:
        """Rows of a pyramid level: float32[1, 3, rows, columns], channels-last."""
        rows, columns = strip.rows, strip.columns
        stripes = self._sums.index_select(0, rows.ends) - self._sums.index_select(0, rows.starts)
        sums = stripes.index_select(1, columns.ends) - stripes.index_select(1, columns.starts)
        # Two divisions, as interpolate does it, to the last bit.
        averages = sums.flatten(1) / strip.row_lengths / strip.column_lengths
        return averages.view(1, len(averages), -1, 3).permute(0, 3, 1, 2)

    def crops(self, boxes: NDArray[np.int64], side: int) -> Tensor:
        """Boxes int64[n, 4], the ends exclusive, as float32[n, 3, side, side], channels-last."""
        if compiled := compiler.ready():
            averages = torch.from_numpy(compiled.crops(self.flat(), self.width, boxes, side))
        else:
            averages = self._gathered_crops(torch.from_numpy(boxes), side)
        return averages.view(len(boxes), side, side, 3).permute(0, 3, 1, 2)

    def flat(self) -> NDArray[np.int32]:
        """The running sums, row by row, and one number more: int32[(height + 1) * (width + 1) * 3 + 1]."""
        return self._flat

    def _gathered_crops(self, boxes: Tensor, side: int) -> Tensor:
        index = torch.arange(side + 1)
        # int64[n, 2, side]: of each box along its width and along its height.
        first, length = boxes[:, :2, None], (boxes[:, 2:] - boxes[:, :2])[:, :, None]
        starts = first + index[:-1] * length // side
        ends = first - (-index[1:] * length // side)
        lengths = (ends - starts).float()
        left, right = starts[:, 0, None, :], ends[:, 0, None, :]
        top, bottom = starts[:, 1, :, None] * (self.width + 1), ends[:, 1, :, None] * (self.width + 1)
        sums = (
            self._at(bottom + right) - self._at(bottom + left) - self._at(top + right) + self._at(top + left)
        )
        across = lengths[:, 0].repeat_interleave(3, 1)[:, None, :]
        return sums.view(-1, side, 3 * side) / lengths[:, 1, :, None] / across

    def _at(self, places: Tensor) -> Tensor:
        """int32[places, 3]: the running sums there."""
        return self._sums.view(-1, 3).index_select(0, places.flatten())
