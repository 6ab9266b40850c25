"""What the daemon finds worth telling, before it becomes events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gallery.matcher import RunnerUp
from gallery.people import PersonName

LifeKind = Literal["recognized", "unknown", "corrected", "left"]
TrackState = Literal["undecided", "recognized", "unknown", "corrected", "left"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known of one face on one frame."""

    camera: str
    """The camera's name in the configuration."""
    frame_index: int
    """Frame.index."""
    frame_width: int
    """Pixels."""
    frame_height: int
    """Pixels."""
    captured_unix_ns: int
    """Frame.captured_unix_ns."""
    grabbed_monotonic_ns: int
    """Frame.grabbed_monotonic_ns, from which the latency counts."""
    box: Sequence[float]
    """Left, top, right, bottom in pixels of the frame."""
    landmarks: Sequence[Sequence[float]]
    """Five (x, y) in pixels of the frame, as Faces.landmarks."""
    score: float
    """The detector's confidence, 0 to 1."""
    person: PersonName | None
    """Whom the visit is told to be; None: nobody of the gallery, or it is too soon to tell."""
    distance: float | None
    """Euclidean, from the track's encoding to the nearest reference in the gallery; None: the gallery is
    empty, or the face was not encoded yet."""
    threshold: float
    """The largest distance that would have been a match of the nearest person."""
    runner_up: RunnerUp | None
    """None: fewer than two people in the gallery."""
    reasons: Sequence[str]
    """Codes of why the face is not fit to decide; often empty."""
    model: str
    """Encoder.model."""
    gallery_revision: int
    """The revision of the gallery that was asked."""
    track: str
    """The visit's id."""
    revision: int
    """How many changes of this visit were told so far, this one included."""
    state: TrackState
    """What was told last; undecided: nothing yet."""
    samples: int
    """Fit samples so far."""
    stranger: str | None
    """Which stranger it is; None: it has a name, or it is too soon to tell strangers apart."""


@dataclass(frozen=True, slots=True)
class Life:
    """Something changed about a visit."""

    kind: LifeKind
    """What happened."""
    face: Sighting
    """After the change, as decided on the deciding frame. For left: box, landmarks, score and reasons are of
    where it was seen last; frame and times are of the frame that decided that it has left."""
    previous: PersonName | None
    """Who it was told to be until now, for corrected; None: nobody."""
    candidates: Sequence[RunnerUp]
    """The two people nearest to it, the nearest first; fewer if fewer are enrolled."""
    first_unix_ns: int
    """Time of the first frame that showed it."""
    last_unix_ns: int
    """Time of the last frame that showed it."""
    best_distance: float | None
    """The least distance there was to the person told, for left; None: nobody was."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event of before that a later one refers to."""

    seq: int
    """Its number in the journal."""
    id: str
    """Its id."""
    track: str
    """Which stay of the face it was about."""
    state: TrackState
    """What it told."""


@dataclass(frozen=True, slots=True)
class Named:
    """A stranger was given a name: what was told of them before one camera is of this person."""

    camera: str
    """The camera's name in the configuration."""
    person: PersonName
    """Who it is."""
    stranger: str
    """Who it was, as in the events."""
    tracks: Sequence[str]
    """Their stays that are remembered, the newest last."""
    events: Sequence[Told]
    """Of those that the journal has, the newest, in order."""
    first_unix_ns: int
    """When they were seen first, before any camera."""
    last_unix_ns: int
    """When they were seen last, before any camera."""
    references: int
    """How many of their samples are the person's references now."""


@dataclass(frozen=True, slots=True)
class Started:
    """The daemon is up; its cameras open next."""

    version: str
    """Of visaged."""
    device: str
    """Where the nets really run, in words."""
    model: str
    """Encoder.model."""
    gallery_revision: int
    """Of the gallery at the start."""
    cameras: Sequence[str]
    """Names, in the order of the configuration."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A face cut out of a frame, to be sent along with what is told of it."""

    jpeg: bytes
    """The picture."""
    width: int
    """Of the picture, in its own pixels."""
    height: int
    """Of the picture, in its own pixels."""
    cut: Sequence[int]
    """Left, top, right, bottom of what it shows, in pixels of the frame."""
    box: Sequence[float]
    """Left, top, right, bottom of the face, in pixels of the frame."""
    frame_index: int
    """The frame that it was cut from."""
    frame_width: int
    """Pixels."""
    frame_height: int
    """Pixels."""
    captured_unix_ns: int
    """That frame's time."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why faces of one camera were not fit to decide."""

    reason: str
    """A code, as in a face's reasons."""
    count: int
    """On how many faces of how many frames together, since the daemon started."""


