"""Every setting of the daemon: read once, checked, frozen."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
)
from pydantic.dataclasses import dataclass

from daemon.starting import is_starting

if TYPE_CHECKING:
    from gallery.decision import Rules

SERVICE_CONTROL = Path("/run/visaged/control.sock")
"""Where the daemon under systemd listens (RuntimeDirectory of deploy/visaged.service)."""

NAMING_THRESHOLDS = {"dlib": 0.52, "sface": 1.05, "facenet": 1.0}
MIRROR_NAMING_THRESHOLDS = NAMING_THRESHOLDS | {"dlib": 0.51}
"""By the encoder's name: how near to a reference a face is named, without and with its mirror image.

Chosen together with tracker.margin on LFW for up to 200 people, FaceNet's apart, which is not measured
(docs/decisions/0060). Stricter than what verifies a pair: each person is one more chance to be somebody.
"""


def naming_threshold(given: dict[str, Any]) -> float:
    """The default of the encoder that the other keys choose."""
    return (MIRROR_NAMING_THRESHOLDS if given["mirror"] else NAMING_THRESHOLDS)[given["name"]]


STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Threshold = Annotated[float, Field(gt=0, lt=2)]
"""A Euclidean distance of encodings; those of unit length are never more than 2 apart."""
Seconds = Annotated[float, Field(ge=0, le=1e7)]
Probability = Annotated[float, Field(ge=0, le=1)]


def _not_empty(path: object) -> object:
    """An empty one would be the folder that somebody happens to stand in."""
    if path == "" or "\0" in str(path):
        raise ValueError("must be a path")
    return path


def _home_found(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("must be a path; there is no such user's home") from None


PlacePath = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(_home_found)]
"""A path with ~ and ~user resolved."""


@dataclass(frozen=True, slots=True, config=STRICT)
class DaemonConfig:
    """The process itself."""

    state_dir: PlacePath | None = None
    """For gallery and control socket; None: $STATE_DIRECTORY, else visaged in the user's data folder."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """Where the nets run: auto, cpu, cuda or cuda:1."""
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads of the nets; None: as many as there are physical cores."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Of the log on stderr."""


@dataclass(frozen=True, slots=True, config=STRICT)
class SecretSource:
    """A stream whose password stands in a file of its own."""

    url: Annotated[str, Field(min_length=1)]
    """With the user and without the password: rtsp://user@host/path."""
    password_file: PlacePath
    """Read at every opening; a line's end at its end does not belong to the password."""


def _form_of_source(given: object) -> str:
    """Which form it has, so that an error is told of that form alone."""
    return "table" if isinstance(given, dict | SecretSource) else "plain"


CameraSource = Annotated[
    Annotated[Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1)], Tag("plain")]
    | Annotated[SecretSource, Tag("table")],
    Discriminator(_form_of_source),
]


@dataclass(frozen=True, slots=True, config=STRICT)
class CameraConfig:
    """One camera, file or folder."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=64)]
    """Part of the topic of its events."""
    source: CameraSource
    """Webcam index, /dev/…, rtsp://…, http://…, a video file or a folder of images. May hold a password."""
    backend: Literal["opencv", "pyav"] = "opencv"
    """The library that reads it; pyav (extra pyav): streams and files that OpenCV can't read."""
    realtime: bool = False
    """Play a file at its own rate, like a live camera."""
    max_fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames a second that are processed at most; None: as many as the machine can."""
    priority: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """Share of the frames where the machine can't process all, against the other cameras'."""
    width: Annotated[int, Field(ge=16, le=16384)] | None = None
    """Pixels asked of a webcam; None: its own default."""
    height: Annotated[int, Field(ge=16, le=16384)] | None = None
    """Pixels asked of a webcam; None: its own default."""
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Frames a second asked of a webcam; None: its own default."""
    fourcc: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{4}$")] | None = None
    """Pixel format asked of a webcam; None: MJPG, because uncompressed video does not fit through USB 2."""


@dataclass(frozen=True, slots=True, config=STRICT)
class DetectorConfig:
    """Finding faces."""

    min_face_px: Annotated[int, Field(ge=12, le=4096)] = 40
    """Faces smaller than this (pixels of the frame) are not looked for."""
    thresholds: tuple[Probability, Probability, Probability] = (0.6, 0.7, 0.7)
    """Confidence asked of MTCNN's three nets, 0 to 1."""
    engine: Literal["auto", "compiled", "torch", "openvino", "openvino-bf16"] = "auto"
    """What computes it; auto: our compiled nets on a CPU, else PyTorch."""


