"""Which of several runs of one task is better, and could this data tell? Paired differences on the items that all of them answered."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, nearest
from trueline.run import Run, open_run
from trueline.validation import FEW, Truth, default_estimator, read_truth

if TYPE_CHECKING:
    from trueline.metrics import Difference

Floats = NDArray[np.float64]
Correction = Literal["holm", "bh", "none"]

#: Metrics of the ranking of wrong answers, and of the cross-fitted confidence; ``accuracy`` needs no score.
RANKING = ("auroc", "auprc", "aurc", "prr")
CALIBRATION = ("debiased_ece", "ece", "brier")
#: Of these less is better.
LOSSES = ("aurc", *CALIBRATION)
DEFAULT_METRICS = ("accuracy", "auroc", "aurc", "ece", "brier")

# Differences and standard errors below this are float noise.
_NOISE = 1e-12


@dataclass(frozen=True)
class _Side:
    """One run on the common items, in their order: arrays (n_common,), NaN where missing."""

    label: str
    run: Run
    n_items: int
    answer: str
    correct: Floats
    clusters: NDArray[np.object_] | None
    scores: Mapping[str, Floats]


@dataclass(frozen=True)
class _Settings:
    level: float
    n_boot: int
    n_permutations: int
    seed: int


def compare_runs(
    runs: Sequence[Run | str | os.PathLike[str]],
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    estimators: str | Sequence[str] | None = None,
    *,
    correction: Correction = "holm",
    level: float = 0.95,
    n_boot: int = 1000,
    n_permutations: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Differences between runs of one task, each with its paired interval, p-value and the difference that would have been found.

    Every pair of runs is compared on the items common to all of them (same id and same question). Tests: mid-p McNemar for accuracy,
    DeLong for AUROC, else a permutation that exchanges the two runs' answers item by item; where items share clusters, a permutation by
    cluster for all. Intervals: paired bootstrap, by cluster where there are any. All tests of one call are one family.

    Parameters
    ----------
    runs : two or more run directories, or `Run`
    metrics : names
        Of ``accuracy``, ``auroc``, ``auprc``, ``aurc``, ``prr``, ``debiased_ece``, ``ece``, ``brier``.
    estimators : names, optional
        Whose scores are compared; default: the first of ``sequence_nll``, ``semantic_entropy``, ... that all runs have, never one
        chosen by its result.
    correction : {"holm", "bh", "none"}
        Holm controls the chance of a single false "better", Benjamini-Hochberg the share of false ones.
    level : float
        Coverage of each interval; a pair is told apart where the adjusted p is at most 1 - level.
    n_boot, n_permutations, seed : int

    Returns
    -------
    dict
        JSON-safe. ``runs`` (with their labels A, B, ...), ``n_common``, ``differences`` (first minus second) and ``warnings``.
        A difference has ``better`` (a label or None), ``detectable`` (found with 80 % power at the level that the correction leaves),
        ``n_needed`` (items that would find the observed difference with 80 % power) and ``conclusion`` in words.

    Raises
    ------
    InputError
        Fewer than two runs, one given twice, no common items, an unknown name, or runs without scores or grades.
    """
    metrics = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    _check(metrics, correction, level, n_boot, n_permutations)
    opened = [run if isinstance(run, Run) else open_run(run) for run in runs]
    sides, names, notes = _read(opened, metrics, [estimators] if isinstance(estimators, str) else estimators)
    settings = _Settings(level, n_boot, n_permutations, seed)
    chosen: list[tuple[str, str | None]] = [(m, e) for m in metrics for e in ([None] if m == "accuracy" else names)]
    rows = [(a, b, metric, name, _difference(a, b, metric, name, settings)) for a, b in combinations(sides, 2) for metric, name in chosen]
    adjusted = _adjust([row[-1].p for row in rows], correction)
    tests = sum(math.isfinite(p) for p in adjusted)
    planning = 1 - (1 - level) / max(tests, 1) if correction == "holm" else level
    return {
        "format": 1,
        "runs": [_described(side) for side in sides],
        "n_common": len(sides[0].correct),
        "n_clusters": None if sides[0].clusters is None else len(set(sides[0].clusters.tolist())),
        "estimators": names,
        "correction": correction,
        "n_tests": tests,
        **asdict(settings),
        "differences": [_entry(*row, p, level, planning) for row, p in zip(rows, adjusted, strict=True)],
        "warnings": notes,
    }


def _check(metrics: Sequence[str], correction: str, level: float, n_boot: int, n_permutations: int) -> None:
    known = ("accuracy", *RANKING, *CALIBRATION)
    for metric in metrics:
        if metric not in known:
            raise InputError(f"cannot compare {metric!r}{nearest(metric, known)}; known: {', '.join(known)}")
    if not metrics:
        raise InputError(f"no metric was asked for; known: {', '.join(known)}")
    if correction not in get_args(Correction):
        raise InputError(f"correction {correction!r} is unknown; expected one of {', '.join(get_args(Correction))}")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1; got {level}")
    for name, value in (("n_boot", n_boot), ("n_permutations", n_permutations)):
        if value < 1:
            raise InputError(f"{name} must be at least 1; got {value}")


