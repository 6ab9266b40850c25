"""A command that is told to end puts away what it began, as after Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType


class Ending:
    """SIGTERM, and SIGHUP when a terminal is closed, break a command off as Ctrl-C does.

    The system would end it on the spot: the cursor hidden, half a file written, what it started left.
    A command that has another use for a signal takes it over.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Under nohup a closed terminal is to be ignored.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._break_off)

    def _break_off(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        # One more ends on the spot what hangs.
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    def leave(self) -> None:
        """From here on there is nothing to put away. Whoever sent a signal is to see that it ended us."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.default_int_handler, self._break_off):
                signal.signal(number, signal.SIG_DFL)
        if self._number is not None:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os.kill(os.getpid(), self._number)
