"""A real RTSP server for tests: serves one clip for ever at /camera, under the system's Python.

`/usr/bin/python3 tests/rtsp_server.py [--port N] [--clip FILE] [--password P] [--picture PATTERN]
[--size WxH] [--kilobits N] [--key-frame-every N] [--codec h264|h265] [--shared]` prints `port N` when it
listens. On stdin, `pause` holds the stream back with the connection alive, `resume` lets it go on, `lose 5`
loses 5 % of the RTP packets, `lost` prints when that was, in seconds of the monotonic clock, as a JSON list,
`speed 0.5` sends half as fast as the time stamps say, `size WxH` changes the size in mid-stream, and `still`
shows the same picture for ever.
Exit code 77: something it needs is not installed (its last line says what).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from dataclasses import dataclass

MISSING = 77
FRAMES_OF_TEST_PICTURE = 100
TICK_MS = 10
"""How often it is looked which access units are due."""
SEED = 7
"""Of which packets are lost: the same ones in each run."""


@dataclass(frozen=True)
class Codec:
    """How pictures become RTP packets."""

    encoder: str
    """With {gop} and {kilobits}."""
    access_units: str
    """From the encoder's output, or a file's, to one access unit a buffer."""
    caps: str
    payloader: str


CODECS = {
    "h264": Codec(
        "openh264enc gop-size={gop} bitrate={kilobits}000 rate-control=bitrate",
        "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au",
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "rtph264pay config-interval=-1",
    ),
    "h265": Codec(
        "x265enc key-int-max={gop} bitrate={kilobits} tune=zerolatency speed-preset=ultrafast",
        "h265parse config-interval=-1 ! video/x-h265,stream-format=byte-stream,alignment=au",
        "video/x-h265,stream-format=byte-stream,alignment=au",
        "rtph265pay config-interval=-1",
    ),
}

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstApp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstApp, GstRtspServer
except (ImportError, ValueError) as missing:
    print(f"python3-gi and gir1.2-gst-rtsp-server-1.0 are needed: {missing}")
    sys.exit(MISSING)


@dataclass
class AccessUnit:
    """One encoded picture."""

    payload: bytes
    pts_ns: int
    duration_ns: int


def encoded(head: str, codec: Codec) -> list[AccessUnit]:
    """The access units that come out of this pipeline, with their own time stamps from 0."""
    pipeline = Gst.parse_launch(f"{head} ! {codec.access_units} ! appsink name=sink sync=false max-buffers=0")
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units = []
    while sample := sink.emit("pull-sample"):
        buffer = sample.get_buffer()
        payload = buffer.extract_dup(0, buffer.get_size())
        units.append(AccessUnit(payload, buffer.pts, buffer.duration))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        print("nothing was encoded: gstreamer1.0-plugins-good and -bad are needed")
        sys.exit(MISSING)
    first_ns = min(unit.pts_ns for unit in units)
    return [AccessUnit(unit.payload, unit.pts_ns - first_ns, unit.duration_ns) for unit in units]


def test_picture(options: argparse.Namespace) -> list[AccessUnit]:
    """By default a ball that bounces, encoded here."""
    width, height = options.size.split("x")
    codec = CODECS[options.codec]
    encoder = codec.encoder.format(gop=options.key_frame_every, kilobits=options.kilobits)
    return encoded(
        f"videotestsrc pattern={options.picture} num-buffers={FRAMES_OF_TEST_PICTURE} ! "
        f"video/x-raw,width={width},height={height},framerate=25/1,format=I420 ! {encoder}",
        codec,
    )


class Feed:
    """Pushes access units into an appsrc, each with an explicit time stamp, over and over."""

    def __init__(self, units: list[AccessUnit]) -> None:
        self.units = units
        self.paused = False
        self.speed = 1.0
        self.lost_share = 0.0
        self.lost_s: list[float] = []
        """When packets were lost."""
        self._random = random.Random(SEED)

    def start(self, media: GstRtspServer.RTSPMedia) -> None:
        element = media.get_element()
        kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
        element.get_by_name_recurse_up("pay0").get_static_pad("src").add_probe(kinds, self._lose)
        run = Run(self, element.get_by_name_recurse_up("source"))
        GLib.timeout_add(TICK_MS, run.push_what_is_due)

    def _lose(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        if not self.lost_share:
            return Gst.PadProbeReturn.OK
        if info.type & Gst.PadProbeType.BUFFER:
            lost = self._random.random() < self.lost_share
            if lost:
                self.lost_s.append(time.monotonic())
            return Gst.PadProbeReturn.DROP if lost else Gst.PadProbeReturn.OK
        # An access unit's packets come as a list, which can't be changed from here: one by one, then.
        packets = info.get_buffer_list()
        for at in range(packets.length()):
            pad.push(packets.get(at).copy())
        return Gst.PadProbeReturn.DROP


class Run:
    """One viewer's stream. Its time goes on while it is paused, and slower than the clock when it is slow."""

    def __init__(self, feed: Feed, appsrc: GstApp.AppSrc) -> None:
        self._feed = feed
        self._appsrc = appsrc
        self._units = feed.units
        self._at = 0
        self._looked_s = time.monotonic()
        self._played_ns = 0
        """How far the units have been played, over all repetitions."""
        self._began_ns = 0
        """Where in that the present repetition began."""
        self._paused_ns = 0

    def push_what_is_due(self) -> bool:
        now_s = time.monotonic()
        passed_ns = round((now_s - self._looked_s) * 1e9)
        self._looked_s = now_s
        if self._feed.paused:
            self._paused_ns += passed_ns
            return True
        self._played_ns += round(passed_ns * self._feed.speed)
        if self._units is not self._feed.units:
            self._units, self._at, self._began_ns = self._feed.units, 0, self._played_ns
        period_ns = self._units[0].duration_ns
        while self._began_ns + self._at * period_ns <= self._played_ns:
            unit = self._units[self._at]
            buffer = Gst.Buffer.new_wrapped(unit.payload)
            buffer.pts = self._began_ns + unit.pts_ns + self._paused_ns
            buffer.duration = period_ns
            if self._appsrc.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return False
            self._at += 1
            if self._at == len(self._units):
                self._began_ns += self._at * period_ns
                self._at = 0
        return True