@dataclass(frozen=True, slots=True)
class Reopened:
    """Why one camera had to be opened again."""

    reason: str
    """A code, one of capture_messages.Cause."""
    count: int
    """How often it was lost or could not be opened for that, since the daemon started."""


@dataclass(frozen=True, slots=True)
class CameraPulse:
    """How one camera fares."""

    name: str
    """The camera's name in the configuration."""
    state: str
    """starting (nothing told yet), or the last state that was published."""
    frames_read: int
    """Since the daemon started."""
    frames_processed: int
    """Of those, how many the pipeline saw."""
    frames_replaced: int
    """Of those, how many gave way to a newer one before the pipeline could see them."""
    unfit: Sequence[Unfit]
    """The most frequent reason first."""
    reason: str | None = None
    """Why it is in this state, one line for people; None: there is nothing to say."""
    since: str | None = None
    """Since when, RFC 3339; None: nothing was told yet."""
    frame_age_s: float | None = None
    """Since its newest frame was grabbed; None: none came yet."""
    reopened: Sequence[Reopened] = ()
    """The most frequent reason first."""


@dataclass(frozen=True, slots=True)
class GalleryPulse:
    """Whom the daemon can name now; part of each heartbeat."""

    revision: int
    """Of the gallery."""
    people: int
    """Who has at least one reference of the daemon's model."""
    references: int
    """Of them all."""


NOBODY = GalleryPulse(0, 0, 0)
"""An empty gallery."""


@dataclass(frozen=True, slots=True)
class Refused:
    """How often peers were not let in to the sockets of events and replay; part of each heartbeat."""

    reason: str
    """A key of security.WORDS."""
    count: int
    """Handshakes since the daemon started."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The daemon lives."""

    uptime_s: float
    """Since the daemon started."""
    overruns: int
    """Publisher.overruns: how often since the start a subscriber's queue became full, and it lost events."""
    cameras: Sequence[CameraPulse]
    """In the order of the configuration."""
    refused: Sequence[Refused] = ()
    """Peers that were not let in since the start, the most frequent reason first."""
    gallery: GalleryPulse = NOBODY
    """Who may be named."""
    memory_mb: float | None = None
    """Resident memory of the daemon's own process, megabytes of 10**6 bytes; None: not known."""
    gpu_memory_mb: float | None = None
    """What PyTorch holds on GPUs, in the same unit; None: no GPU is used."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an event stands in the journal; the last fields of its data."""

    seq: int | None
    """Its number, which no other event ever has; None: it is not in the journal."""
    prev: int | None
    """The number of the stored event before it with the same first two parts of the topic; None: there is
    none, or it is not in the journal itself."""
    epoch: str
    """The run of the daemon that made it."""
    durable: bool
    """Whether it was stored before it was published."""


@dataclass(frozen=True, slots=True)
class JournalHealth:
    """Whether events are stored; part of each heartbeat."""

    ok: bool
    """False: events are published all the same, and lost to whoever does not hear them."""
    reason: str | None
    """One line for people; None: it is well."""


@dataclass(frozen=True, slots=True)
class JournalPulse:
    """How the journal fares, by which a subscriber notices that it missed something."""

    head: int | None
    """The number that was given last; 0: none yet; None: the journal could not be opened yet."""
    oldest: int | None
    """The number of the oldest event that can be asked for; head + 1: there is none; None as for head."""
    dropped: int
    """Events that the daemon dropped itself since its start, because too many waited to be published."""
    journal: JournalHealth
    """Whether it works."""


@dataclass(frozen=True, slots=True)
class JournalFailed:
    """The journal can't be written; until it can again, events are published without being stored."""

    reason: str
    """One line for people."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Somebody was forgotten: whoever kept what events told of them may forget it too."""

    id: str
    """The person's."""
    merged: Sequence[str]
    """Ids of people who were merged into this one, and are forgotten with it."""
    why: str
    """asked, or expired: their time was up."""
    verified: bool
    """Whether all files were searched and nothing was found."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The daemon's last word."""

    reason: str
    """In a few words: a signal's name, or that every camera has ended."""
