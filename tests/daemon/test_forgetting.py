"""Forgetting where no daemon runs: not a byte is left, others keep all, a kill on the way is made good."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest

from daemon.errors import UsageError
from daemon.forgetter import in_log
from daemon.forgetting import Receipt, Work, complete
from daemon.forgetting_desk import Forget, forgetting_of
from daemon.journal import Journal
from daemon.journal_blanking import names_of
from gallery import care, forgetting
from gallery.encryption import Key
from gallery.errors import GalleryBusy
from gallery.people import PersonName
from gallery.store import Gallery
from tests.daemon.journaling import EPOCH, FOREVER, kept
from tests.daemon.remembering import State, enrol, looks, named, told, traces, write

BOB = "Bob"
Result = TypeVar("Result")


@pytest.fixture
def state(tmp_path: Path) -> State:
    folder = tmp_path / "state"
    folder.mkdir()
    return State(folder)


def by_hand(gallery: Gallery, state: State) -> Forget:
    config = SimpleNamespace(
        camera=(SimpleNamespace(name="door"),), state_dir=state.folder, journal_path=state.journal
    )
    return forgetting_of(gallery, cast(Any, config))


def forget(state: State, person_id: str, tell: Callable[[str], None] = lambda step: None) -> Receipt:
    with Gallery.open(state.gallery) as gallery:
        gallery.who = "operator"
        return by_hand(gallery, state).forget(person_id, tell)


NAMES = [
    "Ann",
    "Anneliese Oberndörfer",
    "김철수",
    'O"Hara \\ the "Great"',
    "Zoë 🦊 Fuchs",
    "door",
    "name",
]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_of_a_person_and_all_of_the_others(state: State, name: str) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann, bob = enrol(gallery, name, 1), enrol(gallery, BOB, 2)
        gone = looks(1, 3)
    happened = [
        told("recognized", named(ann), candidates=(named(ann), named(bob))),
        told("corrected", named(bob), previous=named(ann), candidates=(named(bob), named(ann))),
        told("left", named(bob)),
        told("unknown", None, candidates=(named(bob),)),
    ] * 40
    write(state.journal, happened)
    before = kept(state.journal)
    receipt = forget(state, ann.id)
    assert (receipt.verified, receipt.left) == (True, ())
    assert (receipt.references, receipt.crops, receipt.events) == (3, 3, 80)
    # Two of the names are words of every event.
    sought = () if name in ("door", "name") else (name,)
    assert traces(state.files(), sought, gone) == []
    after = kept(state.journal)
    assert after == [without(event, ann.id) for event in before]
    assert [event["data"]["seq"] for event in after] == list(range(1, 161))
    with Gallery.open(state.gallery) as gallery:
        assert [person.name for person in gallery.people()] == [BOB]
        entry = gallery.trail()[-1]
        assert (entry.what, entry.who, entry.person_id) == ("forgotten", "operator", ann.id)
        assert entry.detail["files"] == receipt.files == len(state.files())
    assert name not in json.dumps(asdict(receipt), ensure_ascii=False).replace(str(state.folder), "")


def without(value: Any, person_id: str) -> Any:
    """The event as it should be, by another way than ours."""
    text = json.dumps(value, ensure_ascii=False)
    event = json.loads(text)

    def walk(node: Any) -> None:
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            walk(child)
        if isinstance(node, dict) and node.get("id") == person_id:
            node["name"] = ""

    walk(event)
    return event


def test_earlier_names_and_those_of_who_was_merged_are_gone_too(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann, twin = enrol(gallery, "Annabel", 1), enrol(gallery, "Dorothea", 2)
        write(state.journal, [told("recognized", named(ann)), told("recognized", named(twin))])
        gallery.rename("Annabel", "Christabel")
        care.merge(gallery, "Dorothea", "Christabel")
    write(state.journal, [told("left", PersonName(ann.id, "Christabel"))])
    receipt = forget(state, ann.id)
    assert (receipt.verified, receipt.events, receipt.references) == (True, 3, 6)
    gone = ("Annabel", "Dorothea", "Christabel")
    assert traces(state.files(), gone, looks(1, 3)) == traces(state.files(), (), looks(2, 3)) == []


def test_a_name_that_is_part_of_anothers_leaves_that_one_alone(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann, annette = enrol(gallery, "Ann", 1), enrol(gallery, "Annette", 2)
        kim, kims = enrol(gallery, "김철", 3), enrol(gallery, "김철수", 4)
    people = [named(each) for each in (ann, annette, kim, kims)]
    write(state.journal, [told("recognized", each, candidates=people[:2]) for each in people])
    for person in (ann, kim):
        receipt = forget(state, person.id)
        assert (receipt.verified, receipt.left) == (True, ())
    told_names = [event["data"]["person"]["name"] for event in kept(state.journal)]
    assert told_names == ["", "Annette", "", "김철수"]
    with Gallery.open(state.gallery) as gallery:
        assert [person.name for person in gallery.people()] == ["Annette", "김철수"]
    for file in state.files():
        # Where "Ann" is left, it is the beginning of Annette.
        content = file.read_bytes()
        assert content.count(b"Ann") == content.count(b"Annette")


def test_the_same_name_that_somebody_had_once_and_somebody_has_now_is_blanked_for_one_alone(
    state: State,
) -> None:
    with Gallery.open(state.gallery) as gallery:
        first = enrol(gallery, "Robin", 1)
        write(state.journal, [told("recognized", named(first))])
        gallery.rename("Robin", "Robin Senior")
        second = enrol(gallery, "Robin", 2)
    write(
        state.journal, [told("recognized", named(second)), told("left", PersonName("gone-long-ago", "Robin"))]
    )
    receipt = forget(state, second.id)
    assert receipt.verified
    # Who is enrolled keeps theirs; of whom nobody knows any more it may be this person.
    assert [event["data"]["person"]["name"] for event in kept(state.journal)] == ["Robin", "", ""]
    with Gallery.open(state.gallery) as gallery:
        # Pictures were called by the old name.
        assert [kept.source_name for kept in gallery.references("Robin Senior")] == [
            f" 1-{i}.jpg" for i in range(3)
        ]


def test_what_lay_in_the_journals_unused_pages_is_gone_too(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann, bob = enrol(gallery, "Annabel", 1), enrol(gallery, BOB, 2)
    happened = [told("recognized", named(ann if i % 3 else bob)) for i in range(3_000)]
    write(state.journal, happened)
    with Journal.open(state.journal, EPOCH) as journal:
        keep = type(FOREVER)(1e9, 1_000_000)
        while journal.trim(keep, time.time_ns() // 1000):
            pass
        journal.append(happened[:50])
    assert traces([state.journal], ("Annabel",), looks(1, 0))
    receipt = forget(state, ann.id)
    assert (receipt.verified, receipt.left) == (True, ())
    assert traces(state.files(), ("Annabel",), looks(1, 3)) == []


def test_a_damaged_journal_that_tells_of_the_person_is_removed_and_another_is_not(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann, bob = enrol(gallery, "Annabel", 1), enrol(gallery, "Bartholomew", 2)
    write(state.journal, [told("recognized", named(bob))] * 9)
    for suffix in (".damaged", ".damaged-wal"):
        (state.folder / f"journal.db{suffix}").write_bytes(state.journal.read_bytes())
    assert forget(state, ann.id).verified
    assert len(list(state.folder.glob("*.damaged*"))) == 2
    assert forget(state, bob.id).verified
    assert list(state.folder.glob("*.damaged*")) == []


def test_what_somebody_else_put_beside_is_not_touched_but_told_with_the_file(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
    notes, copy = state.folder / "notes.txt", state.folder / "old" / "copy.db"
    notes.write_text("the one with the hat is Annabel, said Bob")
    copy.parent.mkdir()
    copy.write_bytes(b"\0" * 99 + looks(1)[0].tobytes())
    packed, called = state.folder / "old" / "export.zip", state.folder / "Annabel.txt"
    packed.write_bytes(b"PK\x03\x04 and so on")
    called.write_text("nothing")
    receipt = forget(state, ann.id)
    assert not receipt.verified
    assert sorted((Path(left.file), left.what) for left in receipt.left) == sorted(
        [(notes, "name"), (copy, "encoding"), (packed, "compressed"), (called, "called")]
    )
    assert set(in_log(receipt)) == {str(notes), str(copy), str(packed), str(state.folder / "…")}
    with Gallery.open(state.gallery) as gallery:
        assert gallery.trail()[-1].detail["left"] == 4


def test_with_no_journal_at_all_the_gallery_alone_is_forgotten_from(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
    receipt = forget(state, ann.id)
    assert (receipt.verified, receipt.events) == (True, 0)
    assert not state.journal.exists()


def test_while_somebody_else_writes_the_journal_it_is_told_and_done_later(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
    write(state.journal, [told("recognized", named(ann))])
    with Journal.open(state.journal, EPOCH), pytest.raises(UsageError, match="another daemon writes to it"):
        forget(state, ann.id)
    with Gallery.open(state.gallery) as gallery:
        assert gallery.people() == []
        assert by_hand(gallery, state).begun() == [ann.id]
    assert forget(state, ann.id).verified


KILLED = """
import sys
from pathlib import Path
from daemon.forgetting_desk import forgetting_of
from gallery.store import Gallery
from tests.daemon.test_forgetting import State, by_hand
state = State(Path(sys.argv[1]))
with Gallery.open(state.gallery) as gallery:
    print("ready", flush=True)
    by_hand(gallery, state).forget(sys.argv[2], lambda step: print(step, flush=True))
