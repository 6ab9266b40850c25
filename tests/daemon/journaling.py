"""Journals for tests: events that are told apart by a number, and what a journal holds of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daemon import events
from daemon.events import Event
from daemon.frame import CameraChange
from daemon.journal import Keep
from daemon.journal_reader import JournalReader

EPOCH = "e" * 32
FOREVER = Keep(seconds=1e9, bytes=1 << 40)
CAMERAS = ("door", "gate", "yard")


def numbered(number: int, padding: int = 0) -> Event:
    """An event about one of three cameras that says its number, and is longer by so many bytes."""
    camera = CAMERAS[number % len(CAMERAS)]
    reason = f"{number} {'x' * padding}"
    return events.camera(CameraChange(camera, "online" if number % 2 else "offline", reason))


def number_of(event: dict[str, Any]) -> int:
    """Which of the numbered events this is."""
    return int(event["data"]["reason"].split()[0])


def numbers(events: Iterable[dict[str, Any]]) -> list[int]:
    return [number_of(event) for event in events]


def kept(path: Path, topics: Iterable[str] = ("",)) -> list[dict[str, Any]]:
    """Every envelope that the journal holds, page by page; fails where a page makes no headway."""
    found: list[dict[str, Any]] = []
    after = 0
    with JournalReader(path) as reader:
        while True:
            page = reader.page(after, tuple(topics), limit=100)
            found += [json.loads(body) for _, body in page.events]
            if not page.more:
                return found
            assert page.events
            after = found[-1]["data"]["seq"]
