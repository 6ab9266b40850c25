"""The statistics that come with visaged are those of the encoder that it uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gallery.calibration import calibrate
from gallery.impostors import bundled
from gallery.matcher import Index
from tests.gallery.builders import person

PEOPLE = 60


@pytest.fixture(scope="module")
def index(shared_data: Path) -> Index:
    """Two photographs each of some people of LFW."""
    from benchmarks.pairs import main_faces
    from gallery.faces.encoder import build_encoder

    folders = sorted((shared_data / "lfw-view1" / "images").iterdir())
    several = [sorted(folder.iterdir())[:2] for folder in folders if len(list(folder.iterdir())) > 1]
    files = [file for pair in several[:PEOPLE] for file in pair]
    found = list(main_faces(files, "cpu"))
    encoder = build_encoder("dlib")
    encoded = encoder.encode_many([bgr for bgr, _ in found], [faces for _, faces in found])
    owners = [number // 2 for number, rows in enumerate(encoded) for _ in rows]
    people = [person(pair[0].parent.name) for pair in several[:PEOPLE]]
    return Index.of(people, owners, np.concatenate(encoded), model=encoder.model, revision=1)


def test_strangers_and_photographs_of_one_person_are_as_near_as_was_measured(index: Index) -> None:
    statistics = bundled(index.model)
    assert statistics is not None
    assert statistics.model == index.model
    first, second = index.encodings[0::2], index.encodings[1::2]
    table = np.linalg.norm(first[:, None] - first, axis=2)[np.triu_indices(PEOPLE, 1)]
    near = (table <= statistics.near_distance).mean()
    assert statistics.near / 3 < near < statistics.near * 3
    assert np.median(table) == pytest.approx(statistics.distance_at(0.5), abs=0.03)
    same = np.linalg.norm(first - second, axis=1)
    median = np.interp(0.5, statistics.genuine_probabilities, statistics.genuine_distances)
    assert np.median(same) == pytest.approx(median, abs=0.04)


def test_real_people_get_thresholds_that_keep_them_apart_and_find_them_again(index: Index) -> None:
    statistics = bundled(index.model)
    assert statistics is not None
    found = calibrate(index, statistics, 0.05, cap=0.52, looser=False)
    own = np.array([each.threshold for each in found.people])
    assert own.min() > 0.4
    assert own.max() <= 0.52
    assert found.stranger <= 0.05 < found.stranger_before
    again = np.linalg.norm(index.encodings[0::2] - index.encodings[1::2], axis=1)
    assert (again <= own).mean() > 0.6
