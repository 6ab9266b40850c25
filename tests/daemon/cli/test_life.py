"""`enroll --camera`, `strangers` and `name` without a daemon: what is wrong with a command is one line."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemon.cli import camera_enrolment
from daemon.config import Config
from daemon.control_client import RemoteGallery
from gallery.enrolment import Enrolled, EnrolmentReport
from gallery.errors import GalleryBusy, GalleryError, TermsRefused
from gallery.people import PersonName, PersonThreshold
from tests.daemon.cli.conftest import Shell

NO_DAEMON = "no daemon is running"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("enroll", "Ann", "--camera", "door"), NO_DAEMON),
        (("enroll", "Ann", "--camera", "door", "--json"), NO_DAEMON),
        (("enroll", "--camera", "door"), "--camera takes one person's pictures itself"),
        (("enroll", "Ann", "ann.jpg", "--camera", "door"), "--camera takes one person's pictures itself"),
        (("enroll", "--from", "people", "--camera", "door"), "--camera takes one person's pictures itself"),
        (("enroll", "Ann", "--camera", "door", "--not"), "--camera takes one person's pictures itself"),
        (("strangers",), NO_DAEMON),
        (("strangers", "--forget"), NO_DAEMON),
        (("name", "1", "Ann"), NO_DAEMON),
    ],
)
def test_a_command_that_can_not_be_done_is_one_line(
    visaged: Shell, words: tuple[str, ...], said: str
) -> None:
    done = visaged(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (visaged.folder / "state").exists()


@dataclass
class Failing:
    """A daemon whose gallery can't be written, until it can."""

    errors: list[Exception]
    sittings: list[str] = field(default_factory=list)

    def enroll(self, sitting: str, name: str, terms: object) -> EnrolmentReport:
        self.sittings.append(sitting)
        if self.errors:
            raise self.errors.pop(0)
        return EnrolmentReport((), ())


def enrolled(life: Failing) -> EnrolmentReport:
    return camera_enrolment._enrolled(cast("Any", life), "key", "ann", None)


def test_a_sitting_is_tried_again_while_the_gallery_can_not_be_written_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(camera_enrolment, "RETRY_GAP_S", 0.0)
    life = Failing([GalleryError("gallery.db: disk is full"), GalleryBusy("locked"), GalleryError("full")])
    assert enrolled(life) == EnrolmentReport((), ())
    assert life.sittings == ["key"] * 4
    assert capsys.readouterr().err == (
        "gallery.db: disk is full; what was taken is kept, trying again for 60 s\n"
    )


def test_what_no_waiting_helps_is_not_tried_again_and_what_lasts_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TermsRefused):
        enrolled(life := Failing([TermsRefused("no consent")]))
    assert life.sittings == ["key"]
    monkeypatch.setattr(camera_enrolment, "RETRY_S", -1.0)
    with pytest.raises(GalleryError, match="full"):
        enrolled(Failing([GalleryError("full")]))


class Interrupted(RemoteGallery):
    """Ctrl-C comes when the daemon is asked for thresholds."""

    def __init__(self) -> None:
        pass

    def thresholds(self) -> list[PersonThreshold]:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("is_enrolled", "code", "said"),
    [(True, 0, "enrolled 1, refused 0\n"), (False, 1, "stopped: nothing was enrolled\n")],
)
def test_ctrl_c_says_that_nothing_was_enrolled_only_where_that_is_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_enrolled: bool,
    code: int,
    said: str,
) -> None:
    ann = Enrolled(PersonName("id", "Ann"), "camera door, front")

    def end(*_: object) -> EnrolmentReport:
        if not is_enrolled:
            raise KeyboardInterrupt
        return EnrolmentReport((ann,), ())

    monkeypatch.setattr("daemon.control_client.is_running", lambda path: True)
    monkeypatch.setattr("daemon.people_desk.open_desk", lambda settings: nullcontext(Interrupted()))
    monkeypatch.setattr("daemon.life_client.Life.begin", lambda *_: "key")
    monkeypatch.setattr(camera_enrolment, "_watched", lambda *_: SimpleNamespace(state="done"))
    monkeypatch.setattr(camera_enrolment, "_enrolled", end)
    monkeypatch.setattr(camera_enrolment, "_leave", lambda *_: None)
    assert camera_enrolment.enroll_from(Config(), "Ann", "door", {}, as_json=False) == code
    assert said in "".join(capsys.readouterr())
