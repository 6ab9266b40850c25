"""What the MQTT bridge keeps on the broker: who is where, and how Home Assistant finds it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from daemon.client import Person, Received
from daemon.version import version

ON, OFF = "online", "offline"


@dataclass(frozen=True, slots=True)
class Stay:
    """One face before one camera."""

    person: Person | None
    """Who it is; None: nobody of the gallery."""
    since: str | None
    """Time of the first frame that showed it."""
    revision: int
    """Of the event that told it."""


@dataclass(slots=True)
class Camera:
    """What is known of one camera."""

    state: str | None = None
    """The kind of its last camera/ event; None: not told yet."""
    stays: dict[str, Stay] = field(default_factory=dict)
    """By track: who is in view."""
    people: dict[str, str] = field(default_factory=dict)
    """Id and name of everybody who ever was, as far as this bridge or its broker remember."""


class House:
    """Follows the events; `retained` says what the broker should hold."""

    def __init__(self, prefix: str, discovery: str | None) -> None:
        """prefix: of all topics. discovery: Home Assistant's prefix; None: it is told nothing."""
        self._prefix, self._discovery = prefix, discovery
        self._cameras: dict[str, Camera] = {}
        self._as_of = 0
        self._forgotten: set[str] = set()
        """Ids of people whose topics are cleared, and are not learnt from the broker again."""
        self._cleared: set[str] = set()
        """Those topics."""
        self.daemon_heard = False
        """Whether the daemon lives, as far as is known."""

    def begin(self, present: Mapping[str, Any]) -> int:
        """Takes over the daemon's answer to "present"; the seq up to which events are in it already."""
        head = present.get("head") or 0
        for camera in self._cameras.values():
            camera.stays.clear()
        for name, faces in present["cameras"].items():
            camera = self._camera(name)
            for face in faces:
                self._arrive(camera, face["track"], _person(face["person"]), face["since"], face["revision"])
        self._as_of, self.daemon_heard = int(head), True
        return self._as_of

    def apply(self, event: Received) -> None:
        """Takes over what an event tells, unless the daemon's answer told it before."""
        if event.type == "visaged.daemon.forgotten":
            # Also where it is older than the daemon's answer, which knows nothing of it.
            self._forget({event.data["id"], *event.data["merged"]})
        if event.seq is not None and event.seq <= self._as_of:
            return
        area = event.type.split(".")[1]
        if area == "face" and event.camera is not None and event.track is not None:
            self._follow(self._camera(event.camera), event.track, event)
        elif area == "camera" and event.camera is not None:
            self._camera(event.camera).state = event.kind
        elif event.type == "visaged.daemon.heartbeat":
            for pulse in event.data.get("cameras", []):
                self._camera(pulse["name"]).state = pulse["state"]
        elif event.type == "visaged.daemon.started":
            # A daemon that was killed could not say who left.
            for camera in self._cameras.values():
                camera.stays.clear()

    def learn(self, topic: str, payload: bytes) -> None:
        """What the broker holds of a person from an earlier run: it has to hear whether that is still so."""
        found = re.fullmatch(rf"{re.escape(self._prefix)}/([a-z0-9_-]+)/person/([^/]+)", topic)
        try:
            name = json.loads(payload)["name"]
        except (ValueError, KeyError, TypeError):
            return
        if found and isinstance(name, str):
            self._camera(found[1]).people.setdefault(found[2], name)
            if found[2] in self._forgotten:
                self._forget({found[2]})

    def retained(self) -> dict[str, str]:
        """Topic to payload of all that the broker should hold; an empty one: nothing any more."""
        kept = dict.fromkeys(self._cleared, "") | {
            f"{self._prefix}/availability": ON,
            f"{self._prefix}/daemon/availability": ON if self.daemon_heard else OFF,
        }
        for name, camera in self._cameras.items():
            kept |= self._of_camera(name, camera)
        if self._discovery is not None:
            for name, camera in self._cameras.items():
                kept |= dict(self._discovered(name, camera))
        return kept

    def _follow(self, camera: Camera, track: str, event: Received) -> None:
        if event.kind == "left":
            camera.stays.pop(track, None)
        elif event.kind in ("recognized", "unknown", "corrected"):
            self._arrive(camera, track, event.person, event.data.get("first"), event.data.get("revision", 0))

    def _arrive(
        self, camera: Camera, track: str, person: Person | None, since: str | None, revision: int
    ) -> None:
        if person is not None and not person.name:
            # Of somebody who was forgotten since the event was made.
            person = None
        known = camera.stays.get(track)
        if known is None or revision > known.revision:
            camera.stays[track] = Stay(person, since, revision)
        if person is not None:
            # With a backup they may have come back.
            self._forgotten.discard(person.id)
            camera.people[person.id] = person.name

    def _forget(self, people: set[str]) -> None:
        """Nothing is kept of them, here or on the broker."""
        self._forgotten |= people
        for name, camera in self._cameras.items():
            for identity in people & camera.people.keys():
                self._cleared.add(f"{self._prefix}/{name}/person/{identity}")
                if self._discovery is not None:
                    self._cleared.add(self._config_topic("binary_sensor", f"{name}_{identity}"))
                del camera.people[identity]
            for track, stay in camera.stays.items():
                if stay.person is not None and stay.person.id in people:
                    camera.stays[track] = replace(stay, person=None)

    def _camera(self, name: str) -> Camera:
        return self._cameras.setdefault(name, Camera())

    def _of_camera(self, name: str, camera: Camera) -> dict[str, str]:
        stays = camera.stays.values()
        here = {stay.person.id for stay in stays if stay.person is not None}
        kept = {
            f"{self._prefix}/{name}/present": _json(
                {
                    "count": len(camera.stays),
                    "people": [{"id": each, "name": camera.people[each]} for each in sorted(here)],
                    "strangers": sum(stay.person is None for stay in stays),
                }
            )
        }
        if camera.state is not None:
            kept[f"{self._prefix}/{name}/state"] = camera.state
        for identity, person in camera.people.items():
            since = [stay.since for stay in stays if stay.person is not None and stay.person.id == identity]
            told = {
                "present": identity in here,
                "id": identity,
                "name": person,
                "since": min(filter(None, since), default=None),
            }
            kept[f"{self._prefix}/{name}/person/{identity}"] = _json(told)
        return kept

    def _discovered(self, name: str, camera: Camera) -> Iterator[tuple[str, str]]:
        """Home Assistant's configuration topics."""
        place = f"{self._prefix}/{name}"
        yield self._entity(
            "sensor", f"{name}_present", f"People at {name}", f"{place}/present", "{{ value_json.count }}"
        )
        yield self._entity(
            "binary_sensor",
            f"{name}_camera",
            f"Camera {name}",
            f"{place}/state",
            "{{ 'ON' if value == 'online' else 'OFF' }}",
            device_class="connectivity",
            json_attributes_topic=None,
        )
        for identity, person in camera.people.items():
            yield self._entity(
                "binary_sensor",
                f"{name}_{identity}",
                f"{person} at {name}",
                f"{place}/person/{identity}",
                "{{ 'ON' if value_json.present else 'OFF' }}",
                device_class="occupancy",
            )

    def _entity(
        self, component: str, identity: str, name: str, topic: str, template: str, **more: str | None
    ) -> tuple[str, str]:
        node, unique = _signs(self._prefix), _signs(identity)
        availability = [f"{self._prefix}/availability", f"{self._prefix}/daemon/availability"]
        settings = {
            "name": name,
            "unique_id": f"{node}_{unique}",
            "state_topic": topic,
            "value_template": template,
            "json_attributes_topic": topic,
            **more,
            "availability": [{"topic": each} for each in availability],
            "availability_mode": "all",
            "device": {"identifiers": [node], "name": self._prefix, "manufacturer": "visaged"},
            "origin": {"name": "visaged", "sw_version": version()},
        }
        kept = {key: value for key, value in settings.items() if value is not None}
        return self._config_topic(component, identity), _json(kept)

    def _config_topic(self, component: str, identity: str) -> str:
        return f"{self._discovery}/{component}/{_signs(self._prefix)}/{_signs(identity)}/config"


def _signs(text: str) -> str:
    """With those signs alone that Home Assistant takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def _person(told: Mapping[str, str] | None) -> Person | None:
    return None if told is None else Person(told["id"], told["name"])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
