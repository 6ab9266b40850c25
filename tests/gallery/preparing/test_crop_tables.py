"""What is told of a run: manifests as CSV and Parquet, figures, and tables of images written anew."""

from __future__ import annotations

import csv
import json
import unicodedata
from pathlib import Path

import pytest

from gallery.preparing import manifest, rewriting
from gallery.preparing.errors import PreparingRefused
from gallery.preparing.job import Rewrite
from gallery.preparing.options import CropOptions
from gallery.preparing.rows import Face, Row
from gallery.preparing.summary import Group, summarize
from tests.gallery.painted import GREEN, RED, paint
from tests.gallery.preparing.orders import Order, order

LEFT, RIGHT = (10, 20, 80, 120), (110, 20, 150, 70)
FACE = Face((1.5, 2.0, 30.25, 40.0), 0.9876, ((5.0, 6.0),) * 5)
ROWS = (
    Row("ann/1.jpg", "ann/1.jpg", "face", FACE, (1, 2, 30, 40)),
    Row('b, "ob".jpg', None, "no_face"),
    Row("김.jpg", "김.jpg", "fallback", None, (0, 0, 9, 9)),
)


@pytest.fixture
def cropping(tmp_path: Path) -> Order:
    return order(tmp_path)


def face(source: str, crop: str | None = "x") -> Row:
    return Row(source, crop, "face", FACE, (0, 0, 10, 10))


