"""The control socket: a running daemon's gallery used from another process, over a real socket."""

from __future__ import annotations

import json
import resource
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from daemon import control_messages as messages
from daemon.claim import claim
from daemon.control import ControlServer, Facts, Live
from daemon.control_client import RemoteGallery, is_running
from daemon.endpoint import BindRefused
from daemon.errors import UsageError
from daemon.memory import Named
from gallery.decision import Decision, Rules, decide
from gallery.errors import DuplicateImage, GalleryError, ModelMismatch, PersonExists, PersonUnknown
from gallery.matcher import RunnerUp
from gallery.people import NewReference, PersonName
from gallery.store import Gallery

MODEL = "test-model"
JPEG = b"\xff\xd8 a picture"


ANN_SEEN = np.array([0.25, 0.25], np.float32)
"""What track-1 looks like, which was named ann."""


REMEMBERED: dict[str, Named] = {}
"""By track."""
LIVE = Live(lambda camera: JPEG if camera == "door" else None, REMEMBERED.get, lambda: {"epoch": "e"})


def reference(*numbers: float, digest: str = "a" * 64, model: str = MODEL) -> NewReference:
    return NewReference(np.array(numbers, np.float32), model, digest, "ann.jpg", 0.9)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Path]:
    """The control socket of a server that has an empty gallery."""
    path, database = tmp_path / "state" / "control.sock", tmp_path / "state" / "gallery.db"
    Gallery.open(database).close()
    facts = Facts("1.0", str(database), MODEL, str(tmp_path / "state"))
    REMEMBERED.clear()
    with ControlServer(path, facts, LIVE):
        yield path


def test_who_is_enrolled_over_the_socket_is_in_the_gallerys_file(control: Path, tmp_path: Path) -> None:
    with RemoteGallery(control) as remote:
        ann = remote.add("앤", [reference(0.25, 0.5)], enrolled_unix_ns=0)
        assert remote.people() == [ann]
        assert remote.owner("a" * 64) is not None
    with Gallery.open(tmp_path / "state" / "gallery.db") as gallery:
        assert [person.name for person in gallery.people()] == ["앤"]
        np.testing.assert_array_equal(gallery.references("앤")[0].encoding, [0.25, 0.5])


def test_references_come_back_as_they_went_in(control: Path) -> None:
    with RemoteGallery(control) as remote:
        remote.add("ann", [reference(0.1, -0.2)], enrolled_unix_ns=0)
        (kept,) = remote.references("ann")
    np.testing.assert_array_equal(kept.encoding, np.array([0.1, -0.2], np.float32))
    assert (kept.source_name, kept.quality, kept.model) == ("ann.jpg", 0.9, MODEL)


def test_a_disk_that_takes_nothing_ends_one_archive_and_not_the_daemon(control: Path, tmp_path: Path) -> None:
    piece = "A" * (4 << 20)
    with RemoteGallery(control) as remote:
        job = remote.ask("carry_begin", what="import", by_name=False)["job"]
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with pytest.raises(GalleryError, match="can't be read or written: File too large"):
                remote.ask("carry_put", job=job, data=piece)
            remote.ask("carry_end", job=job)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert remote.people() == []
        (tmp_path / "state").rename(tmp_path / "elsewhere")
        with pytest.raises(GalleryError, match="can't be read or written: No such file"):
            remote.ask("carry_begin", what="import", by_name=False)
        (tmp_path / "elsewhere").rename(tmp_path / "state")
        assert remote.ask("carry_begin", what="import", by_name=False)


