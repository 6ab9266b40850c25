"""How a running daemon fares, asked of itself: for `visaged status`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.errors import UsageError
from daemon.starting import starting_process

if TYPE_CHECKING:
    from daemon.config import Config

ANSWER_S = 3.0
"""A daemon that lives answers within a tenth of it."""
SILENT_S = 10.0
"""Its main loop says something every second; one that has not for so long is stuck."""
PATIENCE = "its nets load in seconds, and the first start compiles them for up to a minute; ask again then"

Status = dict[str, Any]
"""JSON, as the command prints it."""


class NoAnswer(Exception):
    """No daemon says how it fares; the text says why, and what to do."""


def ask_status(config: Config, replay: str | None = None, keys: Path | None = None) -> Status:
    """Over the replay socket, or the control socket where that is off or lets in nobody without a key.

    replay: of another daemon than the configured one. Raises NoAnswer.
    """
    keys = keys or config.client.keys
    if replay is None and (process := starting_process(config.reached_path)) is not None:
        raise NoAnswer(f"a daemon is starting{f' (process {process})' if process else ''}: {PATIENCE}")
    has_replay = config.events.replay != "off" and (keys is not None or not config.events.curve)
    if replay is None and not has_replay:
        return _status_of(_over_control(config))
    return _status_of(_over_replay(replay or config.events.replay, keys))


def _over_replay(endpoint: str, keys: Path | None) -> Status:
    from daemon.client import NobodyListens, ask

    try:
        return ask({"op": "status"}, replay=endpoint, keys=keys, timeout_s=ANSWER_S, await_daemon=False)
    except NobodyListens:
        raise NoAnswer(f"no daemon answers at {endpoint}: start one with visaged run") from None
    except TimeoutError:
        key = "does it know this key?" if keys else "does it ask for a key ([client] keys)?"
        raise NoAnswer(f"no daemon answers at {endpoint}: is one running, and {key}") from None
    except ValueError as error:
        raise NoAnswer(str(error)) from None


def _over_control(config: Config) -> Status:
    from daemon.control_client import RemoteGallery, is_running

    try:
        if not is_running(config.reached_path):
            raise NoAnswer(f"no daemon answers at {config.reached_path}: start one with visaged run")
        with RemoteGallery(config.reached_path) as remote:
            return remote.status()
    except UsageError as error:
        raise NoAnswer(str(error)) from None


def _status_of(answer: Status) -> Status:
    """One flat document of what the daemon said last."""
    started, beat, silent_s = (answer.get(key) for key in ("started", "heartbeat", "silent_s"))
    if started is None or beat is None or silent_s is None:
        raise NoAnswer("the daemon is only starting: ask again in a second")
    if silent_s > SILENT_S:
        raise NoAnswer(f"the daemon answers, but its main loop has been stuck for {silent_s:.0f} s")
    told = {key: started[key] for key in ("version", "device", "model")}
    return {**told, "epoch": answer["epoch"], "silent_s": silent_s, **beat}