@dataclass(frozen=True, slots=True, config=STRICT)
class EncoderConfig:
    """Turning faces into vectors."""

    name: Literal["dlib", "sface", "facenet"] = "dlib"
    """The net."""
    engine: Literal[
        "auto", "compiled", "torch", "torch-bf16", "dlib", "openvino", "openvino-bf16", "openvino-int8"
    ] = "auto"
    """What computes it; auto is machine code made for this CPU (dlib's net alone), else PyTorch."""
    alignment: Literal["mtcnn", "dlib"] = "mtcnn"
    """Whose landmarks turn the face upright: the detector's own, or dlib's 5-point predictor."""
    mirror: bool = False
    """Encode each face and its mirror image, and average: twice the cost."""
    threshold: Threshold = Field(default_factory=naming_threshold)
    """Euclidean distance up to which (inclusive) a face is the enrolled person; by default the encoder's."""
    calibrated: bool = True
    """Whom `visaged calibrate` gave a threshold of their own is decided by that one."""
    weights: Path | None = None
    """The net's file, for sface and facenet; None: the one that comes with a package."""


@dataclass(frozen=True, slots=True, config=STRICT)
class TrackerConfig:
    """Following faces, and deciding who they are. All times are the frames'."""

    detect_every_s: Seconds = 0.5
    """The whole frame is searched at least so often while there are faces and the picture moves."""
    motion_gap_s: Seconds = 0.2
    """Something that moves elsewhere, or a lost face, has the frame searched at once, but not more often."""
    idle_detect_s: Seconds = 2.0
    """The whole frame is searched at least so often whatever it shows."""
    begin_score: Probability = 0.9
    """Confidence, 0 to 1, from which a face begins a track."""
    keep_score: Probability = 0.6
    """Confidence, 0 to 1, from which a face counts as seen where it was on the frame before."""
    lost_s: Seconds = 1.0
    """A track ends when its face was not seen for so long."""
    rejoin_s: Seconds = 3.0
    """Who is back within this has not left."""
    min_samples: Annotated[int, Field(ge=1, le=100)] = 3
    """Fit samples before anybody is named; 2 do where frames are half a second apart."""
    sample_gap_s: Seconds = 0.1
    """Between samples of a face that is not decided."""
    sure_gap_s: Seconds = 1.0
    """Between samples of a face that is."""
    confirm_samples: Annotated[int, Field(ge=1, le=100)] = 3
    """Further samples that must contradict a name before it is corrected."""
    margin: Annotated[float, Field(ge=0, lt=2)] = 0.05
    """The second nearest person must be so much farther away, in distance."""
    hysteresis: Annotated[float, Field(ge=0, lt=2)] = 0.03
    """A name, once given, is kept up to so much beyond the threshold, in distance."""
    unknown_after_s: Seconds = 1.0
    """Who is nobody is told about after so long."""
    remember_s: Seconds = 600.0
    """`visaged reject` works on tracks that were seen within this time."""


@dataclass(frozen=True, slots=True, config=STRICT)
class StrangersConfig:
    """People who are not enrolled; remembered in memory alone."""

    forget_after: Seconds = 3600.0
    """Seconds after they were seen last."""


@dataclass(frozen=True, slots=True, config=STRICT)
class GalleryConfig:
    """Who is enrolled."""

    path: PlacePath | None = None
    """The gallery's file; None: gallery.db in the state folder."""
    keep_crops: bool = False
    """Enrolling keeps a picture of each face too, so that the encoder can be changed (`visaged reencode`)."""
    require_consent: bool = False
    """Nobody new is enrolled without consent noted (--consent)."""
    key_file: PlacePath | None = None
    """With the key that encrypts gallery and journal (extra encryption); None: they are not encrypted."""


@dataclass(frozen=True, slots=True, config=STRICT)
class EventsConfig:
    """Events on the wire."""

    bind: Annotated[str, Field(pattern=r"^(tcp|ipc)://.+")] = "tcp://127.0.0.1:5556"
    """ZeroMQ endpoint that subscribers connect to."""
    replay: Annotated[str, Field(pattern=r"^((tcp|ipc)://.+|off)$")] = "tcp://127.0.0.1:5557"
    """ZeroMQ endpoint where subscribers ask for what they missed; off: nowhere."""
    curve: bool = False
    """Both sockets encrypt, and let in only whom `visaged keys new` gave a key."""
    sightings: bool = False
    """Publish one event for each face of each processed frame too, not only what changed."""
    crops: bool = False
    """Publish a picture of each face that is told of, on a topic of its own."""
    deadline_ms: Annotated[float, Field(gt=0, le=1e7)] = 2000.0
    """An event later than this after its frame was grabbed is marked stale: too late to open a door for."""


