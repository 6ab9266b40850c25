"""Enrolling from life, over the control socket: what `enroll --camera`, `strangers` and `name` use."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from daemon import events
from daemon.answer_desk import to_changes
from daemon.control_messages import Json
from daemon.errors import UsageError
from daemon.journal_tables import FAILURES
from daemon.samples import Sample
from daemon.strangers import Acquaintance
from daemon.studio import Studio
from gallery import care, consent
from gallery.enrolment import Enrolled, EnrolmentReport
from gallery.enrolment_plan import Refused
from gallery.people import NewReference, PersonName, clean_name
from gallery.store import Gallery
from gallery.together import Judged, judge

logger = logging.getLogger(__name__)

MOST_REFERRED = 500
"""Events that one `named` refers to: 70 KB."""
SHORT_ID = 8
"""Characters of a stranger's id in the name of a reference."""
ABOUT_STRANGERS = ("unknown", "corrected", "left")
"""Kinds of events that have a stranger."""


def told(stranger: Acquaintance) -> dict[str, object]:
    """A stranger for programs, without what could be compared."""
    return {
        "number": stranger.number,
        "id": stranger.id,
        "first_seen": events.rfc3339(stranger.first_unix_ns),
        "last_seen": events.rfc3339(stranger.last_unix_ns),
        "camera": stranger.camera,
        "stays": stranger.stays,
        "samples": len(stranger.samples),
        "best_quality": round(stranger.best_quality, 3),
    }


def operations(gallery: Gallery, model: str, studio: Studio) -> dict[str, Callable[[Json], object]]:
    """What the control socket answers, by the names of the operations."""

    def sit(request: Json) -> object:
        name, terms = clean_name(str(request["name"])), to_changes(request.get("terms"))
        if gallery.requires_consent and all(person.name != name for person in gallery.people()):
            # Nobody shall sit in vain.
            consent.check_new(name, terms)
        return studio.begin(str(request["camera"]))

    def enroll_sitting(request: Json) -> object:
        key = str(request["sitting"])
        if studio.look(key).state != "done":
            raise UsageError("the sitting is not done")
        camera, sitting = studio.taken(key)
        references = [_reference(each, model, f"{camera}, {each.what}") for each in sitting.kept]
        terms = to_changes(request.get("terms"))
        report = _enroll(gallery, str(request["name"]), references, terms, {"camera": camera})
        # Only now: where the disk was full, nobody has to sit again.
        studio.leave(key)
        return asdict(report)

    def leave_sitting(request: Json) -> object:
        studio.leave(str(request["sitting"]))
        return None

    def forget_strangers(request: Json) -> object:
        wanted = request.get("stranger")
        gone = studio.strangers.forget(None if wanted is None else str(wanted))
        logger.info("%s strangers are forgotten, somebody said", len(gone))
        return gone

    def name_stranger(request: Json) -> object:
        stranger = studio.strangers.find(str(request["stranger"]))
        references = [
            _reference(each, model, f"stranger {stranger.id[:SHORT_ID]}, {number}")
            for number, each in enumerate(stranger.samples, 1)
        ]
        strict = bool(request["strict"])
        if not references:
            raise UsageError(f"stranger {stranger.number} was never seen well enough to be enrolled")
        terms = to_changes(request.get("terms"))
        detail = {"camera": stranger.camera, "stranger": stranger.id}
        report = _enroll(gallery, str(request["name"]), references, terms, detail, strict=strict)
        referred = 0
        if report.enrolled:
            with contextlib.suppress(UsageError):
                # The loop may have recognized them by now, and dropped the stranger itself.
                studio.strangers.forget(stranger.id)
            for event in _named(studio, stranger, report):
                studio.tell(events.named(event))
                referred += len(event.events)
        outdated = bool(report.enrolled) and bool(gallery.thresholds())
        return {**asdict(report), "events": referred, "outdated": outdated}

    return {
        "sit": sit,
        "sitting": lambda request: asdict(studio.look(str(request["sitting"]))),
        "enroll_sitting": enroll_sitting,
        "leave_sitting": leave_sitting,
        "strangers": lambda request: [told(each) for each in studio.strangers.all()],
        "forget_strangers": forget_strangers,
        "name_stranger": name_stranger,
    }


def _enroll(
    gallery: Gallery,
    name: str,
    references: Sequence[NewReference],
    terms: consent.Changes | None,
    detail: Mapping[str, str],
    *,
    strict: bool = True,
) -> EnrolmentReport:
    """detail: for the trail."""
    name = clean_name(name)
    judged = judge(care.material(gallery), name, references) if strict else Judged(tuple(references), ())
    refused = tuple(Refused(each.source_name, *finding) for each, finding in judged.refused)
    if not judged.taken:
        return EnrolmentReport((), refused)
    person = gallery.add(name, judged.taken, time.time_ns(), terms, **detail)
    count, camera = len(judged.taken), detail["camera"]
    logger.info("enrolled %s new references of person %s from camera %s", count, person.id, camera)
    taken = PersonName(person.id, person.name)
    return EnrolmentReport(tuple(Enrolled(taken, each.source_name) for each in judged.taken), refused)


def _reference(sample: Sample, model: str, name: str) -> NewReference:
    # There is no image whose digest it could be.
    digest = hashlib.sha256(sample.encoding.tobytes()).hexdigest()
    return NewReference(sample.encoding, model, digest, name, min(1.0, sample.quality), sample.crop)


def _named(studio: Studio, stranger: Acquaintance, report: EnrolmentReport) -> list[events.Named]:
    """One for each camera that saw the stranger."""
    return [
        events.Named(
            camera=camera,
            person=report.enrolled[0].person,
            stranger=stranger.id,
            tracks=tracks,
            events=_told_before(studio, camera, stranger.id),
            first_unix_ns=stranger.first_unix_ns,
            last_unix_ns=stranger.last_unix_ns,
            references=len(report.enrolled),
        )
        for camera, tracks in stranger.tracks.items()
    ]


def _told_before(studio: Studio, camera: str, stranger: str) -> list[events.Told]:
    """What the journal has of a stranger; nothing where it can't be read, as when events are not stored."""
    topics = [f"face/{camera}/{kind}/" for kind in ABOUT_STRANGERS]
    try:
        with studio.journal() as journal:
            # Strangers are remembered in this run of the daemon alone.
            after = max(0, journal.before(studio.since_unix_us))
            rows = journal.mentions(f'"stranger":"{stranger}"', after, topics, MOST_REFERRED)
    except FAILURES as error:
        logger.warning("what was told of a stranger is not referred to: %s", error)
        return []
    found = [(seq, json.loads(body)) for seq, body in rows]
    return [
        events.Told(seq, event["id"], event["data"]["track"], event["data"]["state"]) for seq, event in found
    ]
