"""A run that was broken off goes on; nothing is done twice, nothing is half, nothing is silently another."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from gallery.preparing import crop_files, reading
from gallery.preparing.errors import PreparingFailed, PreparingRefused
from gallery.preparing.journal import FOLDER, Journal, opened
from gallery.preparing.options import CropOptions, Fallback, Margin, Size
from tests.conftest import REPOSITORY
from tests.gallery.painted import GREEN, RED, YELLOW, paint
from tests.gallery.preparing.cropping_process import OPTIONS
from tests.gallery.preparing.orders import Order, order

LEFT, RIGHT = (10, 20, 80, 120), (110, 20, 150, 70)


@pytest.fixture
def cropping(tmp_path: Path) -> Order:
    return order(tmp_path)


def journal_of(cropping: Order) -> Path:
    return cropping.crops / FOLDER / "journal.jsonl"


def fill(tree: Path, count: int) -> None:
    """A third with one face, a third with two, a third with none; and one that is no image."""
    for number in range(count):
        faces = [(LEFT, RED), (RIGHT, GREEN)][: number % 3]
        paint(tree / f"{number % 7}" / f"{number:03}.png", *faces)
    (tree / "bad.jpg").write_text("no image")


def test_what_is_done_is_not_done_again(cropping: Order) -> None:
    fill(cropping.tree, 9)
    first = cropping(OPTIONS)
    written = {path: path.stat().st_mtime_ns for path in cropping.crops.rglob("*.png")}
    second = cropping(OPTIONS)
    assert (first.cropped.looked_at, second.cropped.looked_at) == (10, 0)
    assert second.summary == first.summary
    assert second.cropped.rows == first.cropped.rows
    assert {path: path.stat().st_mtime_ns for path in cropping.crops.rglob("*.png")} == written


def test_new_images_and_crops_that_are_gone_are_done(cropping: Order) -> None:
    fill(cropping.tree, 9)
    cropping(OPTIONS)
    before = cropping.files()
    paint(cropping.tree / "new.png", (LEFT, YELLOW))
    (cropping.crops / "1" / "001.png").unlink()
    assert cropping(OPTIONS).cropped.looked_at == 2
    assert (cropping.crop("new.png") == YELLOW).all()
    after = cropping.files()
    assert {name: after[name] for name in before if name != "manifest.csv"} == {
        name: content for name, content in before.items() if name != "manifest.csv"
    }


def test_a_new_image_does_not_take_the_crop_of_anothers_second_face(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED), (RIGHT, GREEN))
    cropping(CropOptions(faces="all"))
    paint(cropping.tree / "a-2.png", (LEFT, YELLOW))
    for _ in range(2):
        cropping(CropOptions(faces="all"))
        assert [(row["source"], row["crop"], row["reason"]) for row in cropping.manifest()] == [
            ("a-2.png", "", "exists"),
            ("a.png", "a.png", "face"),
            ("a.png", "a-2.png", "face"),
        ]
        assert (cropping.crop("a-2.png") == GREEN).all()
    cropping(CropOptions(faces="all"), force=True)
    assert (cropping.crop("a-2.png") == YELLOW).all()
    assert (cropping.crop("a-3.png") == GREEN).all()


def test_an_image_that_is_repaired_is_cropped_and_one_that_is_changed_keeps_its_crop_and_is_told(
    cropping: Order,
) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED))
    (cropping.tree / "b.png").write_bytes(b"\x89PNG")
    assert cropping().cropped.changed == ()
    paint(cropping.tree / "a.png", (LEFT, GREEN))
    paint(cropping.tree / "b.png", (LEFT, GREEN))
    os.utime(cropping.tree / "a.png", ns=(1, 1))
    result = cropping()
    assert (cropping.crop("a.png") == RED).all()
    assert (cropping.crop("b.png") == GREEN).all()
    assert result.cropped.changed == ("a.png",)
    assert cropping(force=True).cropped.changed == ()
    assert (cropping.crop("a.png") == GREEN).all()


def test_a_changed_option_is_noticed_and_named(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED))
    cropping()
    before = cropping.files()
    for options, told in (
        (CropOptions(margin=Margin.parse("1,2,3,4%")), "--margin 0,0,0,0, now 1,2,3,4%:"),
        (CropOptions(size=Size(9, 9)), "--size as it is, now 9x9:"),
        (CropOptions(faces="all"), "--faces best, now all:"),
        (CropOptions(fallback=Fallback.parse("mean:2")), "--fallback skip, now mean:2:"),
        (CropOptions(align=True), "--align no, now yes:"),
    ):
        with pytest.raises(PreparingRefused) as refused:
            cropping(options)
        assert told in str(refused.value)
        assert "--force" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert cropping.files() == before
    (cropping.folder / "others").mkdir()
    cropping.tree.rename(cropping.folder / "elsewhere")
    cropping.tree.symlink_to(cropping.folder / "elsewhere")
    with pytest.raises(PreparingRefused, match=r"SOURCE .*photos, now .*elsewhere"):
        cropping()


def test_what_other_options_left_over_is_told(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED), (RIGHT, GREEN))
    cropping(CropOptions(faces="all"))
    result = cropping(CropOptions(), force=True)
    assert result.cropped.left_over == ("a-2.png",)
    assert (cropping.crops / "a-2.png").exists()
    # Ours still: no need of force to write it again after the next change of mind.
    assert cropping(CropOptions(faces="all"), force=True).cropped.left_over == ()
    (cropping.tree / "a.png").unlink()
    assert cropping(CropOptions(faces="all")).cropped.left_over == ("a.png", "a-2.png")


def test_a_forced_run_that_was_broken_off_goes_on_without_force(
    cropping: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cropping.tree, 9)
    cropping(OPTIONS)
    scaled = CropOptions(size=Size(20, 20), faces="all", fallback=OPTIONS.fallback)
    with monkeypatch.context() as patch:
        break_at(patch, 3)
        with pytest.raises(BrokenOff):
            cropping(scaled, force=True)
    cropping(scaled)
    sizes = {Image.open(path).size for path in cropping.crops.rglob("*.png")}
    assert sizes == {(20, 20)}
    assert "exists" not in cropping.reasons().values()


class BrokenOff(Exception):
    """As if the process ended here."""


def break_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Ends the run at this write: of a crop, of lines of the journal, of the manifest; half of it is done."""
    steps = itertools.count()
    lock = threading.Lock()

    def is_over() -> bool:
        with lock:
            number = next(steps)
        if number > step:
            raise BrokenOff
        return number == step

    def write(target: Path, content: bytes, part: Path) -> None:
        if is_over():
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content[: len(content) // 2])
            raise BrokenOff
        real_write(target, content, part)

    def add(self: Journal, lines: list[object]) -> None:
        assert self._file is not None
        if is_over():
            self._file.write(b'{"done":"0/000.png","size_')
            raise BrokenOff
        real_add(self, lines)

    real_write, real_add = crop_files.write, Journal._add
    patch.setattr(crop_files, "write", write)
    patch.setattr(Journal, "_add", add)


def test_broken_off_at_any_step_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_IMAGES", 4)
    (tmp_path / "whole").mkdir()
    whole = order(tmp_path / "whole")
    fill(whole.tree, 9)
    whole(OPTIONS)
    for step in itertools.count():
        (tmp_path / str(step)).mkdir()
        broken = order(tmp_path / str(step))
        fill(broken.tree, 9)
        with monkeypatch.context() as patch:
            break_at(patch, step)
            try:
                broken(OPTIONS)
            except BrokenOff:
                pass
            else:
                break
        for name, content in broken.files().items():
            assert name.endswith(".part") or content == whole.files()[name]
        broken(OPTIONS)
        assert broken.files() == whole.files(), step
    assert step > 20


def test_whoever_holds_on_to_the_error_holds_no_thread(
    cropping: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_IMAGES", 4)
    fill(cropping.tree, 40)
    with monkeypatch.context() as patch:
        break_at(patch, 3)
        with pytest.raises(BrokenOff) as held:
            cropping(OPTIONS)
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("batches", "images", "crops"))], held


