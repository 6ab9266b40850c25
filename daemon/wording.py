"""Events in one line, for a terminal or for a pipe."""

from __future__ import annotations

import json
import re
from typing import Any


def json_line(topic: str, event: dict[str, Any]) -> str:
    """One event as programs read it: {"topic", "event"} on one line."""
    return json.dumps({"topic": topic, "event": event}, ensure_ascii=False, separators=(",", ":"))


def pretty_json(event: dict[str, Any]) -> str:
    """One event over several lines, with each list of numbers on one of them."""
    text = json.dumps(event, ensure_ascii=False, indent=2)
    return re.sub(r"\[[-\d.,\s\[\]]+\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]), text)


def line_of(topic: str, event: dict[str, Any]) -> str:
    """One event as people read it: time of day, topic, and what matters of it."""
    return f"{event['time'][11:23]}  {topic:<32}  {_said(event)}".rstrip()


def _said(event: dict[str, Any]) -> str:
    data, kind = event["data"], event["type"].rpartition(".")[2]
    if event["type"].startswith("visaged.face."):
        return _face(data)
    if kind == "heartbeat":
        cameras = ", ".join(f"{camera['name']} {camera['state']}" for camera in data["cameras"])
        return f"up {data['uptime_s']:.0f} s; {cameras}"
    if kind == "started":
        return f"visaged {data['version']} on {data['device']}"
    return data.get("reason") or ""


def _face(data: dict[str, Any]) -> str:
    """Name, distance against the threshold, and the reasons for doubt."""
    name = data["person"]["name"] if data["person"] else "unknown"
    near = "" if data["distance"] is None else f"  {data['distance']:.3f} of {data['threshold']:.2f}"
    reasons = f"  ({', '.join(data['reasons'])})" if data["reasons"] else ""
    return f"{name}{near}  frame {data['frame']['index']}  {data['latency_ms']:.0f} ms{reasons}"