def test_an_archive_of_an_unknown_kind_is_refused_and_the_one_under_way_goes_on(control: Path) -> None:
    with RemoteGallery(control) as remote:
        job = remote.ask("carry_begin", what="import", by_name=False)["job"]
        with pytest.raises(GalleryError, match=r"not understood: .*'gallery'"):
            remote.ask("carry_begin", what="gallery")
        assert remote.ask("carry_put", job=job, data="AAAA") is None


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("reject", {"track": "\ud800"}),
        ("forget", {"id": "\ud800"}),
        ("rename", {"old": "ann", "new": "\udcff"}),
        ("set_thresholds", {"distances": {}, "model": MODEL, "fmr": float("nan"), "of_ann": 0.3}),
        ("add", {"quality": "nan"}),
    ],
)
def test_what_is_no_text_and_no_number_is_refused_and_others_are_answered(
    control: Path, operation: str, arguments: dict[str, object]
) -> None:
    with RemoteGallery(control) as remote:
        ann = remote.add("ann", [reference(0.25, 0.5)], enrolled_unix_ns=0)
        if own := arguments.get("of_ann"):
            arguments = {**arguments, "distances": {ann.id: own}}
        if operation == "add":
            packed = messages.from_reference(reference(0.3, 0.5, digest="b" * 64))
            arguments = {"name": "bob", "references": [packed | arguments]}
        with pytest.raises(GalleryError):
            remote.ask(operation, **arguments)
        assert remote.people() == [ann]


def within(threshold: float) -> Rules:
    return Rules(threshold, margin=0.05, hysteresis=0.03)


def test_a_decision_is_made_against_the_gallery_of_this_moment(control: Path) -> None:
    face = np.array([[0.3, 0.4]], np.float32)
    with RemoteGallery(control) as remote:
        assert remote.decide(face, within(0.5))[0].why == "nobody_enrolled"
        ann = remote.add("ann", [reference(0.0, 0.0)], enrolled_unix_ns=0)
        person = PersonName(ann.id, "ann")
        assert remote.decide(face, within(0.5)) == [Decision(person, 0.5, 0.5, person, None, "near")]
        assert remote.decide(face, within(0.49))[0].person is None
        assert remote.decide(np.zeros((0, 2), np.float32), within(0.5)) == []
        bob = remote.add("bob", [reference(0.6, 0.8, digest="b" * 64)], enrolled_unix_ns=0)
        (found,) = remote.decide(face, within(0.5))
        assert (found.why, found.runner_up) == ("close_call", RunnerUp(bob.id, "bob", 0.5))


def test_who_somebody_is_not_goes_over_the_socket_and_vetoes(control: Path) -> None:
    face = np.array([[0.3, 0.4]], np.float32)
    with RemoteGallery(control) as remote:
        with pytest.raises(PersonUnknown):
            remote.add_not("ann", [reference(0.3, 0.4)], enrolled_unix_ns=0)
        ann = remote.add("ann", [reference(0.0, 0.0)], enrolled_unix_ns=0)
        assert remote.add_not("ann", [reference(0.3, 0.4, digest="b" * 64)], enrolled_unix_ns=0) == ann
        assert remote.has_image("ann", "b" * 64)
        assert not remote.has_image("ann", "c" * 64)
        (kept,) = remote.not_references("ann")
        np.testing.assert_array_equal(kept.encoding, face[0])
        assert len(remote.references("ann")) == 1
        assert remote.decide(face, within(0.5))[0].why == "vetoed"


def test_thresholds_of_their_own_go_over_the_socket_and_are_applied(control: Path) -> None:
    face = np.array([[0.3, 0.4]], np.float32)
    with RemoteGallery(control) as remote:
        ann = remote.add("ann", [reference(0.0, 0.0)], enrolled_unix_ns=0)
        assert remote.thresholds() == []
        remote.set_thresholds({ann.id: 0.4}, model=MODEL, fmr=0.01, calibrated_unix_ns=0)
        (own,) = remote.thresholds()
        assert (own.person, own.distance, own.fmr, own.people) == (PersonName(ann.id, "ann"), 0.4, 0.01, 1)
        assert remote.decide(face, within(0.5))[0].threshold == 0.4
        with pytest.raises(PersonUnknown, match="calibrate again"):
            remote.set_thresholds({"nobody": 0.4}, model=MODEL, fmr=0.01, calibrated_unix_ns=0)
        with pytest.raises(ModelMismatch):
            remote.set_thresholds({ann.id: 0.4}, model="another", fmr=0.01, calibrated_unix_ns=0)
        assert remote.thresholds() == [own]


