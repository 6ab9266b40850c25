"""Pickles are read and never unpickled: what is plain data comes out, and what could run is refused."""

from __future__ import annotations

import collections
import datetime
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gallery.errors import GalleryError, ModelMismatch, NameRefused
from gallery.faces.encoder import DlibEncoder
from gallery.importing.face_recognition import model, people, take_in
from gallery.importing.pickled import read
from gallery.importing.pickled_words import Array, PickleRefused
from gallery.store import Gallery
from tests.gallery.builders import reference

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(value=PLAIN, protocol=st.integers(3, 5))
def test_plain_data_comes_out_as_it_went_in(value: object, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_out_as_they_went_in(protocol: int, dtype: str, order: str) -> None:
    rows = np.arange(12, dtype=dtype).reshape(3, 4)
    array = np.asfortranarray(rows) if order == "F" else rows
    found = read(pickle.dumps({"a": [array, array[0]], "b": np.float64(1.5)}, protocol))
    assert isinstance(found, dict)
    whole, row = found["a"]
    assert isinstance(whole, Array)
    assert isinstance(row, Array)
    np.testing.assert_array_equal(whole.content, rows)
    np.testing.assert_array_equal(row.content, rows[0])
    assert found["b"] == 1.5


class Runs:
    """Would write a file, were it unpickled."""

    def __init__(self, *call: object) -> None:
        self._call = call

    def __reduce__(self) -> tuple[object, ...]:
        return self._call


def ran(*names: str) -> None:
    raise AssertionError("a pickle was run")


ILL_MEANT: dict[str, object] = {
    "a call of ours": Runs(ran, ("x",)),
    "eval": Runs(eval, ("ran()",)),
    "an object": datetime.datetime(2026, 1, 1),
    "a default dict": collections.defaultdict(list),
    "a set": {1, 2},
    "a class": Path,
    "an array of objects": np.array([{}], object),
    "an array of texts": np.array(["a"]),
    "an array of whole numbers": np.arange(3),
    "a record array": np.zeros(2, [("a", "f4")]),
    "an object in a list in a dict": {"names": [Runs(ran, ())]},
}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("what", ILL_MEANT)
def test_whatever_else_is_refused_and_not_run(what: str, protocol: int) -> None:
    with pytest.raises(PickleRefused):
        read(pickle.dumps(ILL_MEANT[what], protocol))


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_a_damaged_pickle_is_refused_or_read_as_something(data: st.DataObject) -> None:
    whole = pickle.dumps({"names": ["ann"], "encodings": [np.ones(4)]}, data.draw(st.integers(2, 5)))
    at = data.draw(st.integers(0, len(whole) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    for damaged in (whole[:at], whole[:at] + noise + whole[at + len(noise) :]):
        try:
            people(damaged)
        except GalleryError:
            continue
        raise AssertionError("an encoding of 4 numbers was taken")


def test_one_list_many_times_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gallery.importing.face_recognition.MOST_ENCODINGS", 5000)
    bomb: list[object] = [ONE] * 2000
    with pytest.raises(PickleRefused, match="more than"):
        people(pickle.dumps({f"{i}": bomb for i in range(2000)}))
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(PickleRefused):
        people(pickle.dumps({"a": endless}))


def encoding(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    row = np.random.default_rng(seed).normal(size=128)
    return 1.4 * row / np.linalg.norm(row)


ONE, TWO, THREE = encoding(1), encoding(2), encoding(3)
SHAPES: dict[str, object] = {
    "names and encodings": {"names": ["ann", "bob", "ann"], "encodings": [ONE, TWO, THREE]},
    "encodings and names": {"encodings": [ONE, TWO, THREE], "names": ["ann", "bob", "ann"]},
    "known names": {"known_names": ["ann", "bob", "ann"], "known_encodings": np.stack([ONE, TWO, THREE])},
    "a name, its encodings": {"ann": [ONE, THREE], "bob": TWO},
    "a name, its rows": {"ann": np.stack([ONE, THREE]), "bob": [TWO.tolist()]},
    "numbers alone": {"ann": [ONE.tolist(), THREE.tolist()], "bob": TWO.tolist()},
    "two lists": ([ONE, TWO, THREE], ["ann", "bob", "ann"]),
    "two lists, names first": (["ann", "bob", "ann"], [ONE, TWO, THREE]),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_usual_shapes_are_understood(shape: str, protocol: int) -> None:
    found = people(pickle.dumps(SHAPES[shape], protocol))
    assert [(person.name, len(person.encodings)) for person in found] == [("ann", 2), ("bob", 1)]
    np.testing.assert_allclose(found[0].encodings[1], THREE, atol=1e-6)


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "ann",
        {"names": ["ann"], "encodings": [ONE, TWO]},
        {"names": ["ann", "bob"], "encodings": [ONE]},
        {"ann": [np.ones(64)]},
        {"ann": [np.full(128, np.nan)]},
        {"ann": [np.zeros(128)]},
        {"ann": [1 << 4000] * 128},
        {"ann": 3},
        {"names": "ann", "encodings": [ONE]},
        {"names": [3], "encodings": [ONE]},
    ],
)
def test_what_is_no_face_of_dlibs_is_refused(value: object) -> None:
    with pytest.raises(PickleRefused):
        people(pickle.dumps(value))


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(NameRefused):
        people(pickle.dumps({"a\nb": ONE}))


def test_the_model_is_that_of_an_encoder_with_dlibs_alignment() -> None:
    assert model() == DlibEncoder("cpu", "dlib", "torch").model


def test_people_are_taken_in_once_and_only_where_they_can_be_compared(tmp_path: Path) -> None:
    known = people(pickle.dumps(SHAPES["two lists"]))
    with Gallery.open(tmp_path / "gallery.db") as gallery:
        assert take_in(gallery, known, "known.pkl", 1) == ({"ann": 2, "bob": 1}, {"ann": 0, "bob": 0})
        assert take_in(gallery, known, "known.pkl", 1) == ({"ann": 0, "bob": 0}, {"ann": 2, "bob": 1})
        assert gallery.model == model()
        assert [each.source_name for each in gallery.references("ann")] == ["known.pkl 1", "known.pkl 2"]
        take_in(gallery, people(pickle.dumps({"kim": encoding(4)})), "a\x07\n.pkl", 1)
        assert [each.source_name for each in gallery.references("kim")] == [r"a\x07\n.pkl 1"]
    with Gallery.open(tmp_path / "other.db") as gallery:
        gallery.add("eve", [reference("eve", np.ones(128))], 1)
        with pytest.raises(ModelMismatch):
            take_in(gallery, known, "known.pkl", 1)
        assert [person.name for person in gallery.people()] == ["eve"]
