"""What a tree of images becomes: crops, names, formats, fallbacks, and a row for each image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gallery.preparing.errors import PreparingFailed, PreparingRefused
from gallery.preparing.options import CropOptions, Fallback, Margin, Size
from tests.gallery.painted import DOUBTFUL, GREEN, RED, YELLOW, paint
from tests.gallery.preparing.orders import Order, numbers, order

LEFT, RIGHT = (10, 20, 80, 120), (110, 20, 150, 70)
WIDE = (20, 30, 120, 90)


@pytest.fixture
def cropping(tmp_path: Path) -> Order:
    return order(tmp_path)


def test_a_crop_shows_the_face_and_has_the_name_of_its_image(cropping: Order) -> None:
    paint(cropping.tree / "ann" / "1.png", (LEFT, RED))
    paint(cropping.tree / "김" / "사진.png", (WIDE, GREEN))
    result = cropping()
    assert cropping.crop("ann/1.png").tolist() == np.full((100, 70, 3), RED).tolist()
    assert cropping.crop("김/사진.png").shape == (60, 100, 3)
    first, second = cropping.manifest()
    assert list(first) == ["source", "crop", "box", "score", "landmarks", "reason"]
    assert (first["source"], first["crop"], first["reason"]) == ("ann/1.png", "ann/1.png", "face")
    assert (second["source"], second["crop"]) == ("김/사진.png", "김/사진.png")
    assert numbers(first["box"]) == [10.0, 20.0, 80.0, 120.0]
    assert float(first["score"]) == 0.99
    assert first["landmarks"].startswith("[[31.0, 60.0], [59.0, 60.0], ")
    assert result.cropped.looked_at == 2


def test_the_margin_is_clipped_and_the_size_is_exact(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED))
    cropping(CropOptions(margin=Margin.parse("30,50%,10,0")))
    crop = cropping.crop("a.png")
    # 30 to the left would leave the image: 10 are there; above, 20 of 50.
    assert crop.shape == (120, 90, 3)
    assert (crop[20:, 10:80] == RED).all()
    assert (crop[:20] == 0).all()
    cropping(CropOptions(margin=Margin.parse("30,50%,10,0"), size=Size(33, 44)), force=True)
    assert cropping.crop("a.png").shape == (44, 33, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_crop_has_the_format_of_its_image_whatever_that_is_called(cropping: Order, kind: str) -> None:
    with Image.open(paint(cropping.tree / "a.photo", (LEFT, RED))) as picture:
        picture.save(cropping.tree / "a.photo", kind)
    # PNG keeps the colours that the painted detector looks for.
    shutil.copy(paint(cropping.folder / "other", (LEFT, RED)), cropping.tree / "b.jpg")
    cropping(CropOptions(fallback=Fallback.parse("center:20x20")))
    with Image.open(cropping.crops / "a.photo") as crop:
        assert crop.format == kind
    with Image.open(cropping.crops / "b.jpg") as crop:
        assert crop.format == "PNG"


def test_of_several_faces_the_best_the_largest_or_all_are_cropped(cropping: Order) -> None:
    paint(cropping.tree / "two.png", (LEFT, DOUBTFUL), (RIGHT, GREEN))
    cropping()
    assert cropping.crop("two.png").shape == (50, 40, 3)
    cropping(CropOptions(faces="largest"), force=True)
    assert cropping.crop("two.png").shape == (100, 70, 3)
    result = cropping(CropOptions(faces="all"), force=True)
    assert cropping.crop("two.png").shape == (100, 70, 3)
    assert cropping.crop("two-2.png").shape == (50, 40, 3)
    assert [row["crop"] for row in cropping.manifest()] == ["two.png", "two-2.png"]
    assert [row["source"] for row in cropping.manifest()] == ["two.png", "two.png"]
    assert (result.summary.images, result.summary.with_face, result.summary.crops) == (1, 1, 2)


def test_a_second_face_takes_no_name_that_another_image_needs(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED), (RIGHT, GREEN))
    paint(cropping.tree / "a-2.png", (WIDE, YELLOW))
    cropping(CropOptions(faces="all"))
    assert {row["crop"]: row["source"] for row in cropping.manifest()} == {
        "a-2.png": "a-2.png",
        "a.png": "a.png",
        "a-3.png": "a.png",
    }
    assert (cropping.crop("a-2.png") == YELLOW).all()
    assert (cropping.crop("a-3.png") == GREEN).all()


def test_without_a_fallback_an_image_without_a_face_is_told_and_no_more(cropping: Order) -> None:
    paint(cropping.tree / "face.png", (LEFT, RED))
    paint(cropping.tree / "none.png")
    result = cropping()
    assert set(cropping.files()) == {"face.png", "manifest.csv"}
    row = cropping.manifest()[1]
    assert row == dict.fromkeys(row, "") | {"source": "none.png", "reason": "no_face"}
    assert (result.summary.with_face, result.summary.missed) == (1, 1)


def test_the_middle_stands_in_for_a_face(cropping: Order) -> None:
    paint(cropping.tree / "none.png", size=(200, 160))
    paint(cropping.tree / "small.png", size=(30, 160))
    result = cropping(CropOptions(fallback=Fallback.parse("center:60x50")))
    assert cropping.crop("none.png").shape == (50, 60, 3)
    assert cropping.crop("small.png").shape == (50, 30, 3)
    assert cropping.reasons() == {"none.png": "fallback", "small.png": "fallback"}
    assert (result.summary.missed, result.summary.fallbacks, result.summary.crops) == (2, 2, 0)
    assert result.summary.mean_box is None


def test_the_mean_is_of_the_crops_of_faces_with_their_margin_and_clipped(cropping: Order) -> None:
    # 10 to the left of both, of which the second has but 4: 80 x 100 and 104 x 60.
    paint(cropping.tree / "a.png", (LEFT, RED))
    paint(cropping.tree / "b.png", ((4, 30, 104, 90), RED))
    paint(cropping.tree / "none.png")
    paint(cropping.tree / "tiny.png", size=(20, 20))
    options = CropOptions(
        margin=Margin.parse("10,0,0,0"), size=Size(8, 8), fallback=Fallback.parse("mean:1.5")
    )
    result = cropping(options)
    assert result.cropped.mean_px == (92.0, 80.0)
    pixels = {row.source: row.pixels for row in result.cropped.rows}
    # 138 x 120 in the middle of 200 x 160.
    assert pixels["none.png"] == (31, 20, 169, 140)
    assert pixels["tiny.png"] == (0, 0, 20, 20)
    assert cropping.crop("none.png").shape == (8, 8, 3)
    assert result.summary.mean_box == (7.0, 25.0, 92.0, 105.0)


def test_without_any_face_there_is_no_mean_and_misses_stay_misses(cropping: Order) -> None:
    paint(cropping.tree / "none.png")
    result = cropping(CropOptions(fallback=Fallback.parse("mean:1")))
    assert cropping.reasons() == {"none.png": "no_face"}
    assert result.cropped.mean_px is None


def test_aligned_chips_have_eyes_and_mouth_where_dlib_wants_them(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED))
    paint(cropping.tree / "none.png")
    cropping(CropOptions(align=True, fallback=Fallback.parse("center:60x30")))
    chip = cropping.crop("a.png")
    assert chip.shape == (150, 150, 3)
    # The painted eyes lie 21 pixels from the left, 40 from the top: red there, black beyond the face's edge.
    assert tuple(chip[47, 49]) == RED
    assert not chip[5, 145].any()
    assert cropping.crop("none.png").shape == (150, 150, 3)
    cropping(CropOptions(align=True, size=Size(64, 64)), force=True)
    assert cropping.crop("a.png").shape == (64, 64, 3)


def test_every_file_has_its_row_and_hidden_ones_are_left_alone(cropping: Order) -> None:
    paint(cropping.tree / "good.png", (LEFT, RED))
    paint(cropping.tree / ".hidden.png", (LEFT, RED))
    paint(cropping.tree / ".cache" / "a.png", (LEFT, RED))
    (cropping.tree / "empty.jpg").touch()
    (cropping.tree / "notes.txt").write_text("who is who")
    half = (cropping.tree / "good.png").read_bytes()
    (cropping.tree / "half.png").write_bytes(half[: len(half) // 2])
    os.mkfifo(cropping.tree / "pipe")
    result = cropping()
    assert cropping.reasons() == {
        "empty.jpg": "empty",
        "good.png": "face",
        "half.png": "truncated",
        "notes.txt": "not_an_image",
        "pipe": "not_a_file",
    }
    assert sum(result.summary.refused.values()) == 4
    assert set(cropping.files()) == {"good.png", "manifest.csv"}


def test_links_are_followed_within_the_tree_and_refused_out_of_it(cropping: Order) -> None:
    paint(cropping.tree / "ann" / "real.png", (LEFT, RED))
    paint(cropping.folder / "elsewhere" / "secret.png", (LEFT, GREEN))
    (cropping.tree / "alias.png").symlink_to("ann/real.png")
    (cropping.tree / "out.png").symlink_to(cropping.folder / "elsewhere" / "secret.png")
    (cropping.tree / "folder").symlink_to(cropping.folder / "elsewhere")
    (cropping.tree / "ann" / "again").symlink_to(cropping.tree)
    (cropping.tree / "dangling.png").symlink_to("nowhere.png")
    cropping()
    assert cropping.reasons() == {
        "alias.png": "face",
        "ann/real.png": "face",
        "dangling.png": "not_found",
        "folder": "outside_tree",
        "out.png": "outside_tree",
    }
    assert set(cropping.files()) == {"alias.png", "ann/real.png", "manifest.csv"}


def test_names_that_are_no_text_are_cropped_and_told_with_escapes(cropping: Order) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    paint(cropping.tree / "a.png", (LEFT, RED)).rename(cropping.tree / name)
    cropping()
    assert (cropping.crops / name).exists()
    assert cropping.reasons() == {"caf\\udce9.png": "face"}
    assert cropping().cropped.looked_at == 0


def test_what_is_there_is_never_overwritten_without_force(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED), (RIGHT, GREEN))
    paint(cropping.tree / "b.png", (LEFT, RED))
    for name in ("a-2.png", "b.png"):
        cropping.crops.mkdir(exist_ok=True)
        (cropping.crops / name).write_text("mine")
    result = cropping(CropOptions(faces="all"))
    assert {(row["source"], row["crop"], row["reason"]) for row in cropping.manifest()} == {
        ("a.png", "a.png", "face"),
        ("a.png", "", "exists"),
        ("b.png", "", "exists"),
    }
    assert cropping.files()["a-2.png"] == cropping.files()["b.png"] == b"mine"
    assert result.summary.refused == {"exists": 2}
    cropping(CropOptions(faces="all"), force=True)
    assert {row["reason"] for row in cropping.manifest()} == {"face"}
    assert (cropping.crop("a-2.png") == GREEN).all()


def test_a_crop_never_takes_the_manifests_place(cropping: Order) -> None:
    paint(cropping.tree / "manifest.csv", (LEFT, RED))
    for force in (False, True):
        cropping(force=force)
        assert cropping.reasons() == {"manifest.csv": "exists"}


def test_a_manifest_that_is_not_ours_is_not_overwritten(cropping: Order) -> None:
    paint(cropping.tree / "a.png", (LEFT, RED))
    cropping.crops.mkdir()
    (cropping.crops / "manifest.csv").write_text("mine")
    with pytest.raises(PreparingRefused, match=r"manifest\.csv is there already.*--force"):
        cropping()
    assert (cropping.crops / "manifest.csv").read_text() == "mine"
    assert not (cropping.crops / "a.png").exists()
    cropping(force=True)
    assert cropping.reasons() == {"a.png": "face"}


@pytest.mark.parametrize("crops", [".", "photos", "photos/crops", "photos/../photos/ann"])
def test_crops_never_lie_among_the_images_or_images_among_the_crops(cropping: Order, crops: str) -> None:
    from gallery.preparing.cropping import check_places

    with pytest.raises(PreparingRefused, match="outside"):
        check_places(cropping.tree, cropping.folder / crops)
    (cropping.folder / "link").symlink_to(cropping.tree)
    with pytest.raises(PreparingRefused, match="outside"):
        check_places(cropping.tree, cropping.folder / "link" / "crops")


def test_a_tree_must_be_a_folder(cropping: Order) -> None:
    cropping.tree.rmdir()
    with pytest.raises(PreparingRefused, match="SOURCE must be a folder"):
        cropping()
    cropping.tree.write_text("")
    with pytest.raises(PreparingRefused, match="SOURCE must be a folder"):
        cropping()


def test_where_a_crop_cannot_be_written_the_run_breaks_off_and_goes_on_later(cropping: Order) -> None:
    paint(cropping.tree / "ann" / "1.png", (LEFT, RED))
    cropping.crops.mkdir()
    (cropping.crops / "ann").write_text("a file where a folder is needed")
    with pytest.raises(PreparingFailed, match=r"1\.png: can't be written"):
        cropping()
    (cropping.crops / "ann").unlink()
    cropping()
    assert cropping.reasons() == {"ann/1.png": "face"}
