"""How the pictures between dlib's layers lie in memory."""

from __future__ import annotations

from dataclasses import dataclass

from gallery.faces.machine_code.processor import beside


@dataclass(frozen=True, slots=True)
class Level:
    """Pictures of one size: flat float32[faces, span, span, channels], with a border of zeros on all sides.

    A pixel more on the left and at the top, and at the other sides as far as Winograd's last tiles reach.
    """

    side: int
    """Pixels in a row, and rows."""
    channels: int
    results: int
    """Winograd's tiles have so many pixels in a row; the last tile may reach beyond the picture."""
    tiles: int
    """How many are computed together, at least, so that their numbers stay in a core's own cache."""

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.side // self.results)

    @property
    def span(self) -> int:
        """Pixels in a row with the border."""
        return self.across * self.results + 2

    @property
    def origin(self) -> int:
        """Where the first pixel of a face lies."""
        return (self.span + 1) * self.channels

    @property
    def size(self) -> int:
        """Floats a face."""
        return self.span * self.span * self.channels

    @property
    def beside(self) -> int:
        """Tiles that are multiplied beside each other."""
        return beside(self.channels, self.tiles)

    @property
    def group(self) -> int:
        """Tiles that are computed together."""
        return -(-self.tiles // self.beside) * self.beside

    @property
    def room(self) -> int:
        """Floats that Winograd's pixels, or products, take."""
        return (self.results + 2) ** 2 * self.group * self.channels


A, B, C = Level(35, 32, 4, 28), Level(17, 64, 4, 14), Level(8, 128, 4, 16)
D, E = Level(4, 256, 2, 32), Level(2, 256, 2, 1)
"""Each has half the pixels in a row of the one before. Of D's 4, 3 are convolved at first; of E's 2, one.

Tiles of 4 by 4 need the fewest products, and the most room for weights: D's would be 9 MB a layer, read again
for every chunk of faces.
"""
