"""Who knows four kinds of events keeps a right list of who is there: the lines of docs/events.md."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from daemon import events
from daemon.events import Event, Life, LifeKind
from daemon.frame import CameraChange
from daemon.publisher import Publisher
from gallery.people import PersonName
from tests.conftest import REPOSITORY
from tests.daemon.event_samples import RECOGNIZED, STRANGER_NAMED
from tests.daemon.listening import await_subscribers
from tests.daemon.test_subscribing_doc import snippet

ANN, BOB, YUNA = (PersonName(str(number), name) for number, name in enumerate(("Ann", "Bob", "김연아")))


def program(endpoint: str) -> str:
    """The page's lines, at another endpoint."""
    return snippet("python", "present = {}").replace("tcp://127.0.0.1:5556", endpoint)


@contextmanager
def keeper(publisher: Publisher) -> Iterator[Any]:
    """The page's program in a process of its own; its output."""
    command = [sys.executable, "-c", program(publisher.bound)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            await_subscribers(publisher, 1)
            yield process.stdout
        finally:
            process.kill()


def recording() -> list[tuple[Event, str]]:
    """An afternoon before two cameras, and what the list of the event's camera is after each event."""
    revisions = {track: count(1) for track in "abcde"}

    def life(
        camera: str, track: str, kind: LifeKind, person: PersonName | None, previous: PersonName | None = None
    ) -> Event:
        face = replace(
            RECOGNIZED.face,
            camera=camera,
            track=track,
            state=kind,
            revision=next(revisions[track]),
            person=person,
            stranger="s" if person is None else None,
        )
        return events.life(Life(kind, face, previous, (), 0, 1_000_000_000, None))

    def sighting(camera: str, track: str, person: PersonName | None) -> Event:
        return events.sighting(replace(RECOGNIZED.face, camera=camera, track=track, person=person))

    return [
        (life("door", "a", "recognized", ANN), "door ['Ann']"),
        (life("yard", "b", "unknown", None), "yard ['unknown']"),
        (life("door", "c", "recognized", BOB), "door ['Ann', 'Bob']"),
        # A name is taken back for another, and for nobody; and comes back.
        (life("door", "c", "corrected", YUNA, BOB), "door ['Ann', '김연아']"),
        (life("door", "a", "corrected", None, ANN), "door ['unknown', '김연아']"),
        (life("door", "a", "corrected", ANN), "door ['Ann', '김연아']"),
        # Who was unknown gets a name, which changes nothing of who is there, and is recognized.
        (events.named(replace(STRANGER_NAMED, camera="yard", tracks=("b",))), "yard ['unknown']"),
        (life("yard", "b", "recognized", ANN), "yard ['Ann']"),
        # Ann goes and is back in time: her new track is nobody's until it is known that she goes on.
        (sighting("door", "d", None), "door ['Ann', '김연아']"),
        (sighting("door", "a", ANN), "door ['Ann', '김연아']"),
        (life("door", "a", "left", ANN), "door ['김연아']"),
        (life("yard", "e", "unknown", None), "yard ['Ann', 'unknown']"),
        (life("yard", "b", "left", ANN), "yard ['unknown']"),
        (life("door", "c", "left", YUNA), "door []"),
        (life("yard", "e", "left", None), "yard []"),
        # All that was told before of this one was lost.
        (life("door", "d", "left", BOB), "door []"),
    ]


def test_the_list_is_right_after_each_event() -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher, keeper(publisher) as listed:
        for number, (event, expected) in enumerate(recording()):
            publisher.send(event)
            assert listed.readline() == expected + "\n", (number, event.topic)


def test_other_events_do_not_disturb_the_list() -> None:
    later = replace(recording()[0][0], topic="face/door/waved/", type="visaged.face.waved")
    with Publisher("tcp://127.0.0.1:*") as publisher, keeper(publisher) as listed:
        publisher.send(recording()[0][0])
        publisher.send(events.camera(CameraChange("door", "offline", None)))
        publisher.send(later)
        assert [listed.readline(), listed.readline()] == ["door ['Ann']\n"] * 2


def test_the_page_keeps_its_promise_of_ten_lines() -> None:
    assert len([line for line in program("").splitlines() if line.strip()]) == 10