def test_killed_again_and_again_it_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = order(tmp_path / "whole")
    fill(whole.tree, 250)
    whole(OPTIONS)
    (tmp_path / "killed").mkdir()
    killed = order(tmp_path / "killed")
    fill(killed.tree, 250)
    draw = random.Random(2)
    kills = done = 0
    for _ in range(60):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.gallery.preparing.cropping_process", str(killed.folder)],
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        # Longer after each kill that came too soon, so that every machine comes to an end.
        try:
            code = process.wait(draw.uniform(0.05, 0.25) * (1 + kills / 2))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
            kills += 1
        else:
            assert code == 0
            break
        finally:
            process.stdout.close()
        crops = list(killed.crops.rglob("*.png"))
        for path in crops:
            with Image.open(path) as picture:
                picture.load()
        assert len(crops) >= done
        done = len(crops)
    assert kills >= 2
    assert killed.files() == whole.files()


def test_a_damaged_line_is_told_and_force_begins_anew(cropping: Order) -> None:
    fill(cropping.tree, 5)
    cropping()
    lines = journal_of(cropping).read_bytes().splitlines(keepends=True)
    for damage in (b"nonsense\n", b"[]\n", b'{"done":"a"}\n', b'{"done":"a","size_bytes":1,"rows":[{}]}\n'):
        journal_of(cropping).write_bytes(b"".join([lines[0], damage, *lines[1:]]))
        with pytest.raises(PreparingRefused, match="line 2 is damaged: --force"):
            cropping()
    newer = json.dumps({"visaged_crop": 2, "options": {}}).encode() + b"\n"
    journal_of(cropping).write_bytes(newer)
    with pytest.raises(PreparingRefused, match="line 1 is damaged"):
        cropping()
    cropping(force=True)
    assert cropping().cropped.looked_at == 0


def test_two_runs_at_once_are_refused(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED))
    with (
        opened(cropping.crops, {}, force=False),
        pytest.raises(PreparingRefused, match="another visaged crop is at work"),
    ):
        cropping()
    cropping(force=True)


def test_progress_counts_every_image_once_and_middles_again(cropping: Order) -> None:
    fill(cropping.tree, 9)
    told: list[tuple[int, str]] = []
    cropping(OPTIONS, progress=lambda total, rows: told.append((total, rows[0].source)))
    assert [total for total, _ in told] == [10] * 10 + [13] * 3
    assert len({source for _, source in told}) == 10
    told.clear()
    cropping(OPTIONS, progress=lambda total, rows: told.append((total, rows[0].source)))
    assert told == []


def test_a_disk_that_is_full_from_the_start_is_told_and_the_same_command_goes_on_later(
    tmp_path: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with (
            pytest.raises(PreparingFailed, match="crops: can't be written to: "),
            opened(tmp_path / "crops", {}, force=False),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with opened(tmp_path / "crops", {}, force=False) as record:
        assert not record.done