def authenticated(password: str) -> GstRtspServer.RTSPAuth:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("admin", password), token)
    return auth


def obey(feed: Feed, options: argparse.Namespace) -> None:
    """Does what stdin says."""
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        match command:
            case "pause" | "resume":
                feed.paused = command == "pause"
            case "lose":
                feed.lost_share = float(argument) / 100
            case "lost":
                print(json.dumps(feed.lost_s), flush=True)
            case "speed":
                feed.speed = float(argument)
            case "still":
                feed.units = feed.units[:1]
            case "size":
                options.size = argument
                feed.units = test_picture(options)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--clip")
    parser.add_argument("--password")
    parser.add_argument("--picture", default="ball", help="a pattern of videotestsrc, with its properties")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--kilobits", type=int, default=500)
    parser.add_argument("--codec", choices=CODECS, default="h264")
    parser.add_argument("--key-frame-every", type=int, default=10)
    parser.add_argument("--shared", action="store_true", help="a second viewer joins the first one's stream")
    options = parser.parse_args()
    Gst.init(None)

    if options.clip:
        feed = Feed(encoded(f"filesrc location={options.clip} ! parsebin", CODECS[options.codec]))
    else:
        feed = Feed(test_picture(options))

    codec = CODECS[options.codec]
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( appsrc name=source is-live=true format=time max-bytes=0 caps={codec.caps} ! "
        f"{codec.payloader} name=pay0 pt=96 )"
    )
    factory.set_shared(options.shared)
    factory.connect("media-configure", lambda _, media: feed.start(media))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    if options.password:
        server.set_auth(authenticated(options.password))
        factory.add_role_from_structure(
            Gst.Structure.from_string(
                "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
            )[0]
        )
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        print(f"port {options.port} is taken")
        sys.exit(1)
    print(f"port {server.get_bound_port()}", flush=True)
    threading.Thread(target=obey, args=(feed, options), daemon=True).start()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
