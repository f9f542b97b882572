"""How good are the scores of a run? Every metric with its interval, clustered where items share a cluster, missing values counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueline.annotated import read_annotators
from trueline.errors import InputError
from trueline.stats.estimate import Estimate

if TYPE_CHECKING:
    import polars as pl

    from trueline.run import Run
    from trueline.stats.engine import CI
    from trueline.stats.sample import NanPolicy

Floats = NDArray[np.float64]

#: Estimators whose score is 1 - a stated probability of being right, so that it can be checked as it stands.
STATED = ("p_true", "verbalized_1s", "verbalized_2s", "verbalized_topk", "verbalized_linguistic", "self_consistency")

#: What is looked at where no estimator is named, in this order: fixed beforehand, since the best of many on the data at hand flatters.
PREFERRED = ("sequence_nll", "semantic_entropy", "predictive_entropy", "mean_nll", "self_consistency")

#: Fewer graded answers than this are warned about.
FEW = 30
#: Errors of a confidence; the plug-in ``ece`` is above 0 even where a confidence is perfect, the two others need no such excuse.
CALIBRATION = ("smooth_ece", "debiased_ece", "signed_ece", "ece", "brier")
#: Replicates behind a smooth ECE, each of which costs as much as ten of all other errors together.
_SMOOTH_REPLICATES = 200
#: More missing scores than this share are warned about.
MUCH_MISSING = 0.05
#: More truncated answers than this share are warned about: without their end they look too certain.
MUCH_TRUNCATED = 0.01


@dataclass(frozen=True)
class Truth:
    """What is known about each item's answer; all arrays (n_items,), NaN where unknown.

    correct: 0/1. expected_error: true probability that the answer is wrong. known: other true quantities by name.
    length: tokens (or words).
    """

    item_ids: tuple[str, ...]
    correct: Floats
    refused: Floats
    expected_error: Floats
    known: Mapping[str, Floats]
    length: Floats
    clusters: NDArray[np.object_] | None
    answer: str


def validate_run(run: Run, *, level: float = 0.95, n_boot: int = 1000, seed: int = 0) -> dict[str, Any]:
    """The content of ``metrics.json`` for a scored and graded run.

    level: coverage of the intervals. n_boot: replicates where no exact interval exists. Raises ``InputError`` when nothing was scored.
    """
    scores = run.scores
    names = [c for c in scores.columns if c != "item_id"]
    truth = read_truth(run)
    people = read_annotators(run, truth)
    aligned = _aligned(scores, truth.item_ids)
    info = run.score_info
    table: dict[str, Any] = {}
    for name in names:
        values = _floats(aligned[name])
        estimates = validate_scores(values, truth, stated=stated_confidence(run, name, values), level=level, n_boot=n_boot, seed=seed)
        if people is not None and people.problem is None:
            estimates |= people.adjusted(values, truth, level=level, n_boot=n_boot, seed=seed)
        missing = int(np.isnan(values).sum())
        reasons = info.get(name, {}).get("reasons", {})
        table[name] = {"metrics": _json(estimates), "n_missing": missing, "reasons": reasons}
    return {
        "format": 1,
        "level": level,
        "n_boot": n_boot,
        "seed": seed,
        "answer": truth.answer,
        "n_items": len(truth.item_ids),
        "n_graded": int(np.isfinite(truth.correct).sum()),
        "n_clusters": len(set(truth.clusters.tolist())) if truth.clusters is not None else None,
        "grader": run.manifest["task"].get("grader"),
        "headline": _json(headline(truth, level=level, n_boot=n_boot, seed=seed)),
        "estimators": table,
        **({} if people is None else {"annotators": people.document(truth, level=level, n_boot=n_boot, seed=seed)}),
        "left_out": {name: entry["left_out"] for name, entry in info.items() if "left_out" in entry},
        "warnings": warnings(run, truth, table),
    }


def validate_scores(
    scores: Floats, truth: Truth, *, stated: Floats | None = None, level: float = 0.95, n_boot: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Metrics of one uncertainty score: (n_items,) float64, higher = less certain, NaN = missing.

    ``auroc``, ``auprc``, ``aurc``, ``prr``: ranking of wrong answers. ``smooth_ece``, ``debiased_ece``,
    ``signed_ece``, ``ece``, ``brier``: of the confidence that a cross-fitted map makes of the score; with ``_stated``: of the confidence
    ``stated``, (n_items,), as it stands. ``spearman_*``: with true total, aleatoric and epistemic
    uncertainty where known, and with the answer's length.
    """
    from trueline.metrics import CI, evaluate, spearman
    from trueline.metrics.confidence import calibrated_confidence

    ci = CI(level=level, n_boot=n_boot, seed=seed)
    wrong = 1.0 - truth.correct
    options: dict[str, Any] = {"clusters": truth.clusters, "ci": ci, "nan_policy": "drop"}
    ranking = ("auroc", "auprc", "aurc", "prr")
    usable = np.isfinite(truth.correct) & ~np.isnan(scores)
    if not usable.any():
        reason = "no answer could be graded" if np.isnan(truth.correct).all() else "no item has both a score and a grade"
        out = {name: Estimate.undefined(reason, n_missing=len(scores), level=level) for name in (*ranking, *CALIBRATION)}
    else:
        out = dict(evaluate(scores, wrong, ranking, **options))
        confidence = np.full(len(scores), np.nan)
        clusters = None if truth.clusters is None else truth.clusters[usable]
        try:
            confidence[usable] = calibrated_confidence(scores[usable], truth.correct[usable], clusters=clusters, seed=seed)
            out |= calibration_errors(confidence, truth.correct, **options)
        except InputError as error:  # too few items of a class for a fit out of sample: undefined, and said so
            out |= {m: Estimate.undefined(str(error), n=int(usable.sum()), level=level) for m in CALIBRATION}
        if stated is not None:
            raw = calibration_errors(stated, truth.correct, **options)
            out |= {f"{name}_stated": value for name, value in raw.items()}
    others = {"total": truth.expected_error, **truth.known, "length": truth.length}
    for name, values in others.items():
        both = np.isfinite(values) & ~np.isnan(scores)
        if both.sum() >= 2:
            out[f"spearman_{name}"] = spearman(scores, values, **options)
    return out


