"""What is done now and then."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Moment:
    """When something that is done now and then was done last."""

    every_s: float
    """The pause between two times."""
    last_s: float = field(default=-1e9)
    """By the monotonic clock."""

    def has_come(self) -> bool:
        """Whether it is time again; counts as done from now."""
        now_s = time.monotonic()
        if now_s - self.last_s < self.every_s:
            return False
        self.last_s = now_s
        return True
