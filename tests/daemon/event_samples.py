"""One of everything the daemon can say, for tests that send and read it."""

from __future__ import annotations

from dataclasses import replace

from daemon import events
from daemon.events import (
    CameraPulse,
    Event,
    Forgotten,
    GalleryPulse,
    Heartbeat,
    JournalFailed,
    JournalPulse,
    Life,
    Mark,
    Picture,
    Refused,
    Reopened,
    Sighting,
    Stamp,
    Started,
    Stopping,
    Told,
    Unfit,
)
from daemon.frame import CameraChange
from daemon.vocabulary import JournalHealth
from gallery.matcher import RunnerUp
from gallery.people import PersonName

STAMP = Stamp(
    id="0b0f8a52-6a1c-4c5e-9a52-3f1f5f0c7a11",
    source="visaged/porch",
    unix_ns=1_772_353_800_187_210_999,
    monotonic_ns=5_063_754_321,
)
NAMED = Sighting(
    camera="door",
    frame_index=4711,
    frame_width=1280,
    frame_height=720,
    captured_unix_ns=1_772_353_800_123_456_789,
    grabbed_monotonic_ns=5_000_000_000,
    box=[512.306, 188.02, 640.77, 352.4],
    landmarks=[[545.1, 250.33], [604.92, 249.7], [575.0, 286.41], [550.26, 316.8], [601.11, 315.95]],
    score=0.99973,
    person=PersonName("6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "김연아"),
    distance=0.4128771,
    threshold=0.6,
    runner_up=RunnerUp("a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001", "Ann Lee", 0.7331024),
    reasons=(),
    model="dlib-mtcnn-1a2b3c4d5e6f7a8b",
    gallery_revision=12,
    track="3f6b2c1d-8e4a-4b7c-9d0e-1f2a3b4c5d6e",
    revision=1,
    state="recognized",
    samples=3,
    stranger=None,
)
NOBODY_ENROLLED = replace(
    NAMED,
    person=None,
    distance=None,
    runner_up=None,
    reasons=("dark", "profile"),
    revision=0,
    state="undecided",
    samples=0,
)
STRANGER = replace(
    NAMED,
    person=None,
    distance=0.7331024,
    runner_up=RunnerUp("6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "김연아", 0.8123456),
    state="unknown",
    stranger="e2d1c0b9-a8f7-4e6d-95c4-b3a2918070f6",
)
ANN = RunnerUp("a7d0c9f4-1b7a-4a55-9a0b-2b8c1c0de001", "Ann Lee", 0.7331024)
YUNA = RunnerUp("6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "김연아", 0.4128771)
RECOGNIZED = Life(
    kind="recognized",
    face=NAMED,
    previous=None,
    candidates=(YUNA, ANN),
    first_unix_ns=NAMED.captured_unix_ns - 433_333_333,
    last_unix_ns=NAMED.captured_unix_ns,
    best_distance=None,
)
ONE_ENROLLED = replace(RECOGNIZED, face=replace(NAMED, runner_up=None), candidates=(YUNA,))
UNKNOWN = replace(
    RECOGNIZED, kind="unknown", face=STRANGER, candidates=(ANN, replace(YUNA, distance=0.8123456))
)
GALLERY_EMPTY = replace(
    UNKNOWN, face=replace(NOBODY_ENROLLED, state="unknown", stranger=STRANGER.stranger), candidates=()
)
CORRECTED = replace(
    RECOGNIZED,
    kind="corrected",
    face=replace(NAMED, state="corrected", revision=2, samples=9),
    previous=PersonName(ANN.id, ANN.name),
)
TAKEN_BACK = replace(CORRECTED, face=replace(STRANGER, state="corrected", revision=3), previous=NAMED.person)
NAMED_AT_LAST = replace(CORRECTED, face=replace(CORRECTED.face, revision=4), previous=None)
FORGOTTEN = replace(
    TAKEN_BACK, face=replace(TAKEN_BACK.face, distance=None, runner_up=None, stranger=None), candidates=()
)
LEFT = replace(
    RECOGNIZED,
    kind="left",
    face=replace(NAMED, state="left", revision=2, samples=14),
    last_unix_ns=NAMED.captured_unix_ns - 3_033_333_333,
    first_unix_ns=NAMED.captured_unix_ns - 15_433_333_333,
    best_distance=0.3120456,
)
STRANGER_LEFT = replace(LEFT, face=replace(STRANGER, state="left"), best_distance=None)
FORGOTTEN_LEFT = replace(FORGOTTEN, kind="left", face=replace(FORGOTTEN.face, state="left"))
LIVES = (
    RECOGNIZED,
    ONE_ENROLLED,
    UNKNOWN,
    GALLERY_EMPTY,
    CORRECTED,
    TAKEN_BACK,
    NAMED_AT_LAST,
    FORGOTTEN,
    LEFT,
    STRANGER_LEFT,
    FORGOTTEN_LEFT,
)


STRANGER_NAMED = events.Named(
    camera="door",
    person=PersonName("6f2c2a1e-5e0d-4f0e-8f8e-0d7b6a0b8f3c", "김연아"),
    stranger="e2d1c0b9-a8f7-4e6d-95c4-b3a2918070f6",
    tracks=("9b1c7f60-3f0e-4c53-a2f8-77c1f9b1d4aa", NAMED.track),
    events=(
        Told(4697, "5a0b6a0e-0d0c-4d55-9f57-2c8d1be3f301", NAMED.track, "unknown"),
        Told(4698, "77b0b1f2-6c1f-4b59-b7f4-0d9bb1a4c9e2", NAMED.track, "left"),
    ),
    first_unix_ns=NAMED.captured_unix_ns,
    last_unix_ns=NAMED.captured_unix_ns + 32_833_333_333,
    references=4,
)

PICTURE = Picture(
    jpeg=b"\xff\xd8\xff\xe0 no picture \xff\xd9",
    width=232,
    height=296,
    cut=(460, 122, 693, 419),
    box=NAMED.box,
    frame_index=NAMED.frame_index,
    frame_width=NAMED.frame_width,
    frame_height=NAMED.frame_height,
    captured_unix_ns=NAMED.captured_unix_ns,
)


def every_event() -> list[Event]:
    """Every topic, every field with and without its null."""
    pulses = [
        CameraPulse("door", "online", 1740, 1102, 637, [Unfit("blurred", 41), Unfit("profile", 7)]),
        CameraPulse("yard", "starting", 0, 0, 0, []),
        CameraPulse(
            *("gate", "offline", 9, 9, 0, []),
            reason="no picture for 5 s",
            since="2026-03-01T08:30:00.000000Z",
            frame_age_s=6.25,
            reopened=[Reopened("silent", 2)],
        ),
    ]
    return [
        events.daemon(Started("0.1.0", "CPU, 2 threads", NAMED.model, 12, ["door", "yard"])),
        events.camera(CameraChange("door", "online", None)),
        events.camera(CameraChange("door", "online", "it answers again")),
        events.daemon(Heartbeat(60.001, 0, pulses)),
        events.daemon(Heartbeat(60.5, 0, [], [], GalleryPulse(12, 2, 7), 412.5, 130.0)),
        events.daemon(Heartbeat(61, 1, [], [Refused("unknown_key", 3), Refused("silent", 1)])),
        events.sighting(NAMED),
        events.sighting(NOBODY_ENROLLED),
        events.sighting(STRANGER),
        *(events.life(what) for what in LIVES),
        events.named(STRANGER_NAMED),
        events.named(replace(STRANGER_NAMED, events=())),
        events.crop(events.life(RECOGNIZED), PICTURE),
        events.crop(events.life(UNKNOWN), PICTURE),
        events.camera(CameraChange("door", "stalled", "no frame for 1.5 s")),
        events.camera(CameraChange("door", "frozen", "nothing has changed for 8 s, not even noise")),
        events.camera(CameraChange("door", "dark", "nothing to see")),
        events.camera(CameraChange("door", "blurred", "nothing is sharp")),
        events.camera(CameraChange("door", "lossy", "7 damaged pictures within 8 s")),
        events.camera(CameraChange("door", "offline", "no picture for 5 s")),
        events.camera(CameraChange("door", "offline", None)),
        events.camera(CameraChange("door", "ended", None)),
        events.camera(CameraChange("door", "ended", "the file is read")),
        events.daemon(
            Forgotten("b8f3d6f2-0a5e-4c57-9d3f-6b1c2e7a9f10", ("7c9e6679-7425-40de",), "asked", True)
        ),
        events.daemon(Forgotten("b8f3d6f2-0a5e-4c57-9d3f-6b1c2e7a9f10", (), "expired", False)),
        events.daemon(JournalFailed("journal.db: database or disk is full")),
        events.daemon(Stopping("SIGTERM")),
    ]


UNSTORED = Mark(None, None, "5f0d6a4be2b14f0f8f0d1a4f7c3c9e21", durable=False)
STORED = replace(UNSTORED, seq=4711, prev=4698, durable=True)
FIRST = replace(STORED, prev=None)
PULSES = (
    JournalPulse(4711, 1, 0, JournalHealth(True, None)),
    JournalPulse(None, None, 3, JournalHealth(False, "journal.db: database or disk is full")),
)


def as_published() -> list[tuple[bytes, bytes, bytes | None]]:
    """Topic, body and picture of everything the daemon can say, stored and not, as its courier sends it."""
    messages: list[tuple[bytes, bytes, bytes | None]] = []
    for event in every_event():
        if event.type == "visaged.daemon.heartbeat":
            beats = [event.telling(events.plain(pulse)) for pulse in PULSES]
            messages += [(*beat.encode(UNSTORED), None) for beat in beats]
        elif event.passing or event.type == "visaged.daemon.journal_failed":
            messages.append((*event.encode(UNSTORED), event.picture))
        else:
            messages += [(*event.encode(mark), None) for mark in (FIRST, STORED, UNSTORED)]
    return messages
