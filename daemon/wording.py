"""Events in one line, for a terminal or for a pipe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

NUMBERS = re.compile(r"\[[-\d.e,\s\[\]]+\]")
INNERMOST = re.compile(r"\{\n(?:.*[^\[{\n]\n)+? *\}")
STRANGER_CHARACTERS = 8
"""Of a stranger's id, enough to tell apart those of a day."""


def json_line(topic: str, event: dict[str, Any]) -> str:
    """One event as programs read it: {"topic", "event"} on one line."""
    return json.dumps({"topic": topic, "event": event}, ensure_ascii=False, separators=(",", ":"))


def pretty_json(event: dict[str, Any]) -> str:
    """One event over several lines, with each list of numbers and each innermost object on one of them."""
    text = json.dumps(event, ensure_ascii=False, indent=2)
    for flat in (NUMBERS, INNERMOST):
        text = flat.sub(lambda found: _on_one_line(found[0]), text)
    return text


def _on_one_line(text: str) -> str:
    # JSON's strings hold no line breaks, so none of them is changed.
    return re.sub(r",\n\s*", ", ", re.sub(r"(?<=[\[{])\n\s*|\n\s*(?=[\]}])", "", text))


def line_of(topic: str, event: dict[str, Any]) -> str:
    """One event as people read it: time of day, topic, and what matters of it."""
    return f"{event['time'][11:23]}  {topic:<32}  {_said(event)}".rstrip()


def _said(event: dict[str, Any]) -> str:
    data, kind = event["data"], event["type"].rpartition(".")[2]
    if event["type"] == "visaged.face.named":
        stays = f"{len(data['tracks'])} stay{'' if len(data['tracks']) == 1 else 's'}"
        return f"{_name(data['person'])}  was {data['stranger'][:STRANGER_CHARACTERS]}  {stays}"
    if event["type"].startswith("visaged.face."):
        return "  ".join(_face(kind, data))
    if event["type"].startswith("visaged.crop."):
        return f"{_name(data['person'])}  {data['width']}×{data['height']} px  {data['bytes']} bytes"
    if kind == "heartbeat":
        cameras = ", ".join(_pulse(camera) for camera in data["cameras"])
        return f"up {data['uptime_s']:.0f} s; {cameras}"
    if kind == "started":
        return f"visaged {data['version']} on {data['device']}"
    return data.get("reason") or ""


def _face(kind: str, data: dict[str, Any]) -> Iterator[str]:
    """Who it is, what speaks for it, and the reasons for doubt."""
    yield _who(kind, data)
    if kind == "left":
        yield f"after {data['duration_s']:.1f} s"
        if data["best_distance"] is not None:
            yield f"best {data['best_distance']:.3f}"
        return
    if kind == "unknown" and data["candidates"]:
        yield f"nearest {data['candidates'][0]['name']}"
    if data["distance"] is not None:
        yield f"{data['distance']:.3f} of {data['threshold']:.2f}"
    yield f"frame {data['frame']['index']}"
    yield f"{data['latency_ms']:.0f} ms{', stale' if data['stale'] else ''}"
    if data["reasons"]:
        yield f"({', '.join(data['reasons'])})"


def _who(kind: str, data: dict[str, Any]) -> str:
    """The name; and the one that was wrong, where it takes one back."""
    name = _name(data["person"])
    if kind == "corrected":
        return f"{name}, not {_name(data['previous'])}"
    if data["state"] == "undecided":
        return "undecided"
    if data["person"] is None and data["stranger"]:
        return f"{name} {data['stranger'][:STRANGER_CHARACTERS]}"
    return name


def _name(person: dict[str, Any] | None) -> str:
    # A name is empty once its person was forgotten.
    return str(person["name"]) or "somebody forgotten" if person else "unknown"


def _pulse(camera: dict[str, Any]) -> str:
    """A camera's state, and what most often kept its faces from being recognized."""
    unfit = " ".join(f"{each['reason']} {each['count']}" for each in camera["unfit"])
    return f"{camera['name']} {camera['state']}" + (f" (unfit: {unfit})" if unfit else "")
