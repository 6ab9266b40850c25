"""Whatever happens to a camera is told within seconds, and passes, and is no other camera's business.

A real daemon, a real subscriber, and two real RTSP servers for each fault; the nets alone are replaced. The
table that README.md shows is printed at the end: `pytest tests/faults`.
"""

from __future__ import annotations

import pytest

from tests.faults.conftest import Matrix
from tests.faults.faults import FAULTS, Fault


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_told_and_passes_while_the_other_camera_goes_on(fault: Fault, matrix: Matrix) -> None:
    assert matrix.outcome(fault).problems() == []
