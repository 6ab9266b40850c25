"""What several samples of one face say together."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.evidence import KEPT_SAMPLES, LEAST_WEIGHT, SPREAD_SHARE, Evidence


def evidence(*samples: tuple[tuple[float, float], float]) -> Evidence:
    gathered = Evidence()
    for number, (encoding, quality) in enumerate(samples):
        gathered.add(np.array(encoding, np.float32), quality, float(number))
    return gathered


def test_one_sample_is_itself_and_spreads_nothing() -> None:
    one = evidence(((0.3, 0.4), 0.7))
    np.testing.assert_allclose(one.fused, [0.3, 0.4])
    assert one.spread == 0.0


def test_samples_weigh_by_their_quality() -> None:
    np.testing.assert_allclose(evidence(((0.0, 0.0), 0.25), ((1.0, 0.0), 0.75)).fused, [0.75, 0.0])


def test_a_sample_that_is_only_just_fit_still_counts() -> None:
    fused = evidence(((0.0, 0.0), 0.0), ((1.0, 0.0), LEAST_WEIGHT)).fused
    np.testing.assert_allclose(fused, [0.5, 0.0])


def test_half_the_variance_is_added_to_the_square_of_a_distance() -> None:
    # Each sample is 1 from the mean, so the variance is 1.
    assert evidence(((-1.0, 0.0), 1.0), ((1.0, 0.0), 1.0)).spread == pytest.approx(SPREAD_SHARE)


def test_a_sample_of_another_face_is_left_out_and_two_of_them_are_evidence_of_their_own() -> None:
    gathered = Evidence(limit=0.6)
    for number, x in enumerate((0.0, 0.1, 0.9, 0.0, 0.9, 1.0)):
        gathered.add(np.array([x, 0.0], np.float32), 1.0, float(number))
        assert gathered.in_doubt == (number in (2, 4, 5))
        assert (gathered.of_another_face() is None) == (number < 5)
    np.testing.assert_allclose(gathered.fused, [0.1 / 3, 0.0], atol=1e-6)
    assert (gathered.count, gathered.newest_s, gathered.agreed_s) == (3, 5.0, 3.0)
    other = gathered.of_another_face()
    assert other is not None
    np.testing.assert_allclose(other.fused, [0.95, 0.0], atol=1e-6)
    assert (other.count, other.first_s, other.newest_s) == (2, 4.0, 5.0)


def test_two_samples_that_are_like_nothing_are_no_other_face() -> None:
    gathered = Evidence(limit=0.6)
    for number, x in enumerate((0.0, 0.0, 0.9, -0.9)):
        gathered.add(np.array([x, 0.0], np.float32), 1.0, float(number))
    assert gathered.in_doubt
    assert gathered.of_another_face() is None


def test_exactly_at_the_limit_it_is_the_same_face_and_of_one_sample_nobody_is_sure() -> None:
    gathered = Evidence(limit=0.5)
    for x in (0.0, 1.0, 1.0):
        gathered.add(np.array([x, 0.0], np.float32), 1.0, 0.0)
    assert not gathered.in_doubt
    assert gathered.count == 3


def test_old_samples_make_way_and_are_counted_all_the_same() -> None:
    many = evidence(*([((9.0, 9.0), 1.0)] * 5 + [((1.0, 2.0), 1.0)] * KEPT_SAMPLES))
    np.testing.assert_allclose(many.fused, [1.0, 2.0])
    assert many.count == KEPT_SAMPLES + 5
    assert many.newest_s == KEPT_SAMPLES + 4
