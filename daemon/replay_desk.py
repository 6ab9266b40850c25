"""Answers who missed something: the requests of the replay socket, without the socket. It changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from daemon.journal_reader import PAGE_BYTES, PAGE_EVENTS, JournalReader, Page
from daemon.journal_tables import FAILURES, unix_us
from daemon.presence import Presence
from daemon.recorder import Recorder

REQUEST_BYTES = 8_192
TOPICS = 64
"""Prefixes in one request at most."""
TOPIC_BYTES = 256
LARGEST = 2**63 - 2
"""Numbers are SQLite's integers."""
ECHOED_BYTES = 256
"""Of a request's id."""

Request = dict[str, Any]
"""A JSON object: lives only between the socket and what is made of it here."""


class NotUnderstood(ValueError):
    """A request that is none of ours; the text says what would be right."""


class ReplayDesk:
    """The operations. For one thread, whose own the connection to the journal is."""

    def __init__(self, recorder: Recorder, presence: Presence) -> None:
        self._recorder = recorder
        self._presence = presence
        self._reader: JournalReader | None = None
        self._opening = 0
        self._operations: dict[str, Callable[[Request], bytes]] = {
            "head": self._head,
            "replay": self._replay,
            "present": self._present,
            "status": self._status,
        }

    def close(self) -> None:
        """Lets go of the journal."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def answer(self, request: bytes) -> bytes:
        """One JSON document, with the request's id where it has one; {"error": text} if it can't be done."""
        echo = b""
        try:
            message = _parse(request)
            echo = _echo(message)
            operation = self._operations.get(str(message.get("op")))
            if operation is None:
                raise NotUnderstood(f"op must be one of {', '.join(self._operations)}")
            fields = operation(message)
        except NotUnderstood as error:
            fields = _dumped({"error": str(error)})
        except FAILURES as error:
            self.close()
            self._recorder.suspect(error, self._opening)
            fields = _dumped({"error": f"the journal can't be read: {error}"})
        return b"{" + echo + fields[1:]

    def refuse(self, request: bytes, **fields: object) -> bytes:
        """An answer to a request that is not looked into, but for its id."""
        try:
            echo = _echo(_parse(request))
        except NotUnderstood:
            echo = b""
        return b"{" + echo + _dumped(fields)[1:]

    def _head(self, request: Request) -> bytes:
        _check_keys(request, "op", "id")
        oldest, head = self._journal().bounds()
        return _dumped({"epoch": self._recorder.epoch, "oldest": oldest, "head": head})

    def _present(self, request: Request) -> bytes:
        _check_keys(request, "op", "id")
        head, cameras = self._presence.now()
        return _dumped({"epoch": self._recorder.epoch, "head": head, "cameras": cameras})

    def _status(self, request: Request) -> bytes:
        _check_keys(request, "op", "id")
        return _dumped({"epoch": self._recorder.epoch, **self._presence.status()})

    def _replay(self, request: Request) -> bytes:
        _check_keys(request, "op", "id", "after", "since", "limit", "topics")
        after = _number(request, "after", 0, LARGEST) if "after" in request else None
        since = request.get("since")
        if (after is None) == (since is None):
            raise NotUnderstood(
                'replay needs either "after", the number of the last event you have, or "since"'
            )
        limit = min(_number(request, "limit", 1, LARGEST), PAGE_EVENTS) if "limit" in request else PAGE_EVENTS
        topics = _topics(request)
        journal = self._journal()
        if after is None:
            after = max(0, journal.before(_moment(since)))
        return self._page(journal.page(after, topics, limit, PAGE_BYTES))

    def _page(self, page: Page) -> bytes:
        epoch = json.dumps(self._recorder.epoch).encode()
        gap = b"null" if page.gap is None else b'{"oldest":%d}' % page.gap
        # The events' own bytes, as they were published; a topic needs no escaping.
        events = b",".join(b'{"topic":"%s","event":%s}' % event for event in page.events)
        return b'{"epoch":%s,"oldest":%d,"head":%d,"events":[%s],"more":%s,"gap":%s}' % (
            epoch,
            page.oldest,
            page.head,
            events,
            b"true" if page.more else b"false",
            gap,
        )

    def _journal(self) -> JournalReader:
        """The journal that is written to now."""
        if self._opening != self._recorder.openings:
            self.close()
        if self._reader is None:
            self._opening = self._recorder.openings
            self._reader = JournalReader(self._recorder.path, self._recorder.key)
        return self._reader


def _parse(request: bytes) -> Request:
    if len(request) > REQUEST_BYTES:
        raise NotUnderstood(f"a request has at most {REQUEST_BYTES} bytes")
    try:
        message = json.loads(request)
    except (ValueError, RecursionError):
        raise NotUnderstood("a request is one JSON object in UTF-8") from None
    if not isinstance(message, dict):
        raise NotUnderstood("a request is one JSON object in UTF-8")
    return message


def _echo(message: Request) -> bytes:
    """The request's id as the answer's first field."""
    if "id" not in message:
        return b""
    identity = message["id"]
    if isinstance(identity, dict | list | float):
        raise NotUnderstood("id must be a text, an integer, true, false or null")
    told = json.dumps(identity, ensure_ascii=False).encode(errors="replace")
    if len(told) > ECHOED_BYTES:
        raise NotUnderstood(f"id has at most {ECHOED_BYTES} bytes")
    return b'"id":' + told + b","


def _check_keys(request: Request, *known: str) -> None:
    for key in request:
        if key not in known:
            raise NotUnderstood(f"{key[:40]!r} is no part of this request; known are {', '.join(known)}")


def _number(request: Request, key: str, least: int, most: int) -> int:
    value = request[key]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise NotUnderstood(f"{key} must be an integer of {least} or more")
    return value


def _topics(request: Request) -> list[str]:
    topics = request.get("topics", [""])
    if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
        raise NotUnderstood('topics must be a list of prefixes, such as ["face/door/"]')
    if len(topics) > TOPICS or any(len(topic) > TOPIC_BYTES for topic in topics):
        raise NotUnderstood(f"topics has at most {TOPICS} prefixes of {TOPIC_BYTES} characters")
    return topics


def _moment(since: object) -> int:
    try:
        if isinstance(since, str):
            return unix_us(since)
    except (ValueError, OverflowError):
        pass
    raise NotUnderstood("since must be a time such as 2026-03-01T08:30:00Z")


def _dumped(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
