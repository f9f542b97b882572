from __future__ import annotations

import numpy as np
import pytest

from trueline.knownworld.properties import expected_calibration_error, measure, table


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.15, 1.0])
    correct = np.array([1.0, 0.0, 0.0, 1.0])
    # Top bin: |2.9 - 2| / 4; second bin: 0.15 / 4.
    assert expected_calibration_error(confidence, correct) == pytest.approx((0.9 + 0.15) / 4)
    assert np.isnan(expected_calibration_error(np.array([]), np.array([])))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_shipped_checkpoints_have_the_required_properties() -> None:
    rows = measure()
    failed = [r for r in rows if r.holds is False]
    assert not failed, table(failed)
    assert sum(r.holds is not None for r in rows) >= 12
