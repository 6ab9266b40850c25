"""Events as people read them, one line each."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from daemon import events
from daemon.events import Event, Life
from daemon.wording import line_of, pretty_json
from tests.daemon.event_samples import (
    CORRECTED,
    FORGOTTEN_LEFT,
    GALLERY_EMPTY,
    LEFT,
    NAMED,
    NAMED_AT_LAST,
    NOBODY_ENROLLED,
    RECOGNIZED,
    STAMP,
    STRANGER,
    STRANGER_LEFT,
    STRANGER_NAMED,
    TAKEN_BACK,
    UNKNOWN,
)


def line(event: Event) -> str:
    """As `visaged watch` prints it."""
    topic, text = event.encode()
    return line_of(topic.decode(), json.loads(text))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (RECOGNIZED, "김연아  0.413 of 0.60  frame 4711  64 ms"),
        (UNKNOWN, "unknown e2d1c0b9  nearest Ann Lee  0.733 of 0.60  frame 4711  64 ms"),
        (GALLERY_EMPTY, "unknown e2d1c0b9  frame 4711  64 ms  (dark, profile)"),
        (CORRECTED, "김연아, not Ann Lee  0.413 of 0.60  frame 4711  64 ms"),
        (TAKEN_BACK, "unknown, not 김연아  0.733 of 0.60  frame 4711  64 ms"),
        (NAMED_AT_LAST, "김연아, not unknown  0.413 of 0.60  frame 4711  64 ms"),
        (LEFT, "김연아  after 12.4 s  best 0.312"),
        (STRANGER_LEFT, "unknown e2d1c0b9  after 12.4 s"),
        (FORGOTTEN_LEFT, "unknown  after 0.4 s"),
    ],
    ids=lambda value: value.kind if isinstance(value, Life) else None,
)
def test_each_kind_of_change_tells_what_matters_of_it(what: Life, said: str) -> None:
    assert line(events.life(what, STAMP)) == f"08:30:00.187  face/door/{what.kind}/".ljust(48) + said


@pytest.mark.parametrize(
    ("face", "said"),
    [
        (NAMED, "김연아  0.413 of 0.60  frame 4711  64 ms"),
        (STRANGER, "unknown e2d1c0b9  0.733 of 0.60  frame 4711  64 ms"),
        (NOBODY_ENROLLED, "undecided  frame 4711  64 ms  (dark, profile)"),
        (
            replace(NOBODY_ENROLLED, samples=1, distance=0.5),
            "undecided  0.500 of 0.60  frame 4711  64 ms  (dark, profile)",
        ),
    ],
)
def test_a_sighting_tells_who_it_is_by_now(face: events.Sighting, said: str) -> None:
    assert line(events.sighting(face, STAMP)) == "08:30:00.187  face/door/sighting/".ljust(48) + said


def test_a_stranger_who_got_a_name_is_told_with_both() -> None:
    said = "김연아  was e2d1c0b9  2 stays"
    assert line(events.named(STRANGER_NAMED, STAMP)) == "08:30:00.187  face/door/named/".ljust(48) + said


def test_one_event_over_several_lines_keeps_numbers_and_small_objects_together() -> None:
    event = {
        "box": [1.5, -2.0, 1e-09],
        "landmarks": [[1.0, 2.0], [3.0, 4.0]],
        "person": {"id": "1", "name": "[ {\n Ann,\n"},
        "candidates": [{"id": "1"}, {"id": "2"}],
        "reasons": ["dark", "blurred"],
        "none": [],
    }
    assert json.loads(pretty_json(event)) == event
    assert pretty_json(event).splitlines() == [
        "{",
        '  "box": [1.5, -2.0, 1e-09],',
        '  "landmarks": [[1.0, 2.0], [3.0, 4.0]],',
        '  "person": {"id": "1", "name": "[ {\\n Ann,\\n"},',
        '  "candidates": [',
        '    {"id": "1"},',
        '    {"id": "2"}',
        "  ],",
        '  "reasons": [',
        '    "dark",',
        '    "blurred"',
        "  ],",
        '  "none": []',
        "}",
    ]


def test_what_comes_too_late_is_marked() -> None:
    assert line(events.life(RECOGNIZED, STAMP, deadline_ms=50)).endswith("frame 4711  64 ms, stale")
