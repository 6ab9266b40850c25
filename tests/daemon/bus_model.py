"""A daemon's journal and its answers in memory, as docs/events.md has them: for tests of subscribers."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

Message = list[bytes]
"""Topic and JSON."""


@dataclass(slots=True)
class ModelBus:
    """Numbers events, keeps them, and answers for them."""

    epoch: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of this start."""
    stored: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    """seq, topic, event; the oldest first."""
    next_seq: int = 1
    page_events: int = 500
    """An answer holds no more."""

    @property
    def head(self) -> int:
        """The highest seq ever given."""
        return self.next_seq - 1

    def store(self, topic: str) -> Message:
        """An event, stored and ready to be published."""
        stream = topic.split("/")[:2]
        before = [seq for seq, other, _ in self.stored if other.split("/")[:2] == stream]
        event = _envelope(
            topic,
            {
                "seq": self.next_seq,
                "prev": before[-1] if before else None,
                "epoch": self.epoch,
                "durable": True,
            },
        )
        self.stored.append((self.next_seq, topic, event))
        self.next_seq += 1
        return _message(topic, event)

    def unstored(self, topic: str) -> Message:
        """A sighting, or an event while the disk fails."""
        data = {"seq": None, "prev": None, "epoch": self.epoch, "durable": False}
        return _message(topic, _envelope(topic, data))

    def heartbeat(self) -> Message:
        """Tells the head."""
        oldest = self.stored[0][0] if self.stored else None
        data = {"seq": None, "prev": None, "epoch": self.epoch, "durable": False}
        topic = "daemon/heartbeat/"
        return _message(topic, _envelope(topic, data | {"head": self.head, "oldest": oldest}))

    def restart(self, burnt: int = 0) -> None:
        """A new start, that leaves out so many numbers."""
        self.epoch = uuid.uuid4().hex
        self.next_seq += burnt

    def forget_before(self, seq: int) -> None:
        """Keeps only the event of this seq and those after it."""
        self.stored = [each for each in self.stored if each[0] >= seq]

    def answer(self, question: bytes) -> Message:
        """What the journal says to one request."""
        request = json.loads(question)
        if request["op"] not in ("head", "replay"):
            return [b'{"error": "no such op"}']
        oldest = self.stored[0][0] if self.stored else self.next_seq
        answer: dict[str, Any] = {"epoch": self.epoch, "oldest": oldest, "head": self.head}
        if request["op"] == "replay":
            after = request.get("after", 0)
            topics, since = tuple(request.get("topics", [""])), request.get("since", "")
            wanted = [
                {"topic": topic, "event": event}
                for seq, topic, event in self.stored
                if seq > after and topic.startswith(topics) and event["time"] >= since
            ]
            page = wanted[: min(self.page_events, request.get("limit", self.page_events))]
            answer |= {"events": page, "more": len(page) < len(wanted)}
            answer["gap"] = {"oldest": oldest} if "after" in request and after + 1 < oldest else None
        if "id" in request:
            answer["id"] = request["id"]
        return [json.dumps(answer).encode()]


def _envelope(topic: str, data: dict[str, Any]) -> dict[str, Any]:
    parts = topic.split("/")
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "visaged/model",
        "type": f"visaged.{parts[0]}.{parts[-2]}",
        "time": f"2026-03-01T08:00:00.{data['seq'] or 0:06}Z",
        "data": data,
    }


def _message(topic: str, event: dict[str, Any]) -> Message:
    return [topic.encode(), json.dumps(event).encode()]
