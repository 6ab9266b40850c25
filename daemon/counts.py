"""What is counted of each camera."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from daemon.capture_messages import Cause


@dataclass(slots=True)
class Counts:
    """What became of a camera's frames."""

    read: int = 0
    """Frames that the camera gave."""
    replaced: int = 0
    """Frames that a newer one overwrote before anybody took them."""
    reopened: int = 0
    """Attempts to open the camera again after it was lost."""
    losses: Counter[Cause] = field(default_factory=Counter)
    """How often it was lost or could not be opened, by why."""