"""


@pytest.mark.parametrize("delay_ms", [0, 3, 10, 20, 35, 50, 80, 120, 200, 400])
def test_a_kill_at_any_moment_is_made_good_by_the_next_forgetting(state: State, delay_ms: int) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann, bob = enrol(gallery, "Annabel", 1), enrol(gallery, BOB, 2)
    write(state.journal, [told("recognized", named(ann), candidates=(named(bob),))] * 2_000)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, state.folder, ann.id], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(delay_ms / 1e3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Gallery.open(state.gallery) as gallery:
        begun = by_hand(gallery, state).begun()
        enrolled = [person.name for person in gallery.people()]
    # As it was, or on the way, or done: nobody is enrolled and half forgotten.
    assert enrolled == ["Annabel", BOB] if not begun and "Annabel" in enrolled else enrolled == [BOB]
    receipt = forget(state, ann.id)
    assert (receipt.left, receipt.verified) == ((), True)
    assert traces(state.files(), ("Annabel",), looks(1, 3)) == []
    with Gallery.open(state.gallery) as gallery:
        assert "forgotten" in [entry.what for entry in gallery.trail()]
        assert by_hand(gallery, state).begun() == []
        assert forgetting.owed(gallery) == [forgetting.Owed(ann.id, "asked", (), True)]
    assert names_of(state.journal, frozenset({ann.id})) == set()
    assert [event["data"]["seq"] for event in kept(state.journal)] == list(range(1, 2_001))


ENDED = """
import os, signal, sys
from pathlib import Path
from gallery import forgetting
from gallery.store import Gallery
from tests.daemon.test_forgetting import State, by_hand
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
home = Gallery if sys.argv[3] == "rewrite" else forgetting
setattr(home, sys.argv[3], die)
state = State(Path(sys.argv[1]))
with Gallery.open(state.gallery) as gallery:
    by_hand(gallery, state).forget(sys.argv[2], lambda step: None)
