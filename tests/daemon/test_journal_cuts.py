"""Whatever a crash leaves of the journal's files, it opens to a beginning of what was there, and no number is
given twice."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.head_mark import SLOT_BYTES
from daemon.journal import Journal
from tests.daemon.journaling import EPOCH, kept, numbered

FILES = ("journal.db", "journal.db-wal", "journal.db.head")
MOMENTS = 24


@dataclass(frozen=True)
class Moment:
    """The files as they lie on the disk, between two commits."""

    folder: Path
    published: dict[int, str]
    """Number to id of everything that was published until then."""


@pytest.fixture(scope="module", autouse=True)
def _power_cuts() -> Iterator[None]:
    """Who opens the journal finds the machine started anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.head_mark.boot", lambda: uuid.uuid4().hex.encode())
        yield


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[Moment]:
    """Copies of a journal's files as it grows, is moved into its file, and loses its oldest events."""
    folder = tmp_path_factory.mktemp("history")
    live = folder / "live"
    moments = []
    published: dict[int, str] = {}
    number = 0
    with Journal.open(live / "journal.db", EPOCH) as journal:
        for moment in range(MOMENTS):
            for size in (1, 2, 5):
                # Some longer than a page of the file.
                batch = [numbered(number + k, 6_000 if (number + k) % 7 == 0 else 300) for k in range(size)]
                number += size
                published |= {message.seq or 0: message.event.id for message in journal.append(batch)}
            if moment % 5 == 2:
                # As tidy does, without waiting until there is more.
                journal.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            if moment == 14:
                journal._delete(30)
            copy = folder / str(moment)
            copy.mkdir()
            for name in FILES:
                shutil.copy(live / name, copy / name)
            moments.append(Moment(copy, dict(published)))
    return moments


def spoil(file: Path, at: float, *, zeros: bool) -> None:
    """Cuts it off at this part of its length, or lets nothing but zeros follow."""
    content = file.read_bytes()
    length = round(at * len(content))
    file.write_bytes(content[:length] + (bytes(len(content) - length) if zeros else b""))


def check_opens(path: Path, published: dict[int, str]) -> int:
    """Opens it twice, each time with new events; how many of the old ones were still there."""
    ids = dict(published)
    number = 1_000_000
    left = 0
    for run in range(2):
        with Journal.open(path, f"{run:032x}") as journal:
            if run == 0:
                there = kept(path)
                seqs = [event["data"]["seq"] for event in there]
                assert [event["id"] for event in there] == [published[seq] for seq in seqs]
                # A beginning: none is missing between the oldest and the newest that is left.
                assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True
                left = len(seqs)
            for size in (1, 3):
                batch = [numbered(number + k) for k in range(size)]
                number += size
                for message in journal.append(batch):
                    assert message.seq is not None
                    assert message.seq not in ids, "a number was given twice"
                    ids[message.seq] = message.event.id
        assert max(ids) == journal.head
    after = [(event["data"]["seq"], event["id"]) for event in kept(path)]
    assert all(ids[seq] == identity for seq, identity in after)
    assert [seq for seq, _ in after][-8:] == sorted(ids)[-8:]
    return left


def test_copies_that_nobody_spoilt_hold_everything(history: list[Moment], tmp_path: Path) -> None:
    for moment in history:
        folder = tmp_path / moment.folder.name
        shutil.copytree(moment.folder, folder)
        forgotten = 0 if int(moment.folder.name) < 14 else 30
        assert check_opens(folder / "journal.db", moment.published) == len(moment.published) - forgotten


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, MOMENTS - 1),
    file=st.sampled_from(["journal.db", "journal.db-wal", "both"]),
    at=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    zeros=st.booleans(),
)
def test_a_journal_cut_anywhere_opens_to_a_beginning_and_never_gives_a_number_twice(
    history: list[Moment],
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    file: str,
    at: tuple[float, float],
    zeros: bool,
) -> None:
    folder = tmp_path_factory.mktemp("cut") / "journal"
    shutil.copytree(history[which].folder, folder)
    for name, where in zip(("journal.db", "journal.db-wal"), at, strict=True):
        if file in (name, "both"):
            spoil(folder / name, where, zeros=zeros)
    check_opens(folder / "journal.db", history[which].published)


@pytest.mark.parametrize("at", range(0, 2 * SLOT_BYTES, 64))
def test_a_mark_that_was_torn_while_it_was_written_costs_nothing(
    history: list[Moment], tmp_path: Path, at: int
) -> None:
    moment = history[-1]
    shutil.copytree(moment.folder, tmp_path / "torn")
    file = tmp_path / "torn" / "journal.db.head"
    content = bytearray(file.read_bytes())
    content[at : at + 64] = bytes(64)
    file.write_bytes(content)
    assert check_opens(tmp_path / "torn" / "journal.db", moment.published) == len(moment.published) - 30


def test_with_one_slot_of_the_mark_left_a_lost_journal_goes_on_near_where_it_was(
    history: list[Moment], tmp_path: Path
) -> None:
    moment = history[-1]
    for slot in range(2):
        folder = tmp_path / str(slot)
        shutil.copytree(moment.folder, folder)
        (folder / "journal.db").unlink()
        (folder / "journal.db-wal").unlink()
        with (folder / "journal.db.head").open("r+b") as file:
            file.seek(slot * SLOT_BYTES)
            file.write(bytes(SLOT_BYTES))
        with Journal.open(folder / "journal.db", EPOCH) as journal:
            # Of the two, the newer one says all of it, the older one all but the last commit, of 5.
            assert max(moment.published) - 5 <= journal.head <= max(moment.published)


def test_what_was_lost_is_told_by_every_replay_that_reaches_it(history: list[Moment], tmp_path: Path) -> None:
    from daemon.journal_reader import JournalReader

    moment = history[-1]
    folder = tmp_path / "lost"
    shutil.copytree(moment.folder, folder)
    spoil(folder / "journal.db-wal", 0.1, zeros=False)
    newest = max(moment.published)
    with Journal.open(folder / "journal.db", EPOCH) as journal:
        last = kept(folder / "journal.db")[-1]["data"]["seq"]
        assert 30 < last < newest
        (first_new,) = journal.append([numbered(0)])
        assert first_new.seq == newest + 1
        assert json.loads(first_new.body)["data"]["prev"] == newest
        with JournalReader(folder / "journal.db") as reader:
            before = reader.page(last - 2)
            assert [json.loads(body)["data"]["seq"] for _, body in before.events] == [last - 1, last]
            assert (before.more, before.gap) == (True, None)
            for after in (last, newest - 1):
                page = reader.page(after)
                assert [json.loads(body)["id"] for _, body in page.events] == [first_new.event.id]
                assert (page.more, page.gap) == (False, newest + 1)
            assert reader.page(newest).gap is None
            # A filter that nothing before the loss matches is told of it at once.
            filtered = reader.page(31, ("face/",))
            assert (filtered.events, filtered.more, filtered.gap) == ([], False, newest + 1)
