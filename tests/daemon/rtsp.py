"""Runs tests/rtsp_server.py, a real RTSP server, as a process to kill, freeze and start again."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
"""The server's library comes with the system and its Python, not from a package index."""
SCRIPT = Path(__file__).parent.parent / "rtsp_server.py"
MISSING = 77


class RtspServer:
    """A camera at rtsp://127.0.0.1:PORT/camera. The test is skipped where its packages are missing."""

    def __init__(
        self,
        port: int = 0,
        clip: Path | None = None,
        password: str | None = None,
        shared_with_key_frame_every: int | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """options: more of the script's."""
        if not Path(SYSTEM_PYTHON).exists():
            pytest.skip(f"no {SYSTEM_PYTHON} to run an RTSP server with")
        options = ["--port", str(port), *options]
        options += ["--clip", str(clip)] if clip else []
        options += ["--password", password] if password else []
        if shared_with_key_frame_every:
            options += ["--shared", "--key-frame-every", str(shared_with_key_frame_every)]
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, str(SCRIPT), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        if not answer.startswith("port "):
            missing = self._process.wait() == MISSING
            self.kill()
            if missing:
                pytest.skip(f"no RTSP server here: {answer}")
            pytest.fail(f"the RTSP server did not start: {answer}")
        self.port = int(answer.removeprefix("port "))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def url(self, user_info: str = "") -> str:
        """Where the camera is; user_info is `admin:PASSWORD@`, if one was asked for."""
        return f"rtsp://{user_info}127.0.0.1:{self.port}/camera"

    def kill(self) -> None:
        """As if its plug were pulled; once more does nothing."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def lost_s(self) -> list[float]:
        """When it lost packets, by this machine's monotonic clock."""
        assert self._process.stdout is not None
        self.tell("lost")
        return [float(each) for each in json.loads(self._process.stdout.readline())]

    def tell(self, command: str) -> None:
        """One of the commands that the script's docstring names."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