"""


@pytest.mark.parametrize("step", ["rewrite", "finish"])
def test_a_kill_after_the_names_were_dropped_is_made_good_and_the_receipt_is_whole(
    state: State, step: str
) -> None:
    ann = with_a_piece_in_the_gallery(state)
    done = subprocess.run([sys.executable, "-c", ENDED, state.folder, ann, step], check=False)
    assert done.returncode == -signal.SIGKILL
    with Gallery.open(state.gallery) as gallery:
        assert [each.names for each in forgetting.begun(gallery)] == [None]
        assert forgetting.owed(gallery) == []
    assert bool(traces([state.gallery], ("Annabel",), looks(1, 0))) == (step == "rewrite")
    receipt = forget(state, ann)
    # Both databases with log and index, and the journal's mark.
    assert (receipt.verified, receipt.left, receipt.events, receipt.files) == (True, (), 1, 7)
    assert traces(state.files(), ("Annabel",), looks(1, 3)) == []
    with Gallery.open(state.gallery) as gallery:
        assert forgetting.owed(gallery) == [forgetting.Owed(ann, "asked", (), True)]


def with_a_piece_in_the_gallery(state: State) -> str:
    """Somebody's id, whose name has been left between the rows of the gallery."""
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
        enrol(gallery, BOB, 2)
    write(state.journal, [told("recognized", named(ann))])
    put_between_rows(state.gallery, b'"name":"Annabel",')
    return ann.id


