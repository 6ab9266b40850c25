"""A real RTSP server for tests: serves one clip for ever at /camera, under the system's Python.

`/usr/bin/python3 tests/rtsp_server.py [--port N] [--clip FILE] [--password P] [--size WxH]
[--key-frame-every N] [--shared]` prints `port N` when it listens. On stdin, `pause` holds the stream back
with the connection alive, `resume` lets it go on, `size WxH` changes the size for connections from then on.
Exit code 77: something it needs is not installed (its last line says what).
"""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import dataclass

MISSING = 77
FRAMES_OF_TEST_PICTURE = 100
H264 = "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au"

try:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstApp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstApp, GstRtspServer  # noqa: F401 (GstApp: appsrc's methods)
except (ImportError, ValueError) as missing:
    print(f"python3-gi and gir1.2-gst-rtsp-server-1.0 are needed: {missing}")
    sys.exit(MISSING)


@dataclass
class AccessUnit:
    """One encoded picture."""

    payload: bytes
    pts_ns: int
    duration_ns: int


def encoded(head: str) -> list[AccessUnit]:
    """The access units that come out of this pipeline, with their own time stamps from 0."""
    pipeline = Gst.parse_launch(f"{head} ! {H264} ! appsink name=sink sync=false max-buffers=0")
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units = []
    while sample := sink.emit("pull-sample"):
        buffer = sample.get_buffer()
        payload = buffer.extract_dup(0, buffer.get_size())
        units.append(AccessUnit(payload, buffer.pts, buffer.duration))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        print("no H.264 came out: gstreamer1.0-plugins-good and -bad are needed")
        sys.exit(MISSING)
    first_ns = min(unit.pts_ns for unit in units)
    return [AccessUnit(unit.payload, unit.pts_ns - first_ns, unit.duration_ns) for unit in units]


def test_picture(size: str, key_frame_every: int) -> list[AccessUnit]:
    """A ball that bounces, encoded here."""
    width, height = size.split("x")
    return encoded(
        f"videotestsrc pattern=ball num-buffers={FRAMES_OF_TEST_PICTURE} ! "
        f"video/x-raw,width={width},height={height},framerate=25/1,format=I420 ! "
        f"openh264enc gop-size={key_frame_every}"
    )


class Feed:
    """Pushes access units into an appsrc, each with an explicit time stamp, over and over."""

    def __init__(self, units: list[AccessUnit]) -> None:
        self.units = units
        self.paused = False

    def start(self, media: GstRtspServer.RTSPMedia) -> None:
        appsrc = media.get_element().get_by_name_recurse_up("source")
        units = self.units
        period_ns = units[0].duration_ns
        state = {"sent": 0}

        def push() -> bool:
            if self.paused:
                return True
            loops, at = divmod(state["sent"], len(units))
            buffer = Gst.Buffer.new_wrapped(units[at].payload)
            buffer.pts = units[at].pts_ns + loops * len(units) * period_ns
            buffer.duration = period_ns
            state["sent"] += 1
            return bool(appsrc.emit("push-buffer", buffer) == Gst.FlowReturn.OK)

        GLib.timeout_add(period_ns // 1_000_000, push)


def authenticated(password: str) -> GstRtspServer.RTSPAuth:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("admin", password), token)
    return auth


def obey(feed: Feed, key_frame_every: int) -> None:
    """Does what stdin says."""
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "size":
            feed.units = test_picture(argument, key_frame_every)
        else:
            feed.paused = command == "pause"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--clip")
    parser.add_argument("--password")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--key-frame-every", type=int, default=10)
    parser.add_argument("--shared", action="store_true", help="a second viewer joins the first one's stream")
    options = parser.parse_args()
    Gst.init(None)

    if options.clip:
        feed = Feed(encoded(f"filesrc location={options.clip} ! parsebin"))
    else:
        feed = Feed(test_picture(options.size, options.key_frame_every))

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( appsrc name=source is-live=true format=time max-bytes=0 "
        "caps=video/x-h264,stream-format=byte-stream,alignment=au ! "
        "rtph264pay name=pay0 pt=96 config-interval=-1 )"
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
    threading.Thread(target=obey, args=(feed, options.key_frame_every), daemon=True).start()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
