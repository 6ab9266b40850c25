"""What is owed of forgetting is told by the daemon's loop, and stays owed until the journal has it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from daemon import events
from daemon.courier import Courier
from daemon.forgetter import Forgetter
from daemon.forgetting_desk import forget_here
from daemon.presence import Presence
from daemon.publisher import Publisher
from daemon.recorder import Recorder
from gallery import forgetting
from gallery.store import Gallery
from tests.daemon.journaling import CAMERAS, EPOCH, FOREVER, kept
from tests.daemon.remembering import State, enrol, named, told, write

WAIT_S = 60.0


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def owed(state: State) -> list[str]:
    with Gallery.open(state.gallery) as gallery:
        return [each.person_id for each in forgetting.owed(gallery)]


def test_what_could_not_be_stored_is_told_again_when_it_can_and_then_no_more(tmp_path: Path) -> None:
    state = State(tmp_path)
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
        write(state.journal, [told("recognized", named(ann))])
        assert forget_here(gallery, state.places, ann.id).verified
    assert owed(state) == [ann.id]
    recorder = Recorder(state.journal, EPOCH, FOREVER)
    with (
        recorder,
        Publisher("tcp://127.0.0.1:*") as publisher,
        Courier(publisher, recorder, Presence(CAMERAS, recorder.head)) as courier,
        closing(sqlite3.connect(state.journal, isolation_level=None)) as other,
        Forgetter(state.gallery, None, state.places, recorder) as forgetter,
    ):

        def turn() -> int:
            """One of the daemon's loop; how many were told of."""
            tellings = list(forgetter.owed())
            for telling in tellings:
                courier.send(events.daemon(telling.what))
                telling.done.set_result(courier.passed())
            return len(tellings)

        assert recorder.reason is None
        # Just then somebody else locks the journal.
        other.execute("BEGIN IMMEDIATE")
        until(lambda: turn() == 1)
        until(lambda: recorder.reason is not None)
        forgetter.wake()
        time.sleep(0.3)
        # While nothing can be stored it is not tried each time.
        assert turn() == 0
        assert owed(state) == [ann.id]
        other.execute("ROLLBACK")
        until(lambda: recorder.reason is None)
        forgetter.wake()
        until(lambda: turn() == 1)
        until(lambda: owed(state) == [])
        forgetter.wake()
        time.sleep(0.3)
        assert turn() == 0
    stored = kept(state.journal, ["daemon/forgotten/"])
    assert [event["data"]["id"] for event in stored] == [ann.id]
    assert stored[0]["data"]["verified"]
