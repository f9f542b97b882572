"""How scores relate to the quality of what a model wrote: correlations, AUROC and PRR of every score of a run, with intervals.

Source: Huang et al., arXiv 2307.10236, who correlate twelve scores with quality by Pearson's r; expected sign: negative. Added here:
Spearman, AUROC of low quality, prediction rejection, intervals, and Holm's correction over all correlations of the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.metrics import evaluate
from trueline.metrics.correlation import PEARSON
from trueline.run import Run
from trueline.stats import CI, Estimate
from trueline.stats.multiplicity import holm

#: Permutations behind a p-value.
N_PERMUTATIONS = 9999


@dataclass(frozen=True)
class QualityRow:
    """One score: correlations with quality, AUROC for quality below the threshold, PRR, and Holm-adjusted two-sided p-values."""

    name: str
    pearson: Estimate
    spearman: Estimate
    auroc: Estimate
    prr: Estimate
    p_pearson: float
    p_spearman: float


@dataclass(frozen=True)
class QualityAudit:
    """The table.

    quality: where the quality of an answer comes from. n_tests: correlations that Holm's correction runs over. level: of the intervals.
    """

    quality: str
    threshold: float
    n: int
    n_missing: int
    n_low: int
    n_tests: int
    rows: tuple[QualityRow, ...]
    level: float = 0.95
    model: str = ""
    task: str = ""

    def to_json(self) -> dict[str, Any]:
        """The table as JSON; what is undefined is null."""
        head = {k: getattr(self, k) for k in ("quality", "threshold", "n", "n_missing", "n_low", "n_tests", "level", "model", "task")}
        return {"audit": "quality", **head, "scores": {row.name: _row_json(row) for row in self.rows}}


def audit_quality(
    run: Run, scores: Sequence[str] | None = None, *, quality: str = "graded", threshold: float | None = None, ci: CI | None = None
) -> QualityAudit:
    """Relate the scores of a graded run to the quality of its answers.

    Parameters
    ----------
    run : a run with scores and grades.
    scores : names of scores; default: all of the run.
    quality : ``"graded"``, the grader's score, or 1 and 0 where it gives verdicts alone; or a distance (``rouge1``, ``char3_cosine``, ...):
        1 - the least distance of the answer to a reference.
    threshold : quality below it is low. Default: 1 for graded quality (not fully right), else the median.
    ci : intervals; bootstrap over clusters where items share one.

    Correlations are tested by permutation of the qualities; where items share clusters, by the bootstrap standard error instead.
    Raises ``InputError`` for an unknown score, and where fewer than 3 answers have a quality.
    """
    settings = ci or CI()
    y = quality_of(run, quality)
    usable = np.isfinite(y)
    if usable.sum() < 3:
        raise InputError(
            f"{int(usable.sum())} answers have a quality ({quality}); at least 3 are needed: grade the run, or give references"
        )
    table = run.scores
    known = [name for name in table.columns if name != "item_id"]
    names = known if scores is None else list(scores)
    for name in names:
        if name not in known:
            raise InputError(f"the run has no score {name!r}; it has: {', '.join(known)}")
    cut = threshold if threshold is not None else 1.0 if quality == "graded" else float(np.median(y[usable]))
    clusters = run.items["cluster"].to_list()
    groups = [item if c is None else f"cluster {c}" for item, c in zip(run.items["item_id"].to_list(), clusters, strict=True)]
    shared = None if len(set(groups)) == len(groups) else np.unique(groups, return_inverse=True)[1]
    found = [_relate(name, table[name].to_numpy(), y, cut, shared, settings) for name in names]
    adjusted = _adjust([p for _, *ps in found for p in ps])
    rows = tuple(
        QualityRow(name, e["pearson"], e["spearman"], e["auroc"], e["prr"], adjusted[2 * k], adjusted[2 * k + 1])
        for k, (name, (e, *_)) in enumerate(zip(names, found, strict=True))
    )
    n_tests = sum(math.isfinite(p) for p in adjusted)
    manifest = run.manifest
    counts = int(usable.sum()), int((~usable).sum()), int((y[usable] < cut).sum())
    return QualityAudit(quality, cut, *counts, n_tests, rows, settings.level, manifest["model"]["uri"], manifest["task"]["name"])


def quality_of(run: Run, quality: str = "graded") -> NDArray[np.float64]:
    """(n_items,) float64: quality of each item's answer, NaN where there is none. quality: as in ``audit_quality``."""
    grades = run.grades
    order = {item: k for k, item in enumerate(run.items["item_id"].to_list())}
    y = np.full(len(order), np.nan)
    references = dict(zip(run.items["item_id"].to_list(), run.items["references"].to_list(), strict=True))
    if quality != "graded":
        from trueline.estimators.distances import load_distance

        distance = load_distance(quality)
    answered = set()
    for row in grades.iter_rows(named=True):
        item = row["item_id"]
        if item in answered:  # an imported run may have verdicts on samples too
            continue
        answered.add(item)
        if quality == "graded":
            value = row["score"] if row["score"] is not None else row["correct"]
        else:
            text, known = row["answer"], references.get(item) or []
            value = 1.0 - min(distance(text, r) for r in known) if text is not None and known else None
        if value is not None:
            y[order[item]] = float(value)
    return y


