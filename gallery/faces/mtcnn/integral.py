"""Averages over rectangles of a picture, exactly as `interpolate(mode="area")` takes them, from running sums.

One integral image serves all levels of the pyramid and all crops: a rectangle's sum is four of its numbers.
Sums are whole numbers, so nothing is rounded before the division. They may overflow int32 on pictures above 8
megapixels; their differences come out right all the same, because they wrap around together.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import torch
from torch import Tensor

from gallery.faces.mtcnn.pyramid import Strip
from gallery.faces.types import BgrImage


class IntegralImage:
    """Running sums of one picture."""

    def __init__(self, bgr: BgrImage) -> None:
        self._bgr = bgr
        self.height, self.width = bgr.shape[:2]
        # int32[height + 1, width + 1, 3]; the first row and column are 0.
        self._sums = torch.from_numpy(cv2.integral(bgr, sdepth=cv2.CV_32S))

    @cached_property
    def _padded(self) -> Tensor:
        """The sums again, a fourth beside each three, as complex128[(height + 1) * (width + 1)].

        Numbers of 16 bytes are gathered in two fifths of the time of three of 4 bytes each.
        """
        sums = torch.from_numpy(cv2.integral(cv2.cvtColor(self._bgr, cv2.COLOR_BGR2BGRA), sdepth=cv2.CV_32S))
        return torch.view_as_complex(sums.view(-1, 4).view(torch.float64))

    def strip(self, strip: Strip) -> Tensor:
        """Rows of a pyramid level: float32[1, 3, rows, columns], channels-last."""
        stripes = self._sums.index_select(0, strip.rows.ends)
        stripes -= self._sums.index_select(0, strip.rows.starts)
        sums = stripes.index_select(1, strip.columns.ends)
        sums -= stripes.index_select(1, strip.columns.starts)
        # Flat, so that the innermost loop is long. Two divisions, as interpolate does it, to the last bit.
        averages = sums.view(len(sums), -1) / strip.row_lengths
        averages /= strip.column_lengths
        return averages.view(1, *sums.shape).permute(0, 3, 1, 2)

    def crops(self, boxes: Tensor, side: int) -> Tensor:
        """Boxes int64[n, 4], the ends exclusive, as float32[n, 3, side, side], channels-last."""
        index = torch.arange(side + 1)
        # int64[n, 2, side]: of each box along its width and along its height.
        first, length = boxes[:, :2, None], (boxes[:, 2:] - boxes[:, :2])[:, :, None]
        starts = first + index[:-1] * length // side
        ends = first - (-index[1:] * length // side)
        counts = (ends - starts).float()
        left, right = starts[:, 0, None, :], ends[:, 0, None, :]
        top, bottom = starts[:, 1, :, None] * (self.width + 1), ends[:, 1, :, None] * (self.width + 1)
        sums = self._at(bottom + right)
        sums -= self._at(bottom + left)
        sums -= self._at(top + right)
        sums += self._at(top + left)
        averages = sums[:, :3].float().view(-1, side, 3 * side)
        averages /= counts[:, 1, :, None]
        averages /= counts[:, 0].repeat_interleave(3, 1)[:, None, :]
        return averages.view(-1, side, side, 3).permute(0, 3, 1, 2)

    def _at(self, places: Tensor) -> Tensor:
        """int32[places, 4]: the running sums there."""
        gathered = self._padded.index_select(0, places.flatten())
        return torch.view_as_real(gathered).view(torch.int32)