def test_a_gallery_that_can_not_be_written_anew_just_then_is_when_it_is_tried_again(state: State) -> None:
    ann = with_a_piece_in_the_gallery(state)
    (state.folder / "notes.txt").write_text("the one with the hat is Annabel")
    with Gallery.open(state.gallery) as gallery, ExitStack() as held:
        begun = forgetting.begin(gallery, ann, "asked", time.time_ns())
        other = held.enter_context(closing(sqlite3.connect(state.gallery, isolation_level=None)))

        def lock() -> None:
            if forgetting.begun(gallery)[0].names is None and not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")

        journal = held.enter_context(Journal.open(state.journal, EPOCH))
        with pytest.raises(GalleryBusy):
            complete(gallery, begun, state.places, worker(journal), time.time_ns, breathe=lock)
        assert other.in_transaction
    receipt = forget(state, ann)
    # What was found elsewhere is not forgotten with the words that it was found by.
    assert (receipt.verified, receipt.left) == (False, ())
    assert {file.name for file in state.files() if traces([file], ("Annabel",), looks(1, 3))} == {"notes.txt"}
    with Gallery.open(state.gallery) as gallery:
        assert gallery.trail()[-1].detail["left"] == 1


def worker(journal: Journal) -> Work:
    def work(chore: Callable[[Journal], Generator[None, None, Result]]) -> Result:
        under_way = chore(journal)
        while True:
            try:
                next(under_way)
            except StopIteration as last:
                result: Result = last.value
                return result

    return work


HALTED = """
import sys
from pathlib import Path
from dataclasses import asdict
from gallery.store import Gallery
from tests.daemon.test_forgetting import State, by_hand
def tell(step):
    if step == sys.argv[3]:
        print("there", flush=True)
        sys.stdin.readline()
state = State(Path(sys.argv[1]))
with Gallery.open(state.gallery) as gallery:
    receipt = by_hand(gallery, state).forget(sys.argv[2], tell)
print(receipt.verified, receipt.references, receipt.left)
"""


