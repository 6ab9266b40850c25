"""What the broker should hold of who is where, event by event."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from daemon import events
from daemon.bridge_mqtt_state import House
from daemon.client import Received, decode
from daemon.events import CameraPulse, Event, Forgotten, Heartbeat, Mark, Started
from daemon.frame import CameraChange
from gallery.people import PersonName
from tests.daemon.event_samples import CORRECTED, LEFT, NAMED, RECOGNIZED, STRANGER_LEFT, UNKNOWN

YUNA, ANN = "6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001"
TRACK = NAMED.track
FIRST = "2026-03-01T08:29:59.690123Z"


def received(event: Event, seq: int | None = None) -> Received:
    return decode(event.encode(Mark(seq, None, "e" * 32, seq is not None))[:2])


def life(what: events.Life, seq: int | None = None) -> Received:
    return received(events.life(what), seq)


def house(*told: Received, discovery: str | None = None) -> House:
    """At the door, after these events."""
    made = House("visaged", discovery)
    made.begin({"epoch": "e", "head": 0, "cameras": {"door": []}})
    for event in told:
        made.apply(event)
    return made


def person(made: House, identity: str = YUNA, camera: str = "door") -> Any:
    return json.loads(made.retained()[f"visaged/{camera}/person/{identity}"])


def present(made: House, camera: str = "door") -> Any:
    return json.loads(made.retained()[f"visaged/{camera}/present"])


def test_a_camera_without_anybody_is_empty() -> None:
    assert house().retained() == {
        "visaged/availability": "online",
        "visaged/daemon/availability": "online",
        "visaged/door/present": '{"count":0,"people":[],"strangers":0}',
    }


def test_who_comes_is_present_and_who_leaves_is_not() -> None:
    made = house(life(RECOGNIZED))
    assert person(made) == {"present": True, "id": YUNA, "name": "김연아", "since": FIRST}
    assert present(made) == {"count": 1, "people": [{"id": YUNA, "name": "김연아"}], "strangers": 0}
    made.apply(life(LEFT))
    assert person(made) == {"present": False, "id": YUNA, "name": "김연아", "since": None}
    assert present(made)["count"] == 0


def test_a_name_that_is_taken_back_is_present_no_more() -> None:
    ann = replace(NAMED, person=CORRECTED.previous)
    made = house(life(replace(RECOGNIZED, face=ann)), life(CORRECTED))
    assert (person(made)["present"], person(made, ANN)["present"]) == (True, False)
    assert present(made)["count"] == 1


def test_strangers_are_counted() -> None:
    made = house(life(UNKNOWN))
    assert present(made) == {"count": 1, "people": [], "strangers": 1}
    made.apply(life(STRANGER_LEFT))
    assert present(made)["strangers"] == 0


def test_a_person_with_two_tracks_is_there_until_the_second_one_ends() -> None:
    other = replace(NAMED, track="another")
    made = house(life(RECOGNIZED), life(replace(RECOGNIZED, face=other)), life(LEFT))
    assert person(made)["present"]
    made.apply(life(replace(LEFT, face=replace(other, state="left", revision=2))))
    assert not person(made)["present"]


def test_cameras_are_apart() -> None:
    made = house(life(RECOGNIZED), life(replace(RECOGNIZED, face=replace(NAMED, camera="yard"))), life(LEFT))
    assert (person(made)["present"], person(made, camera="yard")["present"]) == (False, True)


def test_an_event_that_comes_again_changes_nothing() -> None:
    made = house(life(RECOGNIZED, 1), life(CORRECTED, 2), life(RECOGNIZED, 1))
    before = made.retained()
    made.apply(life(RECOGNIZED, 1))
    assert made.retained() == before


def test_a_daemon_that_starts_knows_nobody_any_more() -> None:
    started = received(events.daemon(Started("0.1.0", "CPU", "model", 1, ["door"])))
    assert not person(house(life(RECOGNIZED), started))["present"]


def test_a_cameras_state_is_told_by_its_events_and_by_heartbeats() -> None:
    made = house(received(events.camera(CameraChange("door", "online", None))))
    assert made.retained()["visaged/door/state"] == "online"
    pulses = [CameraPulse("door", "offline", 1, 1, 0, []), CameraPulse("yard", "starting", 0, 0, 0, [])]
    made.apply(received(events.daemon(Heartbeat(1.0, 0, pulses))))
    kept = made.retained()
    assert (kept["visaged/door/state"], kept["visaged/yard/state"]) == ("offline", "starting")


def test_what_the_daemons_answer_told_is_not_told_by_older_events_again() -> None:
    made = house()
    face = {
        "track": TRACK,
        "person": {"id": ANN, "name": "Ann Lee"},
        "state": "corrected",
        "stranger": None,
        "revision": 2,
        "since": FIRST,
    }
    assert made.begin({"epoch": "e", "head": 7, "cameras": {"door": [face], "yard": []}}) == 7
    made.apply(life(LEFT, 7))
    made.apply(life(RECOGNIZED, 6))
    assert person(made, ANN)["present"]
    made.apply(life(replace(LEFT, face=replace(LEFT.face, revision=3)), 8))
    assert not person(made, ANN)["present"]


def test_whom_the_broker_remembers_from_an_earlier_run_has_left_meanwhile() -> None:
    made = house(life(RECOGNIZED))
    kept = json.dumps({"present": True, "id": ANN, "name": "Ann Lee", "since": FIRST})
    made.learn(f"visaged/door/person/{ANN}", kept.encode())
    made.learn(f"visaged/door/person/{YUNA}", kept.encode())
    assert not person(made, ANN)["present"]
    assert person(made)["name"] == "김연아"


def forgotten(*ids: str, seq: int | None = None) -> Received:
    first, *merged = ids
    return received(events.daemon(Forgotten(first, merged, "asked", True)), seq)


def test_who_is_forgotten_is_cleared_from_the_broker_with_all_topics() -> None:
    made = house(life(RECOGNIZED), discovery="homeassistant")
    topics = {topic for topic in made.retained() if YUNA in topic}
    assert len(topics) == 2
    made.apply(forgotten("another", YUNA))
    kept = made.retained()
    assert {topic: kept[topic] for topic in topics} == dict.fromkeys(topics, "")
    assert "김연아" not in json.dumps(kept, ensure_ascii=False)
    assert present(made) == {"count": 1, "people": [], "strangers": 1}


def test_who_was_forgotten_while_no_bridge_ran_is_not_learnt_from_the_broker() -> None:
    kept = json.dumps({"present": False, "id": ANN, "name": "Ann Lee", "since": None}).encode()
    for told_first in (True, False):
        made = House("visaged", None)
        made.begin({"epoch": "e", "head": 9, "cameras": {"door": []}})
        if told_first:
            made.apply(forgotten(ANN, seq=5))
        made.learn(f"visaged/door/person/{ANN}", kept)
        if not told_first:
            made.apply(forgotten(ANN, seq=5))
        assert made.retained()[f"visaged/door/person/{ANN}"] == ""


def test_an_event_whose_name_was_blanked_since_is_of_nobody() -> None:
    blank = replace(NAMED, person=PersonName(YUNA, ""))
    made = house(life(replace(RECOGNIZED, face=blank)), discovery="homeassistant")
    assert not any(YUNA in topic for topic in made.retained())
    assert present(made) == {"count": 1, "people": [], "strangers": 1}


def test_who_comes_back_with_a_backup_has_topics_again() -> None:
    made = house(life(RECOGNIZED), forgotten(YUNA), life(replace(RECOGNIZED, face=replace(NAMED, track="b"))))
    assert person(made)["present"]


def test_what_is_nobody_of_ours_is_not_learnt() -> None:
    made = house()
    before = made.retained()
    for topic, payload in (
        ("other/door/person/x", b'{"name": "Ann"}'),
        ("visaged/door/person/x", b""),
        ("visaged/door/person/x", b"[]"),
        ("visaged/door/person/x", b'{"name": 3}'),
        ("visaged/door/person/x", b"\xff"),
        ("visaged/Front Door/person/x", b'{"name": "Ann"}'),
        ("visaged/door/person/x/y", b'{"name": "Ann"}'),
    ):
        made.learn(topic, payload)
    assert made.retained() == before


def test_a_daemon_that_is_not_heard_makes_everything_unavailable() -> None:
    made = house(life(RECOGNIZED))
    made.daemon_heard = False
    assert made.retained()["visaged/daemon/availability"] == "offline"


def test_home_assistant_finds_persons_and_cameras() -> None:
    made = house(
        life(RECOGNIZED),
        received(events.camera(CameraChange("door", "online", None))),
        discovery="homeassistant",
    )
    kept = made.retained()
    found = {topic: json.loads(text) for topic, text in kept.items() if topic.endswith("/config")}
    assert set(found) == {
        "homeassistant/sensor/visaged/door_present/config",
        "homeassistant/binary_sensor/visaged/door_camera/config",
        f"homeassistant/binary_sensor/visaged/door_{YUNA}/config",
    }
    for settings in found.values():
        assert settings["state_topic"] in kept
        assert all(each["topic"] in kept for each in settings["availability"])
        assert settings["device"]["identifiers"] == ["visaged"]
    assert len({settings["unique_id"] for settings in found.values()}) == 3
    ours = found[f"homeassistant/binary_sensor/visaged/door_{YUNA}/config"]
    assert (ours["name"], ours["device_class"]) == ("김연아 at door", "occupancy")


def test_discovery_takes_only_signs_that_home_assistant_takes() -> None:
    made = House("my house/faces", "homeassistant")
    made.begin({"head": None, "cameras": {"door": []}})
    assert "homeassistant/sensor/my_house_faces/door_present/config" in made.retained()
