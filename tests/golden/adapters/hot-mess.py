"""Golden adapter of bias, variance and incoherence: the fields of a case's inputs say which functions make the expected keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from trueline.metrics.error_decomposition import bias_variance, coverage_bias_variance, embedding_variance
from trueline.metrics.incoherence import IncoherenceRow, ensemble, incoherence, length_groups, median_split

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Compute the expected keys of one case."""
    if "test_passed" in inputs:
        return coverage(inputs["test_passed"])
    if "embeddings" in inputs:
        return {"embedding_variance": embedding_variance(inputs["embeddings"])}
    if "answers" in inputs:
        return ensembling(**{k: v for k, v in inputs.items() if k != "assignment"})
    return dataset(**inputs) if "targets" in inputs else item(**inputs)


def item(probs: Any, target: int, delta: float = 1e-12) -> Values:
    kl, brier, unbiased, zero_one = (
        bias_variance(probs, target, "kl", delta=delta),
        bias_variance(probs, target, "brier"),
        bias_variance(probs, target, "brier", unbiased=True),
        bias_variance(probs, target, "zero_one"),
    )
    return {
        "kl_bias": kl.bias2,
        "kl_variance": kl.variance,
        "cross_entropy": kl.error,
        "brier_bias2": brier.bias2,
        "brier_variance": brier.variance,
        "brier_error": brier.error,
        "brier_variance_unbiased": unbiased.variance,
        "brier_bias2_unbiased": unbiased.bias2,
        "zero_one_bias": zero_one.bias2,
        "zero_one_variance": zero_one.variance,
        "zero_one_error": zero_one.error,
        "mode_class": int(np.mean(probs, axis=0).argmax()),
    }


def coverage(passed: Any) -> Values:
    terms = coverage_bias_variance(passed)
    return {
        "coverage_error": terms.error,
        "coverage_bias2": terms.bias2,
        "coverage_variance": terms.variance,
        "incoherence": incoherence([passed], loss="coverage", unbiased=False, ci=None)[0].incoherence.value,
        "all_pass_rate": terms.accuracy,
    }


def dataset(probs: Any, targets: Any, lengths: Any = None, n_groups: int = 1, delta: float = 1e-12) -> Values:
    if lengths is None:
        (row,) = decompose(probs, targets, delta=delta)
        return row | {"reason": incoherence(probs, targets, ci=None)[0].incoherence.reason}
    split = median_split(lengths)
    halves = {
        name: decompose([np.asarray(probs[i])[rows] for i, rows in zip(split.kept, side, strict=True)], [targets[i] for i in split.kept])[0]
        for name, side in (("below_median", split.below), ("at_or_above_median", split.at_or_above))
    }
    groups = length_groups(lengths, n_groups)
    by_group = {row["group"]: row for row in decompose(probs, targets, groups=groups, lengths=lengths, delta=delta)}
    return {
        "all": decompose(probs, targets, delta=delta)[0],
        "by_mean_length_groups": [by_group[g] for g in sorted(by_group)],
        **halves,
        "n_split": len(split.kept),
    }


def decompose(probs: Any, targets: Any, **settings: Any) -> list[Values]:
    kl, brier = (incoherence(probs, targets, loss, unbiased=False, ci=None, **settings) for loss in ("kl", "brier"))
    return [line(k, b) for k, b in zip(kl, brier, strict=True)]


def line(kl: IncoherenceRow, brier: IncoherenceRow) -> Values:
    return {
        "group": brier.group,
        "kl_incoherence": kl.incoherence.value,
        "brier_incoherence": brier.incoherence.value,
        "accuracy": brier.accuracy.value,
        "mean_length": brier.mean_length,
    }


def ensembling(answers: Any, n_options: int, target: int, n_ensembles: int, sizes: Any) -> Values:
    rows = ensemble([np.eye(n_options)[answers]], [target], sizes, n_ensembles, unbiased=False, ci=None)
    return {
        str(row.size): {f"brier_{name}": getattr(row.decomposition, name).value for name in ("bias2", "variance", "error")} for row in rows
    }
