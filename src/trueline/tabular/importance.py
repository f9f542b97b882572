"""How much each column matters to a model's risk scores: the fall of the AUC when the column is shuffled.

Breiman 2001; as used by Cruz et al. 2024 (arXiv 2407.14614).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.ranking import AUROC
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import percentile
from trueline.stats.sample import sorted_sample
from trueline.tabular.table import Table, as_table


def feature_importance(
    score: Callable[[Table], ArrayLike],
    X: Any,
    y: ArrayLike,
    columns: Sequence[str],
    *,
    repeats: int = 5,
    seed: int = 42,
    ci: CI | None = None,
) -> dict[str, Estimate]:
    """Return the fall of the AUC when all rows of one column are shuffled, for each column.

    Parameters
    ----------
    score : function table -> (n,) scores
        Such as ``lambda X: classifier.predict_proba(X)[:, 1]``; asked once, and `repeats` times a column.
    X, y : table of n rows, and labels in {0, 1}
    columns : names
    repeats, seed : int
    ci : CI, optional
        Rows are redrawn, jointly for the shuffled and the unshuffled scores; the shuffles stay. Default: 200 replicates.

    Raises
    ------
    InputError
        One class only, an unknown column.
    """
    table, truth = as_table(X), np.asarray(y, dtype=np.float64)
    if len(truth) != len(table):
        raise InputError(f"{len(table)} rows but {len(truth)} labels")
    if not 0 < truth.mean() < 1 or not np.isin(truth, (0, 1)).all():
        raise InputError("feature importance is a fall of the AUC: labels must be 0 and 1, and both must occur")
    if repeats < 1:
        raise InputError(f"repeats is {repeats}; at least one shuffle is needed")
    ci = ci or CI(n_boot=200, seed=seed)
    rng = np.random.default_rng(seed)
    draws = np.vstack([np.ones(len(truth)), rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), ci.n_boot)])
    base = _aucs(np.asarray(score(table), dtype=np.float64), truth, draws)
    found = {}
    for name in columns:
        cells = table[name]
        falls = np.zeros(len(draws))
        for _ in range(repeats):
            shuffled = table.replaced(name, [cells[int(i)] for i in rng.permutation(len(cells))])
            falls += (base - _aucs(np.asarray(score(shuffled), dtype=np.float64), truth, draws)) / repeats
        samples = falls[1:][np.isfinite(falls[1:])]
        low, high = percentile(samples, ci.level)
        method = f"percentile, {ci.n_boot} row replicates, {repeats} shuffles"
        found[name] = Estimate(float(falls[0]), low, high, ci.level, len(truth), method=method, se=float(samples.std(ddof=1)))
    return found


def _aucs(scores: FloatArray, truth: FloatArray, draws: FloatArray) -> FloatArray:
    sample = sorted_sample(scores, truth, merge=False)
    return AUROC.value(sample, draws[:, sample.order].astype(np.float64))