def test_everything_enrolled_comes_over_the_socket_as_it_is_in_the_file(
    control: Path, tmp_path: Path
) -> None:
    with RemoteGallery(control) as remote, Gallery.open(tmp_path / "state" / "gallery.db") as gallery:
        assert remote.index(MODEL).people == ()
        ann = remote.add("ann", [reference(0.25, 0.5), reference(1.0, 0.0, digest="b" * 64)], 0)
        remote.add("bob", [reference(0.0, 2.0, digest="c" * 64)], enrolled_unix_ns=0)
        remote.add_not("ann", [reference(0.0, 2.0, digest="c" * 64)], enrolled_unix_ns=0)
        for thresholds in ({}, {ann.id: 0.4}):
            remote.set_thresholds(thresholds, model=MODEL, fmr=0.01, calibrated_unix_ns=0)
            there, here = remote.index(MODEL), gallery.index(MODEL)
            assert (there.people, there.model, there.revision) == (here.people, here.model, here.revision)
            assert (there.thresholds is None) == (not thresholds)
            for field in ("owners", "encodings", "starts", "not_owners", "not_encodings", "thresholds"):
                np.testing.assert_array_equal(getattr(there, field), getattr(here, field))
        with pytest.raises(ModelMismatch):
            remote.index("another")


def test_people_are_renamed_and_forgotten_over_the_socket(control: Path) -> None:
    with RemoteGallery(control) as remote:
        ann = remote.add("ann", [reference(1.0)], enrolled_unix_ns=0)
        assert remote.rename("ann", "anne").id == ann.id
        assert remote.forget("anne") == ann.id
        assert remote.people() == []


def test_a_refusal_is_raised_on_this_side_as_what_it_was_on_the_other(control: Path) -> None:
    with RemoteGallery(control) as remote:
        remote.add("ann", [reference(1.0)], enrolled_unix_ns=0)
        with pytest.raises(DuplicateImage) as duplicate:
            remote.add("bob", [reference(2.0)], enrolled_unix_ns=0)
        assert duplicate.value.owner == "ann"
        with pytest.raises(ModelMismatch, match="another-model"):
            remote.add("bob", [reference(2.0, digest="b" * 64, model="another-model")], enrolled_unix_ns=0)
        with pytest.raises(PersonUnknown, match="nobody of that name"):
            remote.forget("bob")
        remote.add("bob", [reference(2.0, digest="b" * 64)], enrolled_unix_ns=0)
        with pytest.raises(PersonExists):
            remote.rename("bob", "ann")


def test_a_track_that_was_named_wrongly_is_rejected_and_vetoed_from_then_on(control: Path) -> None:
    with RemoteGallery(control) as remote:
        ann = remote.add("ann", [reference(0.0, 0.0)], enrolled_unix_ns=0)
        REMEMBERED["track-1"] = Named(PersonName(ann.id, "ann"), ANN_SEEN, 0.0)
        assert remote.reject("track-1").name == "ann"
        (kept,) = remote.not_references("ann")
        np.testing.assert_array_equal(kept.encoding, ANN_SEEN)
        index = remote.index(MODEL)
    (decision,) = decide(index, [ANN_SEEN], Rules(threshold=0.5, margin=0.0, hysteresis=0.0))
    assert (decision.person, decision.why) == (None, "vetoed")


def test_who_was_renamed_since_is_rejected_by_the_new_name_and_nobody_who_has_the_old_one_is(
    control: Path,
) -> None:
    with RemoteGallery(control) as remote:
        ann = remote.add("ann", [reference(0.0, 0.0)], enrolled_unix_ns=0)
        REMEMBERED["track-1"] = Named(PersonName(ann.id, "ann"), ANN_SEEN, 0.0)
        remote.rename("ann", "anna")
        remote.add("ann", [reference(1.0, 1.0, digest="b" * 64)], enrolled_unix_ns=0)
        assert remote.reject("track-1").name == "anna"
        assert remote.not_references("ann") == []
        remote.forget("anna")
        with pytest.raises(GalleryError, match="not enrolled any more"):
            remote.reject("track-1")
        assert remote.not_references("ann") == []


def test_a_track_that_nobody_remembers_is_no_reason_to_change_anything(control: Path) -> None:
    with RemoteGallery(control) as remote:
        remote.add("ann", [reference(0.0, 0.0)], enrolled_unix_ns=0)
        with pytest.raises(GalleryError, match="no such track was named lately"):
            remote.reject("track-2")
        assert remote.not_references("ann") == []