def test_a_manifest_in_csv_has_boxes_as_json_and_nothing_for_what_there_is_not(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(manifest.content(file, ROWS))
    with file.open(newline="", encoding="utf-8") as opened:
        first, second, third = csv.DictReader(opened)
    assert json.loads(first["box"]) == [1.5, 2.0, 30.25, 40.0]
    assert json.loads(first["landmarks"]) == [[5.0, 6.0]] * 5
    assert first["score"] == "0.9876"
    assert second == dict.fromkeys(first, "") | {"source": 'b, "ob".jpg', "reason": "no_face"}
    assert (third["source"], third["crop"], third["reason"]) == ("김.jpg", "김.jpg", "fallback")


def test_a_manifest_in_parquet_has_lists_and_nulls(tmp_path: Path) -> None:
    from pyarrow import parquet

    file = tmp_path / "m.PARQUET"
    file.write_bytes(manifest.content(file, ROWS))
    table = parquet.read_table(file)
    assert tuple(table.column_names) == manifest.COLUMNS
    first, second, third = table.to_pylist()
    assert first["box"] == [1.5, 2.0, 30.25, 40.0]
    assert first["landmarks"] == [[5.0, 6.0]] * 5
    assert (first["score"], first["crop"]) == (0.9876, "ann/1.jpg")
    assert second == dict.fromkeys(first) | {"source": 'b, "ob".jpg', "reason": "no_face"}
    assert third["source"] == "김.jpg"
    assert parquet.read_table(_written(file, manifest.content(file, ()))).num_rows == 0


def _written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def test_parquet_without_its_library_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest.check_kind(Path("a.parquet"))
    monkeypatch.setattr(manifest, "find_spec", lambda name: None)
    with pytest.raises(PreparingRefused, match="uv sync --extra parquet"):
        manifest.check_kind(Path("a.parquet"))
    with pytest.raises(PreparingRefused, match=r"must end in \.csv or \.parquet"):
        manifest.check_kind(Path("a.json"))


def test_figures_count_images_and_crops_and_the_mean_box_is_of_faces_that_were_cropped() -> None:
    other = Face((2.5, 4.0, 31.25, 41.0), 0.5, FACE.landmarks)
    rows = (
        face("a.jpg"),
        Row("a.jpg", "a-2.jpg", "face", other, (0, 0, 10, 10)),
        Row("a.jpg", None, "exists", Face((900.0, 900.0, 999.0, 999.0), 0.5, FACE.landmarks)),
        Row("b.jpg", None, "no_face"),
        Row("c.jpg", "c.jpg", "fallback", None, (0, 0, 9, 9)),
        Row("d.jpg", None, "truncated"),
        Row("e.jpg", None, "truncated"),
    )
    figures = summarize(rows)
    assert (figures.images, figures.with_face, figures.missed) == (5, 1, 2)
    assert (figures.crops, figures.fallbacks) == (2, 1)
    assert figures.refused == {"truncated": 2, "exists": 1}
    assert figures.mean_box == (2.0, 3.0, 30.75, 40.5)
    assert summarize(()).mean_box is None


def test_misses_are_told_by_folder_and_by_stem_where_most_are_missed_first() -> None:
    rows = [face(f"{name}/plain.jpg") for name in ("ann", "bob", "cleo")]
    rows += [Row(f"{name}/mask.jpg", None, "no_face") for name in ("ann", "bob")]
    rows += [face("cleo/mask.jpg"), face("once.jpg"), Row("ann/broken.jpg", None, "truncated")]
    figures = summarize(rows)
    assert figures.missed_by_stem == (Group("mask", 3, 2), Group("plain", 3, 0))
    assert figures.missed_by_folder == (Group("ann", 2, 1), Group("bob", 2, 1), Group("cleo", 2, 0))
    assert summarize([Row("a.jpg", None, "no_face")]).missed_by_folder == (Group(".", 1, 1),)


def fill(cropping: Order) -> None:
    paint(cropping.tree / "ann" / "1.png", (LEFT, RED), (RIGHT, GREEN))
    paint(cropping.tree / "ann" / "none.png")
    paint(cropping.tree / unicodedata.normalize("NFD", "김.png"), (LEFT, RED))


def rewritten(
    cropping: Order, text: str, column: str = "path", options: CropOptions | None = None
) -> list[list[str]]:
    file, out = cropping.folder / "in.csv", cropping.folder / "out.csv"
    file.write_text(text)
    out.unlink(missing_ok=True)
    cropping(options, rewrite=Rewrite(file, column, out), force=True)
    with out.open(newline="", encoding="utf-8") as opened:
        return list(csv.reader(opened, delimiter=";" if ";" in text else ","))


def test_a_table_gets_the_crops_for_the_images(cropping: Order) -> None:
    fill(cropping)
    found = rewritten(
        cropping, f'path,label\nann/1.png,"A, B"\n{cropping.tree}/ann/1.png,2\nphotos/ann/1.png,3\n김.png,4\n'
    )
    crop = str(cropping.crops / "ann" / "1.png")
    assert found[:4] == [["path", "label"], [crop, "A, B"], [crop, "2"], [crop, "3"]]
    assert Path(found[4][0]).exists()
    assert found[4][1] == "4"


def test_what_has_no_crop_is_empty_and_counted(cropping: Order) -> None:
    fill(cropping)
    file, out = cropping.folder / "in.csv", cropping.folder / "out.csv"
    file.write_text("path,label\nann/none.png,a\nnowhere.png,b\n../secret.png,c\n,d\nann/1.png\n")
    result = cropping(rewrite=Rewrite(file, "path", out))
    assert result.rewritten is not None
    assert result.rewritten.rows == 5
    assert result.rewritten.without_crop == ["ann/none.png"]
    assert result.rewritten.unknown == ["nowhere.png", "../secret.png", ""]
    crop = cropping.crops / "ann" / "1.png"
    assert out.read_text() == f"path,label\n,a\n,b\n,c\n,d\n{crop},\n"


def test_an_image_of_several_crops_has_a_row_for_each(cropping: Order) -> None:
    fill(cropping)
    found = rewritten(cropping, "id;image\n7;ann/1.png\n", "image", CropOptions(faces="all"))
    folder = cropping.crops / "ann"
    assert found == [["id", "image"], ["7", str(folder / "1.png")], ["7", str(folder / "1-2.png")]]


def test_a_path_stays_relative_where_both_were(cropping: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(cropping)
    cropping()
    monkeypatch.chdir(cropping.folder)
    Path("in.csv").write_text(f"path\nann/1.png\nphotos/ann/1.png\n{cropping.tree}/ann/1.png\n")
    table = rewriting.read(Path("in.csv"), "path")
    rows = (Row("ann/1.png", "ann/1.png", "face", FACE, (0, 0, 1, 1)),)
    told = rewriting.rewrite(table, rows, Path("photos"), Path("crops")).content.decode().splitlines()
    assert told == ["path", "crops/ann/1.png", "crops/ann/1.png", str(cropping.crops / "ann" / "1.png")]


def test_a_table_that_is_none_is_refused_before_the_work(cropping: Order) -> None:
    fill(cropping)
    file, out = cropping.folder / "in.csv", cropping.folder / "out.csv"
    with pytest.raises(PreparingRefused, match="can't be read: No such file"):
        cropping(rewrite=Rewrite(file, "path", out))
    for content, told in (
        (b"image,label\n", "has no column path; its columns: image, label"),
        (b"", "its columns: none"),
        (b"path\n\xff\xfe\n", "must be UTF-8"),
    ):
        file.write_bytes(content)
        with pytest.raises(PreparingRefused, match=told):
            cropping(rewrite=Rewrite(file, "path", out))
    file.write_bytes("path\n".encode("utf-8-sig"))
    with pytest.raises(PreparingRefused, match="--csv-out must be another file"):
        cropping(rewrite=Rewrite(file, "path", file), force=True)
    with pytest.raises(PreparingRefused, match="is no folder"):
        cropping(rewrite=Rewrite(file, "path", cropping.folder / "nowhere" / "out.csv"))
    assert not cropping.crops.exists()
    out.write_text("mine")
    with pytest.raises(PreparingRefused, match=r"out\.csv is there already"):
        cropping(rewrite=Rewrite(file, "path", out))
    assert out.read_text() == "mine"
    assert cropping(rewrite=Rewrite(file, "path", out), force=True).rewritten is not None
    # It is ours now: the same command may be given again.
    assert cropping(rewrite=Rewrite(file, "path", out)).rewritten is not None
