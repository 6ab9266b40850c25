"""What every test may ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The verdict is the code's own: neither a busy machine's nor that day's draw of examples. Others are drawn by
# `pytest --hypothesis-profile=default`.
settings.register_profile(
    "certain", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("certain")

REPOSITORY = Path(__file__).parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _log_levels() -> Iterator[None]:
    """A command that runs in this process sets what its log holds; the next test is none of its."""
    yield
    for package in ("daemon", "gallery"):
        logging.getLogger(package).setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Photographs, clips and pairs that lie beside the repository and are not part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside the repository: photographs and clips are not there")
    return SHARED_DATA
