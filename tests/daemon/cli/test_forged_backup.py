"""A backup that is whole, sealed and made to do harm: refused in one line, and nothing is changed."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from daemon.keeping import GALLERY, JOURNAL
from gallery import archive_file
from gallery.errors import ArchiveRefused
from gallery.reading import threshold_checksum
from tests.daemon.cli.conftest import Shell
from tests.daemon.test_keeping import backed_up, filled, names, restored, store, whole
from tests.gallery.carrying import fill, rows

Forge = Callable[[sqlite3.Connection], object]
TOP = 2**63 - 1


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return backed_up(filled(tmp_path_factory.mktemp("one"), events=5))


def repacked(content: bytes, folder: Path, member: str, forge: Forge, **told: object) -> bytes:
    """Sealed and with digests that fit, after something was done to one of its databases."""
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    for key in ("format", "version", "kind", "members"):
        manifest.pop(key)
    path = folder / "forged.db"
    path.write_bytes(members[member])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        forge(connection)
    members[member] = path.read_bytes()
    path.unlink()
    target = io.BytesIO()
    archive_file.write(target, "backup", {**manifest, **told}, members)
    return target.getvalue()


def sql(text: str) -> Forge:
    return lambda connection: connection.executescript(text)


def loose(table: str, text: str) -> Forge:
    """A table that takes any type, and what was put in it."""

    def forge(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ') STRICT', ')') WHERE name = ?", (table,)
        )
        # Read anew by whoever opens it next.
        (path,) = (row[2] for row in connection.execute("PRAGMA database_list"))
        with closing(sqlite3.connect(path, isolation_level=None)) as second:
            second.executescript(text)

    return forge


def vectors(vector: bytes, rowid: str = "rowid") -> Forge:
    """With the checksum that fits."""
    values = vector, zlib.crc32(vector)
    return lambda connection: connection.execute(
        f"UPDATE encoding SET vector = ?, checksum = ? WHERE rowid = {rowid}",
        values,
    )


def threshold(distance: float) -> Forge:
    def forge(connection: sqlite3.Connection) -> None:
        for person, model in connection.execute("SELECT person_id, model FROM threshold").fetchall():
            values = distance, threshold_checksum(person, distance, model), person
            connection.execute("UPDATE threshold SET distance = ?, checksum = ? WHERE person_id = ?", values)

    return forge


def entry(detail: str, who: str = "ann", number: str = "NULL") -> Forge:
    return lambda connection: connection.execute(
        f"INSERT INTO trail (number, who, what, detail) VALUES ({number}, ?, 'enrolled', ?)",
        (who, detail),
    )


def forgetting(ids: str, sought: str, encodings: bytes = b"", pictures: bytes = b"") -> Forge:
    key = "00000000-0000-0000-0000-000000000000"
    return lambda connection: connection.execute(
        """INSERT INTO forgetting (person_id, why, who, began_unix_ns, references_gone, crops_gone, ids,
               names, encodings, pictures) VALUES (?, 'asked', 'ann', 1, 1, 0, ?, ?, ?, ?)""",
        (key, ids, sought, encodings, pictures),
    )


FORGED: dict[str, tuple[str, Forge]] = {
    "no row of the gallery": (GALLERY, sql("DELETE FROM gallery")),
    "a revision that can't rise": (GALLERY, sql(f"UPDATE gallery SET revision = {TOP}")),
    "a revision below none": (GALLERY, sql("UPDATE gallery SET revision = -1")),
    "a model of two lines": (GALLERY, sql("UPDATE gallery SET model = 'a' || char(10) || 'b'")),
    "a name of two lines": (GALLERY, sql("UPDATE person SET name = 'a' || char(10) || rowid")),
    "no name": (GALLERY, sql("UPDATE person SET name = '' WHERE rowid = 1")),
    "a name that is no text": (
        GALLERY, sql("UPDATE person SET name = CAST(x'FFFE' AS TEXT) WHERE rowid = 1")
    ),
    "a name of 10 MB": (
        GALLERY, sql("UPDATE person SET name = hex(zeroblob(5000000)) WHERE rowid = 1")
    ),
    "a path for an id": (GALLERY, sql("UPDATE reference SET id = '../../x' WHERE set_aside IS NULL "
                                      "AND is_not = 1 AND rowid = (SELECT max(rowid) FROM reference)")),
    "a reference of nobody": (GALLERY, sql("UPDATE reference SET person_id = 'nobody' WHERE rowid = 1")),
    "a quality without end": (GALLERY, sql("UPDATE reference SET quality = 9e999")),
    "a digest that is none": (GALLERY, sql("UPDATE reference SET source_digest = 'x' || rowid")),
    "an encoding of 3 bytes": (GALLERY, vectors(b"abc", "1")),
    "encodings of 17 bytes": (GALLERY, vectors(b"x" * 17)),
    "empty encodings": (GALLERY, vectors(b"")),
    "encodings of NaN": (GALLERY, vectors(np.full(16, np.nan, np.float32).tobytes())),
    "encodings without end": (GALLERY, vectors(np.full(16, np.inf, np.float32).tobytes())),
    "a threshold without end": (GALLERY, threshold(float("inf"))),
    "a probability without end": (GALLERY, sql("UPDATE threshold SET fmr = 9e999")),
    "a detail that is no JSON": (GALLERY, entry("{")),
    "a detail that is a list": (GALLERY, entry("[1]")),
    "a detail of NaN": (GALLERY, entry('{"a": NaN}')),
    "a detail in a detail": (GALLERY, entry('{"a": {}}')),
    "a deep detail": (GALLERY, entry("[" * 200_000)),
    "an escape sequence in the trail": (GALLERY, entry("{}", who="\x1b[2J")),
    "the last number of the trail": (GALLERY, entry("{}", number=str(TOP))),
    "ids of the forgotten that are no JSON": (GALLERY, forgetting("{", "[]")),
    "names of the forgotten that are a number": (GALLERY, forgetting("[]", "7")),
    "ids of the forgotten that are none": (GALLERY, forgetting('["p"]', "[]")),
    "half an encoding of the forgotten": (GALLERY, forgetting("[]", "[]", encodings=b"abc")),
    "half a piece of the forgotten": (GALLERY, forgetting("[]", "[]", pictures=b"abc")),
    "a trigger that refuses": (
        GALLERY, sql("CREATE TRIGGER t BEFORE INSERT ON trail BEGIN SELECT RAISE(ABORT, 'no'); END")
    ),
    "a trigger that removes": (
        GALLERY, sql("CREATE TRIGGER t AFTER UPDATE ON gallery BEGIN DELETE FROM person; END")
    ),
    "a view": (GALLERY, sql("CREATE VIEW v AS SELECT 1")),
    "text for encodings": (GALLERY, loose("encoding", "UPDATE encoding SET vector = 'abc'")),
    "bytes for a detail": (
        GALLERY, loose("trail", "INSERT INTO trail (who, what, detail) VALUES ('a', 'b', x'00')")
    ),
    "another version": (GALLERY, sql("PRAGMA user_version = -1")),
    "another program's": (GALLERY, sql("PRAGMA application_id = 1")),
    "a topic's number that can't rise": (JOURNAL, sql(f"UPDATE topic SET last_seq = {TOP}")),
    "a hole up to the last number": (JOURNAL, sql(f"INSERT INTO hole VALUES ({TOP - 1}, {TOP})")),
    "a hole beyond JSON's numbers": (JOURNAL, sql(f"INSERT INTO hole VALUES (6, {2**62})")),
    "a hole that goes back": (JOURNAL, sql("INSERT INTO hole VALUES (9, 2)")),
    "a trigger of the journal": (
        JOURNAL, sql("CREATE TRIGGER t BEFORE INSERT ON hole BEGIN SELECT RAISE(ABORT, 'no'); END")
    ),
    "a view for a table": (
        JOURNAL, sql("DROP TABLE hole; CREATE VIEW hole AS SELECT 1 AS first, 2 AS last")
    ),
    "another program's journal": (JOURNAL, sql("PRAGMA application_id = 9")),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_value_is_refused_in_one_line_and_nothing_is_changed(
    content: bytes, tmp_path: Path, what: str
) -> None:
    here = filled(tmp_path / "other", events=2)
    before = whole(here), names(here)
    member, forge = FORGED[what]
    with pytest.raises(ArchiveRefused) as refused:
        restored(here, repacked(content, tmp_path, member, forge), force=True)
    assert "\n" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert (whole(here), names(here)) == before


@pytest.mark.parametrize(
    "told",
    [
        {"made_unix_ns": 10**30},
        {"made_unix_ns": -1},
        {"made_unix_ns": "now"},
        {"people": -1},
        {"journal_head": TOP},
        {"journal_head": -1},
    ],
)
def test_a_forged_manifest_is_refused_in_one_line(
    content: bytes, tmp_path: Path, told: dict[str, object]
) -> None:
    here = filled(tmp_path / "other", events=2)
    before = whole(here), names(here)
    with pytest.raises(ArchiveRefused, match="its manifest is not one of a backup"):
        restored(here, repacked(content, tmp_path, GALLERY, sql(""), **told), force=True)
    assert (whole(here), names(here)) == before


def test_repacked_as_it_was_it_is_restored(content: bytes, tmp_path: Path) -> None:
    here = filled(tmp_path / "other", events=2)
    restored(here, repacked(content, tmp_path, GALLERY, sql("")), force=True)
    assert len(rows(here.gallery)["person"]) == 3
    # The journal goes on from there.
    store(here, 5, 1)


def test_the_command_says_which_file_and_exits_2(content: bytes, visaged: Shell) -> None:
    (visaged.folder / "state").mkdir(mode=0o700)
    fill(visaged.folder / "state" / "gallery.db", people=1)
    file = visaged.folder / "forged.zip"
    file.write_bytes(repacked(content, visaged.folder, GALLERY, entry("{")))
    done = visaged("restore", file, "--force")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"{file} is refused, and nothing was changed: gallery.db holds what no visaged wrote" in done.err
    assert visaged("trail", "--json").code == 0