def stated_confidence(run: Run, name: str, scores: Floats) -> Floats | None:
    """The probability of being right that a score states by itself, (n_items,), or None where it states none.

    Where the model chose among given answers, the likelihood of its choice is such a probability.
    """
    if name in STATED:
        return 1.0 - scores
    chosen = run.manifest.get("source", {}).get("answers") == "choices"
    return np.exp(-scores) if chosen and name == "sequence_nll" else None


def calibration_errors(
    confidence: Floats, correct: Floats, *, clusters: Any, ci: CI, nan_policy: NanPolicy = "drop"
) -> dict[str, Estimate]:
    """The errors of ``CALIBRATION`` of a confidence, (n_items,) float64 in [0, 1], NaN = missing."""
    from trueline.metrics import evaluate

    options: dict[str, Any] = {"clusters": clusters, "nan_policy": nan_policy}
    few = replace(ci, n_boot=min(ci.n_boot, _SMOOTH_REPLICATES))
    out = evaluate(confidence, correct, ("smooth_ece",), ci=few, **options)
    return out | evaluate(confidence, correct, CALIBRATION[1:], ci=ci, **options)


def headline(truth: Truth, *, level: float, n_boot: int, seed: int) -> dict[str, Estimate]:
    """Accuracy, refusal rate, and the expected accuracy under the known law."""
    from trueline.metrics import CI, accuracy

    ci = CI(level=level, n_boot=n_boot, seed=seed)
    graded = np.isfinite(truth.correct)
    if not graded.any():
        return {"accuracy": Estimate.undefined("no answer could be graded", n_missing=len(graded), level=level)}
    clusters = None if truth.clusters is None else truth.clusters[graded]
    missing = int((~graded).sum())
    out = {"accuracy": _with_missing(accuracy(truth.correct[graded], clusters=clusters, ci=ci), missing)}
    if np.nansum(truth.refused):
        out["refusal_rate"] = _with_missing(accuracy(truth.refused[graded], clusters=clusters, ci=ci), missing)
    return out


def read_truth(run: Run) -> Truth:
    """Grades and known truths of a run, aligned to its graded items."""
    grades = run.grades.select("item_id", "kind", "correct", "refused", "probability")
    if grades["item_id"].n_unique() < len(grades):
        grades = grades.unique("item_id", keep="first", maintain_order=True)
    ids = tuple(grades["item_id"].to_list())
    joined = grades.hstack(_aligned(run.item_columns(("item_id", "cluster", "truth")), ids).drop("item_id"))
    known = {c.removeprefix("truth_"): _floats(joined[c]) for c in joined.columns if c.startswith("truth_")}
    kind = grades["kind"][0] if len(grades) else "greedy"
    return Truth(
        item_ids=ids,
        correct=_floats(joined["correct"]),
        refused=_floats(joined["refused"]),
        expected_error=1.0 - _floats(joined["probability"]),
        known=known,
        length=_lengths(run, ids, kind),
        clusters=_clusters(joined["cluster"], ids),
        answer="greedy" if kind == "greedy" else "sample 0",
    )