def test_of_two_that_finish_the_same_at_once_both_give_a_receipt_and_it_is_noted_once(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
        forgetting.begin(gallery, ann.id, "asked", time.time_ns())
    # With no journal, whose lock would let one through after the other.
    command = [sys.executable, "-c", HALTED, str(state.folder), ann.id, "files"]
    late = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert late.stdout is not None
    assert late.stdout.readline() == "there\n"
    assert forget(state, ann.id).verified
    assert late.communicate("\n")[0] == "True 3 ()\n"
    assert late.returncode == 0
    assert traces(state.files(), ("Annabel",), looks(1, 3)) == []
    with Gallery.open(state.gallery) as gallery:
        assert [entry.what for entry in gallery.trail()].count("forgotten") == 1
        assert forgetting.owed(gallery) == [forgetting.Owed(ann.id, "asked", (), True)]


def test_who_waited_for_the_journal_goes_on_with_what_another_has_finished(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
        write(state.journal, [told("recognized", named(ann))])
        begun = forgetting.begin(gallery, ann.id, "asked", time.time_ns())
        assert forget(state, ann.id).verified
        with Journal.open(state.journal, EPOCH) as journal:
            receipt = complete(gallery, begun, state.places, worker(journal), time.time_ns)
        assert (receipt.verified, receipt.references) == (True, 3)
        assert [entry.what for entry in gallery.trail()].count("forgotten") == 1
    assert traces(state.files(), ("Annabel",), looks(1, 3)) == []


def test_somebody_whose_events_are_all_that_is_left_is_forgotten_by_id(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
        write(state.journal, [told("recognized", named(ann))])
        gallery.forget("Annabel")
        assert forgetting.find(gallery, None, ann.id) == ann.id
    receipt = forget(state, ann.id)
    assert (receipt.verified, receipt.references, receipt.events) == (True, 0, 1)
    assert traces(state.files(), ("Annabel",), looks(1, 3)) == []


def test_a_reader_of_the_journal_does_not_hold_it_up_for_good(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann = enrol(gallery, "Annabel", 1)
    write(state.journal, [told("recognized", named(ann))] * 300)
    reader = sqlite3.connect(f"{state.journal.as_uri()}?mode=ro", uri=True)
    assert reader.execute("SELECT count(*) FROM event").fetchone() == (300,)
    assert forget(state, ann.id).verified
    reader.close()


def put_between_rows(database: Path, text: bytes) -> None:
    """Writes into the unused middle of a page of rows, as rebalancing may leave what it moved elsewhere."""
    content = bytearray(database.read_bytes())
    for page in range(len(content) - 4096, 0, -4096):
        rows = int.from_bytes(content[page + 3 : page + 5], "big")
        begin, end = page + 8 + 2 * rows, page + int.from_bytes(content[page + 5 : page + 7], "big")
        if content[page] == 0x0D and rows and end - begin > len(text) + 8:
            content[begin + 4 : begin + 4 + len(text)] = text
            database.write_bytes(content)
            return
    raise AssertionError("no page has room for it")


def test_what_was_moved_within_the_files_is_found_and_cleared(state: State) -> None:
    with Gallery.open(state.gallery) as gallery:
        ann, bob = enrol(gallery, "Annabel", 1), enrol(gallery, BOB, 2)
    write(state.journal, [told("left", named(bob), candidates=(named(bob),))] * 100)
    for database in (state.journal, state.gallery):
        put_between_rows(database, b'"name":"Annabel",')
        assert traces([database], ("Annabel",), looks(1, 0))
    before = kept(state.journal)
    receipt = forget(state, ann.id)
    assert (receipt.verified, receipt.left) == (True, ())
    assert traces(state.files(), ("Annabel",), looks(1, 3)) == []
    assert kept(state.journal) == before


def test_encrypted_databases_are_forgotten_from_as_others_are(state: State) -> None:
    pytest.importorskip("sqlcipher3")
    key = Key.new()
    with Gallery.open(state.gallery, key=key) as gallery:
        ann, bob = enrol(gallery, "Annabel", 1), enrol(gallery, BOB, 2)
        with Journal.open(state.journal, EPOCH, key=key) as journal:
            journal.append([told("recognized", named(ann), candidates=(named(bob), named(ann)))] * 9)
        receipt = by_hand(gallery, state).forget(ann.id, lambda step: None)
        assert (receipt.verified, receipt.events) == (True, 9)
        assert names_of(state.journal, frozenset({ann.id, bob.id}), key) == {BOB}
        assert [person.name for person in gallery.people()] == [BOB]