def test_a_snapshot_comes_through_and_an_unknown_camera_has_none(control: Path) -> None:
    with RemoteGallery(control) as remote:
        assert remote.snapshot("door") == JPEG
        assert remote.snapshot("garden") is None


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"op": "format_disk"}',
        b'{"op": "forget"}',
        b'{"op": "person", "name": 3}',
        b"[" * 100_000,
        b'{"op": "add", "name": "x", "references": [{}]}',
        b'{"op": "decide", "encodings": {"shape": [1, 99], "f4": "AAAA"}, "rules": {}}',
        b'{"op": "decide", "encodings": {"shape": [1], "f4": "!"}, "rules": {"threshold": 1}}',
        b'{"op": "set_thresholds", "distances": [1], "model": "test-model", "fmr": 0.1}',
        b'{"op": "set_thresholds", "distances": "ab", "model": "test-model", "fmr": 0.1}',
        b'{"op": "add_not", "name": "x", "references": []}',
    ],
)
def test_what_is_not_understood_gets_an_answer_and_harms_nothing(control: Path, request_: bytes) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(f"ipc://{control}")
        socket.send(request_)
        assert socket.poll(5000)
        assert "error" in json.loads(socket.recv())
    with RemoteGallery(control) as remote:
        assert remote.people() == []


def test_only_the_owner_may_open_the_socket(control: Path) -> None:
    assert stat.S_IMODE(control.stat().st_mode) == 0o600
    assert stat.S_IMODE(control.parent.stat().st_mode) == 0o700


def test_a_second_daemon_is_refused_and_the_first_keeps_its_socket(control: Path, tmp_path: Path) -> None:
    with pytest.raises(BindRefused, match="taken"):
        ControlServer(control, Facts("1.0", str(tmp_path / "other.db"), MODEL, str(tmp_path)), LIVE)
    with RemoteGallery(control) as remote:
        assert remote.people() == []


def test_another_program_that_takes_its_place_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, database = tmp_path / "control.sock", tmp_path / "gallery.db"
    Gallery.open(database).close()
    with (
        ControlServer(path, Facts("1.0", str(database), MODEL, str(tmp_path)), LIVE) as server,
        zmq.Context() as context,
        context.socket(zmq.REP) as thief,
    ):
        server.check()
        assert not caplog.records
        thief.bind(f"ipc://{path}")
        server.check()
        server.check()
        assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_whether_a_daemon_runs_is_told_apart_from_a_socket_left_behind(control: Path, tmp_path: Path) -> None:
    assert is_running(control)
    assert not is_running(tmp_path / "nowhere.sock")
    left = tmp_path / "left.sock"
    with zmq.Context() as context:
        socket = context.socket(zmq.REP)
        socket.bind(f"ipc://{left}")
        socket.close(0)
    if not left.exists():
        import socket as plain

        with plain.socket(plain.AF_UNIX) as dead:
            dead.bind(str(left))
    assert not is_running(left)


def test_at_a_path_too_long_for_a_socket_no_daemon_runs(tmp_path: Path) -> None:
    assert not is_running(tmp_path / ("x" * 120) / "control.sock")


def test_a_folder_that_takes_no_socket_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Gone between the claim and the binding, as good as a folder that may not be written to.
    monkeypatch.setattr("daemon.control.claim", lambda path: claim(tmp_path / "elsewhere"))
    with pytest.raises(BindRefused, match="can't be bound: No such file"):
        ControlServer(tmp_path / "gone" / "control.sock", Facts("1.0", "", MODEL, ""), LIVE)


def test_a_reference_that_cannot_be_kept_is_refused_and_harms_nothing(control: Path) -> None:
    broken = replace(reference(0.1), quality=float("nan"))
    with RemoteGallery(control) as remote:
        with pytest.raises(GalleryError, match="quality"):
            remote.add("ann", [broken], enrolled_unix_ns=0)
        assert remote.people() == []


def test_a_daemon_that_hangs_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.control_client.ANSWER_TIMEOUT_S", 0.2)
    path = tmp_path / "hung.sock"
    with zmq.Context() as context, context.socket(zmq.REP) as silent:
        silent.bind(f"ipc://{path}")
        with pytest.raises(UsageError, match="did not answer"):
            RemoteGallery(path)
