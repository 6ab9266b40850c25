"""A person's own copy: all that is kept of one person, as a zip with files that a person can read.

What is about somebody else is left out: whom they resembled next, and the faces they were told not to be.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gallery import care, consent, schema
from gallery.store import Gallery
from gallery.trail import Entry

VERSION = 1
"""Of the files' content; stands in person.json."""
OF_OTHERS = ("runner_up", "candidates", "previous")
"""What of an event's data may name somebody else."""

README = """This is all that visaged keeps of {name}, as of {made}.

person.json   who it is, on what ground and until when the face is kept, and each reference: the name of the
              picture it was made from, when, how good it was, by which model, and its encoding, which is
              {numbers} numbers that say how the face differs from others. A face can't be drawn from them,
              but it can be recognised by them.
crops/        the pictures of faces that are kept: {crops}.
events.jsonl  the events that cameras gave under this name, a line each: {events}.{left_out}
trail.json    what was done with the entry, when, and by whom: {entries} entries.

Left out is what is about others: who else looked similar, and pictures of {is_not} faces that were noted as
not being this person.
"""


@dataclass(frozen=True, slots=True)
class OwnEvents:
    """What a journal has of a person."""

    events: Sequence[dict[str, Any]]
    """Envelopes, the oldest first."""
    left_out: int = 0
    """How many more there are, older than these."""


def ids(gallery: Gallery, name: str) -> list[str]:
    """By which the journal and the trail know somebody: their own, and those of who was merged into them."""
    found = [gallery.person(name).id]
    merged = [
        (each.person_id, str(each.detail["person"])) for each in gallery.trail() if each.what == "merged"
    ]
    for known in found:
        # Who came back with a backup may have been merged the other way round.
        found += [gone for stays, gone in merged if stays == known and gone not in found]
    return found


def compose(gallery: Gallery, name: str, events: OwnEvents) -> bytes:
    """The zip, and an entry in the trail that it was made; PersonUnknown. events: of `ids`."""
    own = ids(gallery, name)
    with gallery.change() as note:
        note("exported", own[0], copy="own", events=len(events.events))
    entries = [_entry(entry) for entry in gallery.trail() if _is_about(entry, own)]
    crops = {f"{key}{_suffix(image)}": image for key, image in care.crops(gallery, name).items()}
    document = _document(gallery, name, crops)
    told = [_without_others(event, own) for event in events.events]
    left_out = f"\n              {events.left_out} older ones are left out." if events.left_out else ""
    readme = README.format(
        name=name,
        made=_utc(datetime.now(UTC).timestamp()),
        numbers=max((len(each["encoding"]) for each in document["references"]), default=0),
        crops=len(crops),
        events=len(told),
        left_out=left_out,
        entries=len(entries),
        is_not=document["not_references"],
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", readme)
        archive.writestr("person.json", _readable(document))
        archive.writestr(
            "events.jsonl", "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in told)
        )
        archive.writestr("trail.json", _readable(entries))
        for file, image in crops.items():
            archive.writestr(f"crops/{file}", image)
    return content.getvalue()


def _document(gallery: Gallery, name: str, crops: dict[str, bytes]) -> dict[str, Any]:
    person = gallery.person(name)
    own = {each.person.id: each for each in gallery.thresholds()}.get(person.id)
    with schema.explained(gallery.path):
        row = gallery.connection.execute("SELECT enrolled_unix_ns FROM person WHERE id = ?", (person.id,))
        (enrolled_unix_ns,) = row.fetchone()
    pictures = {file.partition(".")[0]: f"crops/{file}" for file in crops}
    return {
        "version": VERSION,
        "id": person.id,
        "name": person.name,
        "enrolled": _utc(enrolled_unix_ns / 1e9),
        **consent.told(consent.of(gallery, name)),
        "threshold": None if own is None else own.distance,
        "references": [
            {
                "id": each.id,
                "image": each.source_name,
                "image_sha256": each.source_digest,
                "enrolled": _utc(each.enrolled_unix_ns / 1e9),
                "quality": each.quality,
                "set_aside": each.set_aside,
                "crop": pictures.get(each.id),
                "model": each.model,
                "encoding": each.encoding.tolist(),
            }
            for each in gallery.references(name)
        ],
        "not_references": len(gallery.not_references(name)),
    }


def _without_others(event: dict[str, Any], own: Sequence[str]) -> dict[str, Any]:
    data = dict(event.get("data") or {})
    for key in OF_OTHERS:
        if key in data and not _is_one_of(data[key], own):
            data[key] = [] if isinstance(data[key], list) else None
    if not _is_one_of(data.get("person"), own):
        # It was corrected to somebody else: that it was this person before is what is told.
        data["person"] = None
    return {**event, "data": data}


def _is_one_of(person: object, own: Sequence[str]) -> bool:
    return isinstance(person, dict) and person.get("id") in own


def _is_about(entry: Entry, own: Sequence[str]) -> bool:
    return entry.person_id in own


def _entry(entry: Entry) -> dict[str, Any]:
    return trail_row(entry, None)


def trail_row(entry: Entry, name: str | None) -> dict[str, Any]:
    """An entry for programs; name: of whom it is about, where they are still enrolled."""
    return {
        "number": entry.number,
        "time": _utc(entry.unix_ns / 1e9),
        "who": entry.who,
        "what": entry.what,
        "person": None if entry.person_id is None else {"id": entry.person_id, "name": name},
        "detail": dict(entry.detail),
    }


def _suffix(image: bytes) -> str:
    return ".png" if image.startswith(b"\x89PNG") else ".jpg"


def _readable(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _utc(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
