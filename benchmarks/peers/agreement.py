"""What netcal, MAPIE, relplot and statsmodels say on one small data set: writes tests/metrics/libraries.json. Runs in the peer environment.

benchmarks/.cache/calibration/bin/python benchmarks/peers/agreement.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import relplot
import statsmodels.api as sm
from mapie.metrics.calibration import expected_calibration_error
from netcal.metrics import ACE, ECE, MCE
from scipy.special import logit

OUT = Path(__file__).parents[2] / "tests" / "metrics" / "libraries.json"
PACKAGES = ("netcal", "mapie", "relplot", "statsmodels")


def main() -> None:
    """Write the data and the values."""
    rng = np.random.default_rng(7)
    p = rng.beta(3, 2, 500).round(9)
    y = (rng.random(500) < p**1.3).astype(np.int64)
    x = logit(p)
    both = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit()
    shift = sm.GLM(y, np.ones(len(y)), family=sm.families.Binomial(), offset=x).fit()
    values = {
        "netcal ECE": {str(b): ECE(b).measure(p, y) for b in (10, 15)},
        "netcal MCE": {str(b): MCE(b).measure(p, y) for b in (10, 15)},
        "netcal ACE": {str(b): ACE(b).measure(p, y) for b in (10, 15)},
        "mapie ECE": {str(b): expected_calibration_error(y, p, num_bins=b) for b in (11, 16)},
        "relplot smECE": relplot.smECE(p, y),
        "statsmodels slope": [both.params[1], both.bse[1]],
        "statsmodels intercept": [shift.params[0], shift.bse[0]],
    }
    document = {"versions": {name: version(name) for name in PACKAGES}, "p": p.tolist(), "y": y.tolist(), "values": values}
    OUT.write_text(json.dumps(document, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
