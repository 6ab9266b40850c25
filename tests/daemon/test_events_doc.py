"""docs/events.md and the bytes on the wire say the same, in both directions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from daemon.events import TOPICS
from daemon.publisher import Publisher
from tests.conftest import REPOSITORY
from tests.daemon.event_samples import as_published
from tests.daemon.listening import await_subscribers, listener

PAGE = (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
ENVELOPE = "The envelope"
EVERY = "Every event"
FACE = "Every event about a face"


@dataclass(frozen=True)
class Field:
    """One row of a table."""

    path: str
    """Such as frame.index or cameras[].name."""
    type: str
    nullable: bool
    meaning: str


def tables() -> dict[str, dict[str, Field]]:
    """Heading (of a topic: the topic) to path to row; only tables of fields.

    What holds of every event, or of every face, holds of each kind but where its own table says otherwise.
    """
    found: dict[str, dict[str, Field]] = {}
    for section in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:]:
        heading = section.splitlines()[0].strip("` ")
        rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.*?) ?\| (yes|no) \| ?(.*?) ?\|$", section, re.MULTILINE)
        if rows:
            fields = {row[0]: Field(row[0], row[1], row[3] == "yes", row[4]) for row in rows}
            general = found[EVERY] if heading in TOPICS else {}
            # What a stranger was named is about no frame.
            face = found[FACE] if heading.startswith("face/") and "/named/" not in heading else {}
            found[heading] = {**general, **face, **fields}
    return found


def said(table: dict[str, Field]) -> set[str]:
    """Paths of the fields that have a value in this kind of event, sooner or later."""
    nothing = {path for path, field in table.items() if field.type == "null"}
    return {path for path in table if path not in nothing and path.rpartition(".")[0] not in nothing}


def examples() -> dict[str, dict[str, Any]]:
    """Topic with <camera> in place of the camera's name to the example's {"topic", "event"}."""
    blocks = re.findall(r"^### `(.+?)`$.*?^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return {topic: json.loads(block) for topic, block in blocks}


def general(topic: str) -> str:
    """The topic as the page names it."""
    parts = topic.split("/")
    if parts[0] == "crop":
        return "crop/<camera>/<track>/"
    return topic if parts[0] == "daemon" else "/".join([parts[0], "<camera>", *parts[2:]])


def leaves(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of an object, with those of the objects inside it."""
    for name, inner in value.items():
        path = prefix + name
        yield path, inner
        if isinstance(inner, dict):
            yield from leaves(inner, f"{path}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            for item in inner:
                yield from leaves(item, f"{path}[].")


def fits(value: Any, type_name: str) -> bool:
    """Whether a value that is not null is of the type that the page writes so."""
    if inner := re.fullmatch(r"list of (\w+)", type_name):
        return isinstance(value, list) and all(fits(item, inner[1]) for item in value)
    if inner := re.fullmatch(r"\[(.+) × (\d+)\]", type_name):
        right_length = isinstance(value, list) and len(value) == int(inner[2])
        return right_length and all(fits(item, inner[1]) for item in value)
    if type_name == "time":
        return isinstance(value, str) and TIME.fullmatch(value) is not None
    python_types: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "object": dict,
        "null": (),
    }
    if type_name == "boolean":
        return isinstance(value, bool)
    return isinstance(value, python_types[type_name]) and not isinstance(value, bool)


def problems(
    value: dict[str, Any], table: dict[str, Field], *, optional: frozenset[str] = frozenset()
) -> list[str]:
    """Where one object and its table differ."""
    found = []
    there = dict(leaves(value))
    for path, inner in leaves(value):
        if path not in table:
            found.append(f"{path} is not in the table")
        elif inner is None and not table[path].nullable:
            found.append(f"{path} is null")
        elif inner is not None and not fits(inner, table[path].type):
            found.append(f"{path} is no {table[path].type}: {inner!r}")
    for path in table:
        above = path.rpartition(".")[0].removesuffix("[]")
        if path not in there and path not in optional and (not above or there.get(above)):
            found.append(f"{path} is missing")
    return found


def problems_of_event(topic: str, event: dict[str, Any]) -> list[str]:
    """Where one event and the page differ."""
    page = tables()
    no_subject = frozenset({"subject"} if topic.startswith("daemon/") else ())
    envelope = {name: {} if name == "data" else value for name, value in event.items()}
    found = problems(envelope, page[ENVELOPE], optional=no_subject) + problems(
        event["data"], page[general(topic)]
    )
    parts = topic.split("/")
    wanted = "visaged.crop.face" if parts[0] == "crop" else f"visaged.{parts[0]}.{parts[-2]}"
    if event["type"] != wanted:
        found.append(f"type is not {wanted}")
    if event.get("subject") != (None if no_subject else parts[1]):
        found.append(f"subject does not fit {topic}")
    return found


