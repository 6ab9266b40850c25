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


def test_old_samples_make_way_and_are_counted_all_the_same() -> None:
    many = evidence(*([((9.0, 9.0), 1.0)] * 5 + [((1.0, 2.0), 1.0)] * KEPT_SAMPLES))
    np.testing.assert_allclose(many.fused, [1.0, 2.0])
    assert many.count == KEPT_SAMPLES + 5
    assert many.newest_s == KEPT_SAMPLES + 4