@dataclass(frozen=True, slots=True, config=STRICT)
class JournalConfig:
    """The log of events, for subscribers that missed some."""

    path: PlacePath | None = None
    """The journal's file; None: journal.db in the state folder."""
    keep_days: Annotated[float, Field(gt=0, le=36500)] = 30.0
    """Events older than this are deleted."""
    keep_mb: Annotated[int, Field(ge=1, le=1 << 20)] = 512
    """Megabytes of the file; beyond it the oldest events are deleted. One of a face takes 1.6 KB."""


@dataclass(frozen=True, slots=True, config=STRICT)
class ClientConfig:
    """Commands that subscribe: watch, and the bridges."""

    keys: PlacePath | None = None
    """The file of `visaged keys new` that lets them in; None: the daemon asks for none ([events] curve)."""


@dataclass(frozen=True, slots=True, config=STRICT)
class MetricsConfig:
    """Numbers for monitoring."""

    bind: Annotated[str, Field(pattern=r"^(off|.+:[0-9]{1,5})$")] = "off"
    """host:port that answers /metrics, /healthz and /readyz over HTTP; off: nothing does."""


def _is_reachable(path: Path) -> bool:
    """Whether it is there for us."""
    try:
        return path.exists()
    except PermissionError:
        return False


def first_webcam() -> tuple[CameraConfig, ...]:
    """What is watched where the configuration names no camera."""
    return (CameraConfig(name="webcam", source=0),)


@dataclass(frozen=True, slots=True, config=STRICT)
class Config:
    """The whole configuration."""

    daemon: DaemonConfig = Field(default_factory=DaemonConfig)
    camera: tuple[CameraConfig, ...] = Field(default_factory=first_webcam)
    detector: DetectorConfig = Field(default_factory=DetectorConfig)
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    tracker: TrackerConfig = Field(default_factory=TrackerConfig)
    strangers: StrangersConfig = Field(default_factory=StrangersConfig)
    gallery: GalleryConfig = Field(default_factory=GalleryConfig)
    events: EventsConfig = Field(default_factory=EventsConfig)
    client: ClientConfig = Field(default_factory=ClientConfig)
    journal: JournalConfig = Field(default_factory=JournalConfig)
    metrics: MetricsConfig = Field(default_factory=MetricsConfig)

    @field_validator("camera")
    @classmethod
    def _names_differ(cls, cameras: tuple[CameraConfig, ...]) -> tuple[CameraConfig, ...]:
        if not cameras:
            raise ValueError(
                "needs at least one [[camera]] table; without the key, the first webcam is watched"
            )
        twice = [name for name, count in Counter(camera.name for camera in cameras).items() if count > 1]
        if twice:
            raise ValueError(f"each camera needs a name of its own; {', '.join(twice)} is there twice")
        return cameras

    @property
    def rules(self) -> Rules:
        """How near is near enough to be named."""
        from gallery.decision import Rules

        encoder, tracker = self.encoder, self.tracker
        return Rules(encoder.threshold, tracker.margin, tracker.hysteresis, encoder.calibrated)

    @property
    def state_dir(self) -> Path:
        """The folder that holds what the daemon keeps."""
        if self.daemon.state_dir is not None:
            return self.daemon.state_dir.absolute()
        # systemd gives a list, separated by colons, where a unit has several.
        if given := os.environ.get("STATE_DIRECTORY"):
            return Path(given.split(":")[0])
        import platformdirs

        return platformdirs.user_data_path("visaged", appauthor=False)

    @property
    def gallery_path(self) -> Path:
        """The gallery's file."""
        chosen = self.gallery.path
        return chosen.absolute() if chosen is not None else self.state_dir / "gallery.db"

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        chosen = self.journal.path
        return chosen.absolute() if chosen is not None else self.state_dir / "journal.db"

    @property
    def control_path(self) -> Path:
        """The socket on which the running daemon listens."""
        given = os.environ.get("RUNTIME_DIRECTORY")
        return (Path(given.split(":")[0]) if given else self.state_dir) / "control.sock"

    @property
    def reached_path(self) -> Path:
        """The socket on which commands look for a running daemon.

        That of the service, where nobody says which state is meant, no daemon of our own is there, and we may
        open it: so an administrator's commands reach it without knowing its places.
        """
        own = self.control_path
        said = self.daemon.state_dir is not None or any(
            name in os.environ for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY")
        )
        # Not Path.exists, which fails in a folder that we may not look into.
        if said or os.path.exists(own) or is_starting(own):  # noqa: PTH110
            return own
        return SERVICE_CONTROL if _is_reachable(SERVICE_CONTROL) or is_starting(SERVICE_CONTROL) else own