@pytest.fixture(scope="module")
def received() -> list[tuple[str, dict[str, Any]]]:
    """Every kind of event as a plain subscriber gets it."""
    sent = as_published()
    with Publisher("tcp://127.0.0.1:*") as publisher, listener(publisher.bound, "") as everything:
        await_subscribers(publisher, 1)
        for message in sent:
            publisher.send_parts(*message)
        return [everything.receive() for _ in sent]


def test_every_event_on_the_wire_is_what_the_page_says(received: list[tuple[str, dict[str, Any]]]) -> None:
    assert {general(topic) for topic, _ in received} == set(TOPICS)
    for topic, event in received:
        assert problems_of_event(topic, event) == [], topic


def test_every_field_of_the_page_is_on_the_wire_and_null_just_where_it_says(
    received: list[tuple[str, dict[str, Any]]],
) -> None:
    for topic, table in tables().items():
        if topic in (EVERY, FACE):
            continue
        if topic == ENVELOPE:
            seen = [field for _, event in received for field in leaves({**event, "data": {}})]
        else:
            seen = [
                field for name, event in received if general(name) == topic for field in leaves(event["data"])
            ]
        assert {path for path, value in seen if value is not None} == said(table), topic
        assert {path for path, value in seen if value is None} == {
            path for path, field in table.items() if field.nullable
        }, topic


def test_the_page_has_a_section_and_a_row_for_each_topic_and_for_no_other() -> None:
    assert set(tables()) == {ENVELOPE, EVERY, FACE, *TOPICS}
    rows = re.search(r"^\| topic \| when \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert rows is not None
    assert set(re.findall(r"^\| `(.+?)`", rows[1], re.MULTILINE)) == set(TOPICS)


def test_every_example_of_the_page_is_an_event() -> None:
    assert set(examples()) == set(TOPICS)
    for topic, example in examples().items():
        assert general(example["topic"]) == topic
        assert problems_of_event(example["topic"], example["event"]) == [], topic


def test_constants_are_those_of_the_page(received: list[tuple[str, dict[str, Any]]]) -> None:
    checked = set()
    for topic, event in received:
        for path, value in [*leaves({**event, "data": {}}), *leaves(event["data"])]:
            row = tables()[general(topic)].get(path) or tables()[ENVELOPE].get(path)
            if row is not None and (constant := re.match(r'"(\w+|1\.0)"', row.meaning)):
                assert value == constant[1]
                checked.add(path)
    assert checked == {"specversion", "liveness", "state"}


@pytest.mark.parametrize(
    ("topic", "spoil", "told"),
    [
        ("face/<camera>/sighting/", {"mood": "good"}, "mood is not in the table"),
        ("face/<camera>/sighting/", {"score": None}, "score is null"),
        ("face/<camera>/sighting/", {"score": True}, "score is no number: True"),
        ("face/<camera>/sighting/", {"box": [1, 2, 3]}, "box is no [number × 4]: [1, 2, 3]"),
        ("face/<camera>/sighting/", {"landmarks": [[1, 2]] * 4}, "landmarks is no [[number × 2] × 5]"),
        ("face/<camera>/sighting/", {"captured": "2026-03-01 08:30"}, "captured is no time"),
        ("face/<camera>/sighting/", {"frame": {"index": 1.5, "width": 1}}, "frame.index is no integer: 1.5"),
        ("face/<camera>/sighting/", {"frame": {"index": 1, "width": 1}}, "frame.height is missing"),
        ("face/<camera>/sighting/", {"stale": 0}, "stale is no boolean: 0"),
        ("face/<camera>/sighting/", {"previous": {"id": "1"}}, "previous is no null: {'id': '1'}"),
        ("face/<camera>/recognized/", {"person": None}, "person is null"),
        ("face/<camera>/unknown/", {"person": {"id": "1", "name": "Ann"}}, "person is no null"),
        ("face/<camera>/corrected/", {"candidates": [{"id": "1"}]}, "candidates[].name is missing"),
        ("face/<camera>/left/", {"duration_s": "1"}, "duration_s is no number: '1'"),
        ("daemon/heartbeat/", {"cameras": [{"name": "door"}]}, "cameras[].state is missing"),
        ("daemon/started/", {"cameras": [1]}, "cameras is no list of string: [1]"),
    ],
)
def test_the_comparison_sees(topic: str, spoil: dict[str, Any], told: str) -> None:
    """Else the tests above would prove nothing."""
    example = examples()[topic]
    spoilt = {**example["event"], "data": {**example["event"]["data"], **spoil}}
    assert any(problem.startswith(told) for problem in problems_of_event(example["topic"], spoilt))
