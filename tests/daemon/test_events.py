"""What the daemon says is JSON that anybody can read, whatever is in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import events
from daemon.events import TOPICS, Heartbeat, Life, Sighting, Stamp, Stopping
from daemon.frame import CameraChange
from gallery.matcher import RunnerUp
from gallery.people import PersonName
from tests.daemon.event_samples import (
    CORRECTED,
    LEFT,
    LIVES,
    NAMED,
    NOBODY_ENROLLED,
    PICTURE,
    RECOGNIZED,
    STAMP,
    UNKNOWN,
    every_event,
)

pixels = st.floats(0, 16384, width=32)
distances = st.floats(0, 2)
texts = st.text(st.characters(exclude_categories=["Cs"]))
people = st.builds(PersonName, texts, texts)
runners_up = st.builds(RunnerUp, texts, texts, distances)
times = st.integers(0, 4_102_444_800 * 10**9)
sightings = st.builds(
    Sighting,
    camera=st.from_regex(r"[a-z0-9_-]+", fullmatch=True),
    frame_index=st.integers(0, 2**53),
    frame_width=st.integers(1, 16384),
    frame_height=st.integers(1, 16384),
    captured_unix_ns=times,
    grabbed_monotonic_ns=st.integers(0, 2**62),
    box=st.tuples(pixels, pixels, pixels, pixels),
    landmarks=st.tuples(*[st.tuples(pixels, pixels)] * 5),
    score=st.floats(0, 1),
    person=st.none() | people,
    distance=st.none() | distances,
    threshold=distances,
    runner_up=st.none() | runners_up,
    reasons=st.lists(texts).map(tuple),
    model=texts,
    gallery_revision=st.integers(0, 2**53),
    track=texts,
    revision=st.integers(0, 2**53),
    state=st.sampled_from(["undecided", "recognized", "unknown", "corrected", "left"]),
    samples=st.integers(0, 2**53),
    stranger=st.none() | texts,
)
lives = st.builds(
    Life,
    kind=st.sampled_from(["recognized", "unknown", "corrected", "left"]),
    face=sightings,
    previous=st.none() | people,
    candidates=st.lists(runners_up, max_size=2).map(tuple),
    first_unix_ns=times,
    last_unix_ns=times,
    best_distance=st.none() | distances,
)


def test_a_sighting_says_what_the_pipeline_decided() -> None:
    topic, text = events.sighting(NAMED, STAMP).encode()
    assert topic == b"face/door/sighting/"
    assert json.loads(text) == {
        "specversion": "1.0",
        "id": "0b0f8a52-6a1c-4c5e-9a52-3f1f5f0c7a11",
        "source": "visaged/porch",
        "type": "visaged.face.sighting",
        "subject": "door",
        "time": "2026-03-01T08:30:00.187210Z",
        "data": {
            "camera": "door",
            "frame": {"index": 4711, "width": 1280, "height": 720},
            "captured": "2026-03-01T08:30:00.123456Z",
            "decided": "2026-03-01T08:30:00.187210Z",
            "latency_ms": 63.754,
            "stale": False,
            "track": "3f6b2c1d-8e4a-4b7c-9d0e-1f2a3b4c5d6e",
            "revision": 1,
            "state": "recognized",
            "samples": 3,
            "previous": None,
            "stranger": None,
            "box": [512.31, 188.02, 640.77, 352.4],
            "landmarks": [
                [545.1, 250.33],
                [604.92, 249.7],
                [575.0, 286.41],
                [550.26, 316.8],
                [601.11, 315.95],
            ],
            "score": 0.9997,
            "person": {"id": "6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "name": "김연아"},
            "distance": 0.412877,
            "threshold": 0.6,
            "runner_up": {
                "id": "a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001",
                "name": "Ann Lee",
                "distance": 0.733102,
            },
            "reasons": [],
            "liveness": "not_checked",
            "model": "dlib-mtcnn-1a2b3c4d5e6f7a8b",
            "gallery_revision": 12,
        },
    }


def test_a_change_says_all_that_a_sighting_does_and_what_changed() -> None:
    topic, text = events.life(CORRECTED, STAMP).encode()
    event = json.loads(text)
    assert topic == b"face/door/corrected/"
    assert (event["type"], event["subject"]) == ("visaged.face.corrected", "door")
    assert event["data"] == {
        **events.sighting(CORRECTED.face, STAMP).data,
        "state": "corrected",
        "previous": {"id": "a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001", "name": "Ann Lee"},
        "candidates": [
            {"id": "6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "name": "김연아", "distance": 0.412877},
            {"id": "a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001", "name": "Ann Lee", "distance": 0.733102},
        ],
        "first": "2026-03-01T08:29:59.690123Z",
        "last": "2026-03-01T08:30:00.123456Z",
        "duration_s": 0.433333,
        "best_distance": None,
    }


def test_who_left_has_the_best_distance_and_the_time_they_stayed() -> None:
    data = events.life(LEFT, STAMP).data
    assert (data["first"], data["last"]) == ("2026-03-01T08:29:44.690123Z", "2026-03-01T08:29:57.090123Z")
    assert (data["duration_s"], data["best_distance"]) == (12.4, 0.312046)


def test_only_a_correction_takes_a_name_back_and_only_leaving_tells_the_best_distance() -> None:
    for what in LIVES:
        data = events.life(replace(what, previous=NAMED.person, best_distance=0.25)).data
        assert (data["previous"] is not None) == (what.kind == "corrected")
        assert (data["best_distance"] is not None) == (what.kind == "left")


def test_the_state_after_a_change_is_its_kind() -> None:
    for what in LIVES:
        assert events.life(what).data["state"] == what.kind


@pytest.mark.parametrize(
    ("deadline_ms", "stale"), [(None, False), (63.755, False), (63.754, False), (63.753, True), (1, True)]
)
def test_an_event_is_stale_when_it_is_later_than_the_deadline(deadline_ms: float | None, stale: bool) -> None:
    for event in (
        events.sighting(NAMED, STAMP, deadline_ms=deadline_ms),
        events.life(RECOGNIZED, STAMP, deadline_ms=deadline_ms),
    ):
        assert event.data["latency_ms"] == 63.754
        assert event.data["stale"] is stale


def test_json_is_compact_and_keeps_scripts_readable() -> None:
    _, text = events.sighting(NAMED).encode()
    assert '"name":"김연아"'.encode() in text
    assert b", " not in text
    assert b'": ' not in text


def test_nobody_and_nothing_are_null() -> None:
    data = json.loads(events.sighting(NOBODY_ENROLLED).encode()[1])["data"]
    assert (data["person"], data["distance"], data["runner_up"]) == (None, None, None)
    assert data["reasons"] == ["dark", "profile"]


def test_when_it_was_decided_may_be_before_it_was_made() -> None:
    event = events.sighting(NAMED, STAMP, decided_unix_ns=STAMP.unix_ns - 10_000_000)
    assert event.data["decided"] == "2026-03-01T08:30:00.177210Z"
    assert event.time == "2026-03-01T08:30:00.187210Z"
    change = events.life(UNKNOWN, STAMP, decided_unix_ns=STAMP.unix_ns - 10_000_000)
    assert change.data["decided"] == event.data["decided"]


@given(sightings)
def test_every_sighting_survives_the_wire(face: Sighting) -> None:
    event = events.sighting(face)
    topic, text = event.encode()
    assert topic.decode() == f"face/{face.camera}/sighting/"
    received = json.loads(text)
    assert received["data"] == event.data
    data = received["data"]
    assert (None if data["person"] is None else PersonName(**data["person"])) == face.person
    assert data["box"] == pytest.approx(face.box, abs=0.005001)
    assert data["distance"] == (None if face.distance is None else pytest.approx(face.distance, abs=5e-7))
    assert data["reasons"] == list(face.reasons)


@given(lives)
def test_every_change_survives_the_wire(what: Life) -> None:
    event = events.life(what)
    topic, text = event.encode()
    assert topic.decode() == f"face/{what.face.camera}/{what.kind}/"
    data = json.loads(text)["data"]
    assert data == event.data
    for told, candidate in zip(data["candidates"], what.candidates, strict=True):
        assert PersonName(told["id"], told["name"]) == PersonName(candidate.id, candidate.name)
        assert told["distance"] == pytest.approx(candidate.distance, abs=5e-7)
    stay = datetime.fromisoformat(data["last"]) - datetime.fromisoformat(data["first"])
    assert stay / timedelta(microseconds=1) == round(data["duration_s"] * 1e6)


def test_numbers_of_numpy_become_plain_ones() -> None:
    leaked: dict[str, Any] = {
        "frame_index": np.int64(7),
        "box": np.array([1.005, 2, 3, 4], np.float32),
        "landmarks": np.zeros((5, 2), np.float32),
        "score": np.float32(0.5),
        "distance": np.float32(0.25),
        "threshold": np.float64(0.6),
        "gallery_revision": np.int32(3),
        "samples": np.int64(4),
    }
    face = replace(NAMED, **leaked)
    data = events.sighting(face).data
    assert json.loads(json.dumps(data)) == data
    assert {type(number) for number in (data["score"], data["distance"], data["threshold"])} == {float}
    assert {type(data[count]) for count in ("gallery_revision", "samples")} == {int}
    far = RunnerUp("1", "Ann", np.float32(0.7))  # type: ignore[arg-type]
    change: dict[str, Any] = {
        "candidates": (far,),
        "first_unix_ns": np.int64(1),
        "best_distance": np.float32(0.1),
    }
    data = events.life(replace(LEFT, face=face, **change)).data
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_an_error_and_never_on_the_wire(number: float) -> None:
    event = events.sighting(replace(NAMED, distance=number))
    with pytest.raises(ValueError, match="JSON"):
        event.encode()


def test_an_object_that_has_no_place_in_an_event_is_refused() -> None:
    with pytest.raises(TypeError, match="no place in an event"):
        events.daemon(Heartbeat(np.float32(1), 0, []))  # type: ignore[arg-type]


def test_bytes_that_are_no_text_do_not_end_the_daemon() -> None:
    # What a path in another encoding becomes when Python reads it from the command line.
    reason = b"/videos/caf\xe9.mp4".decode(errors="surrogateescape")
    _, text = events.camera(CameraChange("door", "offline", reason)).encode()
    assert json.loads(text)["data"]["reason"] == "/videos/caf?.mp4"


@pytest.mark.parametrize("name", ["", "Door", "front door", "door/1", "tür", "a\n"])
def test_a_camera_whose_name_would_spoil_the_topic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a-z"):
        events.camera(CameraChange(name, "online", None))


def test_a_kind_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="table of topics"):
        events.camera(CameraChange("door", "bored", None))  # type: ignore[arg-type]


def test_events_about_the_daemon_have_no_subject() -> None:
    # CloudEvents: a subject that is there must not be empty.
    assert "subject" not in json.loads(events.daemon(Stopping("SIGTERM")).encode()[1])


def test_every_topic_of_the_table_can_be_said_and_ends_with_a_slash() -> None:
    said = {event.topic.replace("/door/", "/<camera>/") for event in every_event()}
    said = {topic.replace(str(NAMED.track), "<track>") for topic in said}
    assert said == set(TOPICS)
    assert all(topic.endswith("/") for topic in said)


def test_the_type_repeats_the_topic() -> None:
    for event in every_event():
        parts = event.topic.split("/")
        kind = "face" if parts[0] == "crop" else parts[-2]
        assert event.type == f"visaged.{parts[0]}.{kind}"


def test_a_picture_says_what_it_belongs_to_and_is_no_part_of_the_json() -> None:
    told = events.life(LEFT)
    crop = events.crop(told, PICTURE)
    assert crop.topic == f"crop/door/{told.data['track']}/"
    assert crop.data["event"] == told.id != crop.id
    for field in ("camera", "track", "revision", "state", "person", "stranger"):
        assert crop.data[field] == told.data[field]
    assert crop.picture == PICTURE.jpeg
    assert crop.data["bytes"] == len(PICTURE.jpeg)
    assert crop.passing, "the journal never keeps a picture"
    assert len(crop.encode()) == 2
    assert told.picture is None


def test_no_two_events_have_one_id() -> None:
    assert len({events.daemon(Stopping("again")).id for _ in range(1000)}) == 1000


def test_the_source_is_a_uri_reference() -> None:
    assert re.fullmatch(r"visaged/[A-Za-z0-9._~%-]+", events.SOURCE)


def test_a_stamp_is_of_this_moment() -> None:
    before = datetime.now(UTC)
    made = datetime.fromisoformat(events.daemon(Stopping("now"), Stamp.now()).time)
    assert abs((made - before).total_seconds()) < 10


@pytest.mark.parametrize(
    ("unix_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (1_772_353_800_123_456_789, "2026-03-01T08:30:00.123456Z"),
        (1_772_353_799_999_999_999, "2026-03-01T08:29:59.999999Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_utc_to_the_microsecond_never_rounded_up(unix_ns: int, text: str) -> None:
    assert events.rfc3339(unix_ns) == text
