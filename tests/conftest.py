"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Photographs, clips and pairs that lie beside the repository and are not part of it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside the repository: photographs and clips are not there")
    return SHARED_DATA