# -- reading ------------------------------------------------------------------------------------------------------------


def _read(runs: Sequence[Run], metrics: Sequence[str], asked: Sequence[str] | None) -> tuple[list[_Side], list[str], list[str]]:
    """The runs on their common items, the names of the estimators, and what a reader must know."""
    if len(runs) < 2:
        raise InputError(f"a comparison needs at least two runs; got {len(runs)}")
    paths = [run.path.resolve() for run in runs]
    twice = next((p for p in paths if paths.count(p) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} was given twice; a run does not differ from itself")
    truths = [read_truth(run) for run in runs]
    common, notes = _common(runs, truths)
    scored = any(metric != "accuracy" for metric in metrics)
    frames = [run.scores if scored else None for run in runs]
    names = _estimators([[c for c in f.columns if c != "item_id"] for f in frames if f is not None], runs, asked) if scored else []
    sides = []
    for k, (run, truth, frame) in enumerate(zip(runs, truths, frames, strict=True)):
        place = {item: row for row, item in enumerate(truth.item_ids)}
        rows = np.array([place[item] for item in common], dtype=np.int64)
        scores = {} if frame is None else {name: _aligned(frame, name, common) for name in names}
        clusters = None if truth.clusters is None else truth.clusters[rows]
        sides.append(_Side(label(k), run, len(truth.item_ids), truth.answer, truth.correct[rows], clusters, scores))
    shared = next((side.clusters for side in sides if side.clusters is not None and len(set(side.clusters)) < len(common)), None)
    sides = [replace(side, clusters=shared) for side in sides]
    return sides, names, [*notes, *_notes(sides, names)]


def label(k: int) -> str:
    """A, B, ..., Z, R27, R28, ... of the runs in the order given."""
    return chr(ord("A") + k) if k < 26 else f"R{k + 1}"


def _common(runs: Sequence[Run], truths: Sequence[Truth]) -> tuple[list[str], list[str]]:
    """Ids of the items that every run has with the same question, in the order of the first."""
    tables = [{row[0]: row[1:] for row in run.items.select("item_id", "question", "references").iter_rows()} for run in runs]
    graded = [set(truth.item_ids) for truth in truths]
    shared = [item for item in truths[0].item_ids if all(item in ids for ids in graded)]
    common = [item for item in shared if len({table[item][0] for table in tables}) == 1]
    if not common:
        detail = f"; {len(shared)} ids occur in all of them, but with other questions" if shared else ""
        tasks = ", ".join(f"{label(k)}: {run.manifest['task']['name']}" for k, run in enumerate(runs))
        raise InputError(f"these runs have no item in common{detail} ({tasks}); compare runs of one task")
    notes = []
    if len(common) < len(shared):
        notes.append(f"{len(shared) - len(common)} items have the same id but another question; they are left out.")
    other = sum(len({str(table[item][1]) for table in tables}) > 1 for item in common)
    if other:
        notes.append(f"{other} common items have other references in one of the runs: their grades do not mean the same.")
    return common, notes


def _estimators(columns: Sequence[Sequence[str]], runs: Sequence[Run], asked: Sequence[str] | None) -> list[str]:
    both = [name for name in columns[0] if all(name in other for other in columns)]
    if asked is None:
        if not both:
            raise InputError("the runs have no estimator in common; run `trueline score` on each with the same --estimators")
        return [default_estimator(both)]
    for name in asked:
        for run, known in zip(runs, columns, strict=True):
            if name not in known:
                raise InputError(f"{run.path} has no scores of {name!r}{nearest(name, known)}; in all runs: {', '.join(both) or 'none'}")
    if not asked:
        raise InputError("no estimator was asked for; leave estimators out for the default")
    return list(dict.fromkeys(asked))


def _aligned(frame: Any, name: str, common: Sequence[str]) -> Floats:
    values = dict(zip(frame["item_id"].to_list(), frame[name].to_numpy().astype(np.float64), strict=True))
    return np.array([values.get(item, math.nan) for item in common])


def _notes(sides: Sequence[_Side], names: Sequence[str]) -> list[str]:
    """What makes the runs less alike than their names say, in plain sentences."""
    n = len(sides[0].correct)
    found = []
    if any(side.n_items > n for side in sides):
        counts = ", ".join(f"{side.label} has {side.n_items}" for side in sides)
        found.append(f"Only the {n} common items are compared: {counts}.")
    alike = {
        "grader": {side.label: str(side.run.manifest["task"].get("grader")) for side in sides},
        "graded answer": {side.label: side.answer for side in sides},
    }
    for what, values in alike.items():
        if len(set(values.values())) > 1:
            listing = ", ".join(f"{name}: {value}" for name, value in values.items())
            found.append(f"The {what} differs ({listing}); a difference may come from that.")
    for name in names:
        made = [side.run.score_info.get(name, {}) for side in sides]
        if any((m.get("judge"), m.get("settings")) != (made[0].get("judge"), made[0].get("settings")) for m in made):
            found.append(f"{name} was computed with another judge or other settings in one of the runs.")
    if n < FEW:
        found.append(f"Only {n} common items: the intervals are wide and lean on few cases.")
    return found


# -- one difference -----------------------------------------------------------------------------------------------------


def _difference(a: _Side, b: _Side, metric: str, name: str | None, settings: _Settings) -> Difference:
    """First minus second on the items that both answered."""
    from trueline.metrics import CI, Difference, calibrated_confidence, compare

    n, nan = len(a.correct), math.nan
    scores = (a.correct, b.correct) if name is None else (a.scores[name], b.scores[name])
    usable = np.isfinite(a.correct) & np.isfinite(b.correct) & ~np.isnan(scores[0]) & ~np.isnan(scores[1])
    rows, missing = np.flatnonzero(usable), int(n - usable.sum())
    nothing = Difference(nan, nan, nan, settings.level, nan, "none", nan, nan, len(rows), missing, nan, nan)
    if len(rows) < 2:
        return replace(nothing, reason="fewer than two common items have a grade and a score in both")
    clusters = None if a.clusters is None else a.clusters[rows]
    first, second, right, other = scores[0][rows], scores[1][rows], a.correct[rows], b.correct[rows]
    if metric == "accuracy":
        right = other = np.ones(len(rows))
    elif metric in RANKING:
        right, other = 1 - right, 1 - other
    else:
        try:
            first, second = (calibrated_confidence(s, c, clusters, settings.seed) for s, c in ((first, right), (second, other)))
        except InputError as error:  # too few independent items for a fit out of sample: undefined, and said so
            return replace(nothing, reason=str(error))
    ci = CI(level=settings.level, n_boot=settings.n_boot, seed=settings.seed)
    options: dict[str, Any] = {"second_truth": other, "clusters": clusters, "ci": ci, "n_permutations": settings.n_permutations}
    found = compare(first, second, right, metric, **options)
    return replace(found, n_missing=missing)


def _adjust(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Adjusted p-values; an undefined one belongs to no family and stays undefined."""
    from trueline.stats.multiplicity import benjamini_hochberg, holm

    p = np.array(p_values)
    defined = np.isfinite(p)
    if correction != "none" and defined.any():
        p[defined] = (holm if correction == "holm" else benjamini_hochberg)(p[defined])
    return [float(v) for v in p]


def _entry(
    a: _Side, b: _Side, metric: str, name: str | None, found: Difference, adjusted: float, level: float, planning: float
) -> dict[str, Any]:
    from trueline.stats.multiplicity import cohens_h, minimum_detectable

    sign = (-1 if metric in LOSSES else 1) * found.value
    told = adjusted <= 1 - level + _NOISE and abs(sign) > _NOISE
    better = (a.label if sign > 0 else b.label) if told else None
    detectable = minimum_detectable(found.se, level=planning)
    needed = None
    if not told and abs(found.value) > _NOISE and detectable > _NOISE:
        needed = max(found.n + 1, math.ceil(found.n * (detectable / found.value) ** 2))
    entry = {
        "first": a.label,
        "second": b.label,
        "metric": metric,
        "estimator": name,
        **{key: value for key, value in vars(found).items() if key not in ("first", "second", "detectable")},
        "first_value": found.first,
        "second_value": found.second,
        "p_adjusted": adjusted,
        "detectable": detectable,
        "n_needed": needed,
        "cohens_h": cohens_h(found.first, found.second) if metric == "accuracy" and math.isfinite(found.value) else None,
        "better": better,
        "less_is_better": metric in LOSSES,
    }
    entry["conclusion"] = _conclusion(entry, (b if better == a.label else a).label)
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in entry.items()}


def _conclusion(entry: Mapping[str, Any], worse: str) -> str:
    if math.isnan(entry["value"]):
        return f"undefined: {entry['reason']}"
    if math.isnan(entry["p_adjusted"]):
        return f"no test: {entry['method']}"
    if entry["better"]:
        return f"{entry['better']} is better than {worse} by {abs(entry['value']):.3g}"
    text = "cannot tell these apart with this data"
    if entry["n_needed"] is not None:
        now = f"{entry['n']:,} now, which would show a difference from {entry['detectable']:.2g} on"
        return f"{text}; you would need about n = {entry['n_needed']:,} ({now})"
    if entry["detectable"] > _NOISE:
        return f"{text}; the observed difference is 0, and one from {entry['detectable']:.2g} on would show"
    if entry["detectable"] <= _NOISE and abs(entry["value"]) <= _NOISE:
        return f"{text}; no resample of the items shows a difference"
    return f"{text}; too few items to say how many would be needed"


def _described(side: _Side) -> dict[str, Any]:
    manifest = side.run.manifest
    return {
        "label": side.label,
        "path": str(side.run.path),
        "model": manifest["model"]["uri"],
        "task": manifest["task"]["name"],
        "n_items": side.n_items,
    }