def _relate(
    name: str, x: NDArray[np.float64], y: NDArray[np.float64], cut: float, clusters: Any, ci: CI
) -> tuple[dict[str, Estimate], float, float]:
    keep = np.isfinite(x) & np.isfinite(y)
    if keep.sum() < 3:
        none = Estimate.undefined("fewer than 3 answers have both score and quality", n=int(keep.sum()), level=ci.level)
        return dict.fromkeys(("pearson", "spearman", "auroc", "prr"), none), math.nan, math.nan
    groups = None if clusters is None else clusters[keep]
    s, q = x[keep], y[keep]
    found = evaluate(s, q, [PEARSON, "spearman"], clusters=groups, ci=ci)
    found |= evaluate(s, (q < cut).astype(np.float64), ["auroc"], clusters=groups, ci=ci)
    found |= evaluate(s, 1.0 - q, ["prr"], clusters=groups, ci=ci)
    from scipy.stats import rankdata

    pairs = ((found["pearson"], s, q), (found["spearman"], rankdata(s), rankdata(q)))
    ps = [_p_value(e, a, b, groups is not None, ci.seed) for e, a, b in pairs]
    return found, ps[0], ps[1]


def _p_value(estimate: Estimate, x: NDArray[np.float64], y: NDArray[np.float64], clustered: bool, seed: int) -> float:
    """Two-sided: by permutation of independent items, else by Fisher's z and the bootstrap standard error."""
    if not estimate.defined:
        return math.nan
    if clustered:
        if not estimate.se > 0 or abs(estimate.value) >= 1:
            return math.nan
        se = estimate.se / (1.0 - estimate.value**2)
        return math.erfc(abs(math.atanh(estimate.value)) / se / math.sqrt(2))
    a, b = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    rng = np.random.default_rng(seed)
    observed = abs(float(a @ b)) - 1e-9 * len(a)
    hits = sum(int((np.abs(rng.permuted(np.tile(b, (k, 1)), axis=1) @ a) >= observed).sum()) for k in _chunks(len(a)))
    return (hits + 1) / (N_PERMUTATIONS + 1)


def _chunks(n: int) -> list[int]:
    """Permutations that are made together: about a million numbers."""
    size = max(1, 1_000_000 // n)
    return [min(size, N_PERMUTATIONS - start) for start in range(0, N_PERMUTATIONS, size)]


def _adjust(ps: Sequence[float]) -> list[float]:
    known = [k for k, p in enumerate(ps) if math.isfinite(p)]
    out = [math.nan] * len(ps)
    for k, p in zip(known, holm([ps[k] for k in known]) if known else (), strict=True):
        out[k] = float(p)
    return out


def _row_json(row: QualityRow) -> dict[str, Any]:
    estimates = {m: getattr(row, m).to_json() for m in ("pearson", "spearman", "auroc", "prr")}
    return {**estimates, **{k: None if math.isnan(getattr(row, k)) else getattr(row, k) for k in ("p_pearson", "p_spearman")}}
