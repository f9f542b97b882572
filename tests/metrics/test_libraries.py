"""Agreement with netcal, MAPIE, relplot and statsmodels on 500 rows; their values are stored, made by benchmarks/peers/agreement.py.

scikit-learn and scipy are compared with directly, in the test of each metric.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trueline.metrics import calibration_intercept, calibration_slope, ece, mce, smooth_ece

STORED: dict[str, Any] = json.loads((Path(__file__).parent / "libraries.json").read_text(encoding="utf-8"))
P, Y, THEIRS = STORED["p"], STORED["y"], STORED["values"]


@pytest.mark.parametrize("bins", ["10", "15"])
def test_ece_and_mce_are_those_of_netcal(bins: str) -> None:
    assert ece(P, Y, n_bins=int(bins), ci=None).value == pytest.approx(THEIRS["netcal ECE"][bins], abs=1e-12)
    assert mce(P, Y, n_bins=int(bins), ci=None).value == pytest.approx(THEIRS["netcal MCE"][bins], abs=1e-12)


@pytest.mark.parametrize("bins", ["11", "16"])
def test_ece_of_mapie_has_one_bin_fewer_than_it_is_asked_for(bins: str) -> None:
    value = THEIRS["mapie ECE"][bins]
    assert ece(P, Y, n_bins=int(bins) - 1, ci=None).value == pytest.approx(value, abs=1e-12)
    assert abs(ece(P, Y, n_bins=int(bins), ci=None).value - value) > 1e-6


def test_smooth_ece_of_relplot_is_coarser() -> None:
    """Ten bisection steps on its side, 25 on ours: the same quantity within 5e-4, not to rounding."""
    assert smooth_ece(P, Y, ci=None).value == pytest.approx(THEIRS["relplot smECE"], abs=5e-4)


@pytest.mark.parametrize(("name", "metric"), [("slope", calibration_slope), ("intercept", calibration_intercept)])
def test_calibration_line_is_the_binomial_glm_of_statsmodels(name: str, metric: Any) -> None:
    value, error = THEIRS[f"statsmodels {name}"]
    own = metric(P, Y)
    assert own.value == pytest.approx(value, abs=1e-7)
    assert own.se == pytest.approx(error, rel=1e-4)
