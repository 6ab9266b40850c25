"""`consent`, `trail`, `export --person`, require_consent: on the file and over a daemon's control socket."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from daemon import events
from daemon.control import ControlServer, Facts, Live
from daemon.control_client import RemoteGallery
from daemon.journal import Journal
from gallery.errors import TermsRefused
from gallery.people import PersonName
from gallery.store import Gallery
from tests.conftest import REPOSITORY
from tests.daemon.cli.conftest import Shell
from tests.daemon.event_samples import ANN, CORRECTED, RECOGNIZED, UNKNOWN, YUNA
from tests.gallery.builders import ENROLLED_UNIX_NS, MODEL, reference

COLLINS = REPOSITORY / "samples" / "eileen-collins.jpg"
PNG = b"\x89PNG\r\n\x1a\n of a face"


@contextmanager
def daemon(shell: Shell, *, requires_consent: bool = False) -> Iterator[None]:
    """The control socket of a daemon that has this gallery and journal."""
    state = shell.folder / "state"
    facts = Facts(
        "1.0", str(state / "gallery.db"), MODEL, str(state), requires_consent, str(state / "journal.db")
    )
    with ControlServer(state / "control.sock", facts, Live(lambda camera: None, lambda track: None, dict)):
        yield


@pytest.fixture(params=["file", "socket"])
def desk(request: pytest.FixtureRequest, visaged: Shell) -> Iterator[Shell]:
    """Yuna and Ann, whose events are in the journal; without a daemon, and with one."""
    state = visaged.folder / "state"
    with Gallery.open(state / "gallery.db") as gallery:
        gallery.add(
            YUNA.name,
            [reference("y.jpg", np.full(128, 0.5)), reference("y2.jpg", np.full(128, 0.4))],
            ENROLLED_UNIX_NS,
        )
        gallery.add(ANN.name, [reference("a.jpg", np.full(128, 0.25))], ENROLLED_UNIX_NS)
        gallery.add_not(YUNA.name, [reference("not-y.jpg", np.full(128, 0.75))], ENROLLED_UNIX_NS)
        (key,) = gallery.connection.execute("SELECT id FROM reference WHERE source_name = 'y.jpg'").fetchone()
        import zlib

        gallery.connection.execute("INSERT INTO crop VALUES (?, ?, ?)", (key, PNG, zlib.crc32(PNG)))
        ids = {person.name: person.id for person in gallery.people()}
    yuna, ann = (PersonName(ids[each.name], each.name) for each in (YUNA, ANN))
    near = replace(ANN, id=ann.id)
    seen = replace(RECOGNIZED.face, person=yuna, runner_up=near)
    lives = (
        replace(RECOGNIZED, face=seen, candidates=(replace(YUNA, id=yuna.id), near)),
        replace(UNKNOWN, candidates=(near, replace(YUNA, id=yuna.id))),
        replace(
            CORRECTED, face=replace(CORRECTED.face, person=ann, runner_up=None), previous=yuna, candidates=()
        ),
    )
    with Journal.open(state / "journal.db", "epoch") as journal:
        journal.append([events.life(each) for each in lives])
    with ExitStack() as opened:
        if request.param == "socket":
            opened.enter_context(daemon(visaged))
        yield visaged


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(file.read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_consent_is_noted_shown_and_taken_away(desk: Shell) -> None:
    assert "no consent noted" in desk("consent", ANN.name).out
    done = desk("consent", ANN.name, "--consent", "contract:file 12", "--expires", "1y", "--note", "badge 7")
    assert (done.code, "contract (file 12) of " in done.out) == (0, True)
    told = desk("consent", ANN.name, "--consent-date", "2026-01-31", "--json").document
    assert (told["name"], told["note"]) == (ANN.name, "badge 7")
    assert told["consent"] == {"basis": "contract", "reference": "file 12", "date": "2026-01-31"}
    assert "badge 7" in desk("people", ANN.name).out
    (ann,) = [each for each in desk("people", "--json").document if each["name"] == ANN.name]
    assert (ann["consent"], ann["expires"]) == (told["consent"], told["expires"])
    gone = desk("consent", ANN.name, "--consent", "none", "--expires", "none", "--note", "none", "--json")
    assert {gone.document[key] for key in ("consent", "expires", "note")} == {None}
    for wrong in (("--expires", "soon"), ("--consent", ":x"), ("--consent-date", "x")):
        done = desk("consent", ANN.name, *wrong)
        assert (done.code, done.err.count("\n")) == (2, 1)
    assert desk("consent", "Nobody", "--note", "x").code == 2


def test_the_trail_tells_who_did_what_and_names_those_who_are_there(desk: Shell) -> None:
    desk("consent", ANN.name, "--note", "badge 7")
    rows = desk("trail", "--json").document
    assert [(row["what"], row["person"] and row["person"]["name"]) for row in rows] == [
        ("enrolled", YUNA.name),
        ("enrolled", ANN.name),
        ("enrolled_not", YUNA.name),
        ("terms_set", ANN.name),
    ]
    assert rows[-1]["who"] not in ("", None)
    mine = desk("trail", "--person", ANN.name, "--json").document
    assert [row["what"] for row in mine] == ["enrolled", "terms_set"]
    assert desk("trail", "--person", mine[0]["person"]["id"], "--json").document == mine
    assert desk("trail", "--limit", "1", "--json").document == rows[-1:]
    assert desk("trail", "--since", "2020-01-01", "--json").document == rows
    assert desk("trail", "--since", "2999-01-01", "--json").document == []
    assert "badge" not in desk("trail").out
    for wrong in (("--since", "x"), ("--person", "Nobody"), ("--limit", "0")):
        assert desk("trail", *wrong).code == 2


def test_who_is_forgotten_is_in_the_trail_by_id_alone(desk: Shell) -> None:
    (ann,) = [each["id"] for each in desk("people", "--json").document if each["name"] == ANN.name]
    with Gallery.open(desk.folder / "state" / "gallery.db") as gallery:
        gallery.forget(ANN.name)
    rows = desk("trail", "--person", ann, "--json").document
    assert [(row["what"], row["person"]) for row in rows] == [
        ("enrolled", {"id": ann, "name": None}),
        ("forgotten", {"id": ann, "name": None}),
    ]
    assert ANN.name not in desk("trail").out


def test_ones_own_copy_has_all_that_is_kept_and_nobody_else(desk: Shell, tmp_path: Path) -> None:
    desk("consent", YUNA.name, "--consent", "consent:form 1")
    file = tmp_path / "yuna.zip"
    done = desk("export", "--person", YUNA.name, file, "--json")
    assert (done.code, done.document["person"]["name"]) == (0, YUNA.name)
    assert file.stat().st_mode & 0o777 == 0o600
    held = members(file)
    person = json.loads(held["person.json"])
    assert (person["name"], person["consent"]["reference"]) == (YUNA.name, "form 1")
    assert [each["image"] for each in person["references"]] == ["y.jpg", "y2.jpg"]
    assert person["references"][0]["encoding"] == [0.5] * 128
    assert held[person["references"][0]["crop"]] == PNG
    assert person["not_references"] == 1
    told = [json.loads(line) for line in held["events.jsonl"].splitlines()]
    assert [each["data"]["seq"] for each in told] == [1, 3]
    assert [each["what"] for each in json.loads(held["trail.json"])] == [
        *("enrolled", "enrolled_not", "terms_set", "exported")
    ]
    everything = b"".join(held.values())
    (ann,) = [each["id"] for each in desk("people", "--json").document if each["name"] == ANN.name]
    assert ANN.name.encode() not in everything
    assert ann.encode() not in everything
    assert "not-y.jpg" not in everything.decode("utf-8", "replace")
    assert YUNA.name in held["README.txt"].decode()
    assert desk("trail", "--json").document[-1]["what"] == "exported"


def test_an_own_copy_is_never_written_over_anything_nor_of_nobody(desk: Shell, tmp_path: Path) -> None:
    (tmp_path / "there.zip").write_text("kept")
    for name, file in (
        (YUNA.name, tmp_path / "there.zip"),
        (YUNA.name, tmp_path / "copy.json"),
        (YUNA.name, tmp_path / "no" / "copy.zip"),
        ("Nobody", tmp_path / "copy.zip"),
    ):
        done = desk("export", "--person", name, file)
        assert (done.code, done.err.count("\n")) == (2, 1)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir() if each.is_file()] == [
        ("there.zip", "kept")
    ]


def test_without_consent_nobody_new_is_enrolled_where_it_is_required(visaged: Shell, tmp_path: Path) -> None:
    visaged.configure("[gallery]\nrequire_consent = true\n")
    refused = visaged("enroll", "Eileen", COLLINS)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--consent BASIS" in refused.err
    done = visaged("enroll", "Eileen", COLLINS, "--consent", "contract:12", "--expires", "90d", "--json")
    assert len(done.document["enrolled"]) == 1
    people = tmp_path / "people"
    (people / "Bob").mkdir(parents=True)
    (people / "Bob" / "bob.jpg").write_bytes((REPOSITORY / "samples" / "joe-biden.jpg").read_bytes())
    assert visaged("enroll", "--from", people).code == 2
    (people / "consent.toml").write_text('consent = "consent:list 3"\n')
    assert visaged("enroll", "--from", people).code == 0
    told = {each["name"]: each["consent"] for each in visaged("people", "--json").document}
    assert (told["Bob"]["reference"], told["Eileen"]["basis"]) == ("list 3", "contract")
    assert "no_consent" not in visaged("audit", "--json").out


def test_the_daemon_asks_for_consent_by_its_own_configuration(visaged: Shell) -> None:
    state = visaged.folder / "state"
    Gallery.open(state / "gallery.db").close()
    # The client's configuration says nothing of it.
    with daemon(visaged, requires_consent=True), RemoteGallery(state / "control.sock") as remote:
        with pytest.raises(TermsRefused, match="require_consent"):
            remote.add("Ann", [reference("a")], 0)
        with pytest.raises(TermsRefused):
            remote.add("Ann", [reference("a")], 0, {"consent_basis": "x\ny"})
        remote.add("Ann", [reference("a")], 0, {"consent_basis": "contract"})
        assert visaged("enroll", "Eileen", COLLINS).code == 2
        assert visaged("consent", "Ann", "--consent", "none").code == 2
        assert [each["name"] for each in visaged("people", "--json").document] == ["Ann"]


def test_who_was_enrolled_without_is_found_by_an_audit_where_it_is_required(desk: Shell) -> None:
    desk("consent", ANN.name, "--consent", "contract", "--expires", "29d")
    codes = [each["code"] for each in desk("audit", "--json").document["findings"]]
    assert (codes.count("no_consent"), codes.count("expires_soon")) == (0, 1)
