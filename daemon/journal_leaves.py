"""Events straight from the pages of a journal's file, where the tree above them is damaged.

The format: https://www.sqlite.org/fileformat2.html, sections 1.6 (b-tree pages) and 2.1 (records). The
write-ahead log is left alone: what was never committed stands there too.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

PAGE_BYTES = 4096
"""SQLite's own choice, which nobody changed."""
LEAF = 0x0D
LOCAL_BYTES = PAGE_BYTES - 35
"""Of a record; more of it lies on pages of its own."""
LEAST_LOCAL_BYTES = (PAGE_BYTES - 12) * 32 // 255 - 23
INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
"""By the serial type of a column."""
TEXT = 13
"""Serial types from here on are texts if they are odd, of half as many bytes as they are beyond it."""

MOST_BYTES = 4 << 20
"""No event is so long; the length of what is none may be anything."""

Content = bytes | mmap.mmap
"""Of a file."""


class Malformed(ValueError):
    """No event."""


def places(content: Content) -> Iterator[tuple[int, int]]:
    """Number and place of everything in a file that looks like an event."""
    # The first page is another tree's.
    for page in range(PAGE_BYTES, len(content), PAGE_BYTES):
        if content[page] != LEAF:
            continue
        count = min(_integer(content, page + 3, 2), PAGE_BYTES // 8)
        for pointer in range(page + 8, page + 8 + 2 * count, 2):
            place = page + _integer(content, pointer, 2)
            try:
                _, key = _varint(content, place)
                seq, _ = _varint(content, key)
            except IndexError:
                continue
            yield seq, place


def record(content: Content, place: int) -> tuple[int, str]:
    """Columns unix_us and body of the event there; Malformed if it is none."""
    try:
        length, place = _varint(content, place)
        _, place = _varint(content, place)
        payload = _payload(content, place, length)
        types, at = _types(payload)
    except IndexError:
        raise Malformed from None
    # seq, which is the key; topic_id; unix_us; body.
    if len(types) != 4 or types[0] != 0 or max(types[1:3]) >= len(INTEGER_BYTES) or types[3] % 2 == 0:
        raise Malformed
    topic, moment = (INTEGER_BYTES[serial] for serial in types[1:3])
    moment_at, body_at = at + topic, at + topic + moment
    if len(payload) - body_at != (types[3] - TEXT) // 2:
        raise Malformed
    try:
        return int.from_bytes(payload[moment_at:body_at], "big", signed=True), payload[body_at:].decode()
    except UnicodeDecodeError:
        raise Malformed from None


def _payload(content: Content, place: int, length: int) -> bytes:
    """A record's bytes, with those on other pages."""
    if length > MOST_BYTES:
        raise Malformed
    local = length
    if length > LOCAL_BYTES:
        local = LEAST_LOCAL_BYTES + (length - LEAST_LOCAL_BYTES) % (PAGE_BYTES - 4)
        local = local if local <= LOCAL_BYTES else LEAST_LOCAL_BYTES
    parts, left = [_bytes(content, place, local)], length - local
    page = _integer(content, place + local, 4) if left else 0
    while left > 0:
        start = (page - 1) * PAGE_BYTES
        if start < 0 or start >= len(content):
            raise Malformed
        parts.append(_bytes(content, start + 4, min(left, PAGE_BYTES - 4)))
        page, left = _integer(content, start, 4), left - (PAGE_BYTES - 4)
    return b"".join(parts)


def _types(payload: bytes) -> tuple[list[int], int]:
    """The serial types of a record's columns, and where the columns begin."""
    end, at = _varint(payload, 0)
    types = []
    while at < end:
        serial, at = _varint(payload, at)
        types.append(serial)
    return types, end


def _bytes(content: Content, place: int, length: int) -> bytes:
    found = bytes(content[place : place + length])
    if len(found) != length:
        raise Malformed
    return found


def _integer(content: Content, place: int, length: int) -> int:
    return int.from_bytes(bytes(content[place : place + length]), "big")


def _varint(content: Content, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, and the place after it; IndexError beyond the end."""
    value = 0
    for at in range(place, place + 8):
        byte = content[at]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + 1
    return value << 8 | content[place + 8], place + 9
