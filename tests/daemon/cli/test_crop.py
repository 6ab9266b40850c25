"""`crop` on photographs: misses, masks painted on faces, several faces, broken files."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.daemon.cli.conftest import Shell
from tests.daemon.cli.photographs import SAMPLES, detector, make_tree, manifest, read
from tests.gallery.bad_images import make

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("pictures") / "photos")


def test_a_tree_becomes_a_tree_of_crops_with_figures_and_a_table_of_misses(
    visaged: Shell, tree: Path, tmp_path: Path
) -> None:
    crops = tmp_path / "crops"
    done = visaged("crop", tree, crops, "--margin", "10%,40%,10%,10%", "--json")
    assert done.code == 0, done.err
    told = done.document
    assert (told["images"], told["with_face"], told["missed"]) == (13, 5, 5)
    assert (told["crops"], told["fallbacks"]) == (5, 0)
    assert told["refused"] == {"empty": 1, "truncated": 1, "not_an_image": 1}
    stems = [(each["name"], each["missed"], each["images"]) for each in told["missed_by_stem"]]
    assert stems == [("mask", 4, 4), ("wall", 1, 1), ("plain", 0, 4)]
    folders = {each["name"]: (each["missed"], each["images"]) for each in told["missed_by_folder"]}
    assert folders == {photo.stem: (1, 2) for photo in SAMPLES} | {".": (1, 2)}
    assert told["images_per_second"] > 0
    rows = manifest(crops)
    assert Counter(row["reason"] for row in rows) == {
        **{"face": 5, "no_face": 5, "empty": 1, "truncated": 1, "not_an_image": 1},
    }
    for row in rows:
        assert bool(row["crop"]) == (row["reason"] == "face") == bool(row["box"])
    boxes = [json.loads(row["box"]) for row in rows if row["box"]]
    assert told["mean_box"] == [round(sum(edges) / 5, 2) for edges in zip(*boxes, strict=True)]


def test_each_crop_is_its_face_with_the_margin_as_the_manifest_tells(
    visaged: Shell, tree: Path, tmp_path: Path
) -> None:
    crops = tmp_path / "crops"
    assert visaged("crop", tree, crops, "--margin", "10%,40%,10%,20").code == 0
    rows = {row["source"]: row for row in manifest(crops)}
    for photo in SAMPLES:
        row = rows[f"{photo.stem}/plain.jpg"]
        bgr = read(photo)
        left, top, right, bottom = json.loads(row["box"])
        width, height = right - left, bottom - top
        expected = bgr[
            max(0, round(top - 0.4 * height)) : min(bgr.shape[0], round(bottom + 20)),
            max(0, round(left - 0.1 * width)) : min(bgr.shape[1], round(right + 0.1 * width)),
        ]
        crop = read(crops / row["crop"])
        assert crop.shape == expected.shape
        assert np.abs(crop.astype(int) - expected).mean() < 3
        landmarks = np.array(json.loads(row["landmarks"]))
        assert (landmarks > [left, top]).all()
        assert (landmarks < [right, bottom]).all()
    assert read(crops / "crowd.png").shape < (360, 288, 3)


def test_all_faces_of_a_crowd_are_cropped_and_fallbacks_are_of_the_mean_size(
    visaged: Shell, tree: Path, tmp_path: Path
) -> None:
    crops, table, out = tmp_path / "crops", tmp_path / "in.csv", tmp_path / "out.csv"
    table.write_text("label,path\nmany,crowd.png\nnobody,wall.jpg\nbroken,half.jpg\n")
    done = visaged(
        "crop", tree, crops, "--faces", "all", "--fallback", "mean:0.5", "--json",
        *("--manifest", tmp_path / "m.parquet", "--rewrite-csv", table, "--csv-out", out),
    )  # fmt: skip
    assert done.code == 0, done.err
    told = done.document
    assert (told["crops"], told["fallbacks"]) == (8, 5)
    width, height = told["mean_crop_px"]
    assert read(crops / "wall.jpg").shape == (round(height / 2), round(width / 2), 3)
    assert told["csv"] == {"file": str(out), "rows": 3, "without_crop": 1, "unknown": 0}
    with out.open(newline="") as file:
        written = list(csv.DictReader(file))
    names = ["crowd.png", "crowd-2.png", "crowd-3.png", "crowd-4.png"]
    assert [row["path"] for row in written] == [*(str(crops / name) for name in [*names, "wall.jpg"]), ""]
    assert [row["label"] for row in written] == ["many"] * 4 + ["nobody", "broken"]
    from pyarrow import parquet

    kept = parquet.read_table(tmp_path / "m.parquet").to_pylist()
    assert Counter(row["reason"] for row in kept)["face"] == 8
    assert not (crops / "manifest.csv").exists()


def test_aligned_chips_are_upright_and_the_tables_tell_where_faces_were_missed(
    visaged: Shell, tree: Path, tmp_path: Path
) -> None:
    crops = tmp_path / "crops"
    done = visaged("crop", tree, crops, "--align")
    assert done.code == 0, done.err
    for photo in SAMPLES:
        chip = read(crops / photo.stem / "plain.jpg")
        assert chip.shape == (150, 150, 3)
        (faces,) = detector().detect([np.pad(chip, ((75, 75), (75, 75), (0, 0)))])
        eyes = faces.landmarks[0, :2]
        assert abs(eyes[0, 1] - eyes[1, 1]) < 6
    for words in (
        "13 images: 5 with a face, 5 missed, 3 refused; 5 crops of faces, 0 fallbacks",
        "mean box: ",
        "missed by folder",
        "missed by file stem",
        "mask",
        "100%",
        "a second, on CPU",
        "manifest.csv",
    ):
        assert words in done.out
    again = visaged("crop", tree, crops, "--align")
    assert again.code == 0
    assert "nothing was to do" in again.out


def test_wrong_usage_is_one_line_and_nothing_is_written(visaged: Shell, tree: Path, tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    for arguments in (
        (tmp_path / "nowhere", crops),
        (tree, tree / "crops"),
        (tree, crops, "--margin", "1,2,3"),
        (tree, crops, "--size", "big"),
        (tree, crops, "--faces", "some"),
        (tree, crops, "--fallback", "mean"),
        (tree, crops, "--align", "--margin", "1,1,1,1"),
        (tree, crops, "--manifest", tmp_path / "m.json"),
        (tree, crops, "--rewrite-csv", tmp_path / "in.csv"),
        (tree, crops, "--csv-out", tmp_path / "out.csv"),
        (tree,),
    ):
        done = visaged("crop", *arguments)
        assert done.code == 2, arguments
        assert done.err.startswith("visaged: "), done.err
        assert len(done.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text_are_told_with_escapes(visaged: Shell, tmp_path: Path) -> None:
    photos = tmp_path / os.fsdecode(b"phot\xf6s")
    photos.mkdir()
    image = photos / os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(SAMPLES[0], image)
    crops = tmp_path / os.fsdecode(b"cr\xf6ps")
    assert visaged("crop", photos, crops).code == 0
    os.utime(image, ns=(1, 1))
    done = visaged("crop", photos, crops, "--json")
    assert (done.code, done.document["changed"]) == (0, ["caf\\udce9.jpg"])
    image.unlink()
    done = visaged("crop", photos, crops)
    assert done.code == 1
    assert "caf\\udce9.jpg" in done.err
    assert "manifest: " in done.out
    assert visaged("crop", photos, crops, "--faces", "all").code == 2


def test_a_tree_without_any_face_exits_1_and_tells_why(visaged: Shell, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    done = visaged("crop", tmp_path / "photos", tmp_path / "crops")
    assert done.code == 1
    assert "0 images" in done.out
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    done = visaged("crop", tmp_path / "photos", tmp_path / "crops", "--json")
    assert (done.code, done.document["refused"]) == (1, {"not_an_image": 1})


def test_every_bad_image_has_its_row_and_upright_ones_their_face(visaged: Shell, tmp_path: Path) -> None:
    with Image.open(SAMPLES[1]) as photo:
        made = make(tmp_path, photo)
    done = visaged("crop", tmp_path / "tree", tmp_path / "crops", "--json")
    assert done.code == 0, done.err
    reasons = {row["source"]: row["reason"] for row in manifest(tmp_path / "crops")}
    in_tree = {each.path.name: each.reason for each in made if each.path.name in reasons}
    assert len(in_tree) >= 45
    pictures = {"profile.png", "text.png", "unpacks.png"}
    for name, reason in in_tree.items():
        assert reasons[name] == (reason or ("no_face" if name in pictures else "face")), name
    # "folder.jpg" is a folder, and what has no place in a tree is not there.
    assert {each.path.name for each in made} - set(in_tree) == {
        *("folder.jpg", "missing.jpg", "with\0nul.jpg", "secret.jpg"),
    }
    upright = read(tmp_path / "crops" / "exif-1.jpg").shape
    for orientation in range(2, 9):
        shape = read(tmp_path / "crops" / f"exif-{orientation}.jpg").shape
        assert np.abs(np.subtract(shape, upright)).max() <= 8