def warnings(run: Run, truth: Truth, table: Mapping[str, Any]) -> list[str]:
    """What a reader must know before trusting the numbers, in plain sentences."""
    found: list[str] = []
    counts = run.manifest.get("counts", {})
    n = len(truth.item_ids)
    if counts.get("generations") and counts.get("truncated", 0) > MUCH_TRUNCATED * counts["generations"]:
        share = counts["truncated"] / counts["generations"]
        whole = sorted(name for name, entry in run.score_info.items() if entry.get("n_truncated") and entry.get("truncated") == "keep")
        known = f" Scores of whole answers are those of their beginnings: {', '.join(whole[:8])} (--truncated nan)." if whole else ""
        found.append(f"{share:.0%} of the answers hit the token limit; without their end they look more certain than they are.{known}")
    if counts.get("failed"):
        found.append(f"{counts['failed']} of {n} items have a failed generation.")
    ungraded = int(np.isnan(truth.correct).sum())
    if ungraded:
        found.append(f"{ungraded} of {n} answers could not be graded and are left out of every metric.")
    graded = truth.correct[np.isfinite(truth.correct)]
    if graded.size and np.all(graded == graded[0]):
        word = "right" if graded[0] else "wrong"
        found.append(f"All {graded.size} graded answers are {word}: AUROC, AUPRC and PRR are undefined.")
    elif 0 < graded.size < FEW:
        found.append(f"Only {graded.size} graded answers: the intervals are wide and lean on few cases.")
    much = [name for name, entry in table.items() if entry["n_missing"] > MUCH_MISSING * n]
    if much:
        found.append(f"More than {MUCH_MISSING:.0%} of the scores are missing for: {', '.join(much)}. Compare on common items only.")
    return found


def default_estimator(names: Sequence[str]) -> str:
    """The first of ``PREFERRED`` among ``names``, else the first of ``names``. Raises ``InputError`` where there is none."""
    if not names:
        raise InputError("the run has no scores of any estimator; run `trueline score` first")
    return next((name for name in PREFERRED if name in names), names[0])


def _lengths(run: Run, ids: tuple[str, ...], kind: str) -> Floats:
    """Tokens of each item's answer, words where tokens were not counted, NaN where there is none."""
    import polars as pl

    parts: list[pl.DataFrame] = [pl.DataFrame(schema={"item_id": pl.String, "length": pl.Float64})]
    for block in run.blocks(columns=["n_tokens", "text", "error"]):
        rows = block.generations(kind)
        if rows.has("n_tokens"):
            lengths = rows.numbers("n_tokens")
        else:
            lengths = np.array([np.nan if t is None else float(len(t.split())) for t in rows.texts])
        first = rows.draw == 0
        found = [block.item_ids[i] for i in rows.item[first].tolist()]
        parts.append(pl.DataFrame({"item_id": pl.Series(found, dtype=pl.String), "length": lengths[first]}))
    return _floats(_aligned(pl.concat(parts), ids)["length"])


def _clusters(labels: pl.Series, ids: tuple[str, ...]) -> NDArray[np.object_] | None:
    """A label an item, its own where it stands alone; None where no two items share one."""
    if labels.null_count() == len(labels):
        return None
    own = [c if c is not None else f"\x00{i}" for c, i in zip(labels.to_list(), ids, strict=True)]
    return np.array(own, dtype=object) if len(set(own)) < len(own) else None


def _aligned(frame: pl.DataFrame, ids: tuple[str, ...]) -> pl.DataFrame:
    """The rows of these items, in this order; null where there is none."""
    import polars as pl

    wanted = pl.Series("item_id", ids, dtype=pl.String)
    if len(wanted) == len(frame) and wanted.equals(frame["item_id"]):  # as a rule; a join of a million ids takes 100 MB
        return frame
    return pl.DataFrame({"item_id": wanted}).join(frame, on="item_id", how="left", maintain_order="left")


def _floats(column: pl.Series) -> Floats:
    return column.cast(float).to_numpy().astype(np.float64)


def _with_missing(estimate: Estimate, missing: int) -> Estimate:
    return replace(estimate, n_missing=missing)


def _json(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: value.to_json() for name, value in estimates.items()}
