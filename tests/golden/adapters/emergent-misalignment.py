"""Golden adapter of the statistics that all audits share: the text of a case before its first ``/`` names the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from trueline import stats
from trueline.metrics.judged_rates import judged_rates, threshold_multiverse
from trueline.models.judge_score import score_tokens

Values = dict[str, Any]
RELATIVE = True


def run(case: str, inputs: Values) -> Values:
    """Compute the expected keys of one case."""
    kind, *parts = case.split("/")
    if kind == "real_judge_scores":
        return real_rates(parts[1], **inputs)
    return KINDS[kind](**inputs)


def judge_score(top_logprobs_as_probs: Any) -> Values:
    return vars(score_tokens(top_logprobs_as_probs))


def ends(interval: Any) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def proportions(k: int, n: int, confidence: float) -> Values:
    found = {f.__name__: ends(f(k, n, confidence)) for f in (stats.wilson, stats.agresti_coull, stats.clopper_pearson)}
    return {**found, "one_sided_upper_95": stats.upper_bound(k, n)}


def cluster_values(found: stats.ClusterRate) -> Values:
    one = found.n_clusters == 1
    macro = found.macro
    return {
        "rate": found.rate.value,
        "se": found.rate.se,
        "deff": found.deff,
        "n_eff": found.rate.n_effective,
        "n_adj": found.n_adjusted,
        "t_ci": ends(found.t_interval),
        "wilson_adj": None if one else ends(found.rate),
        "df": found.df,
        "icc_anova": found.icc,
        "macro": {"mean": macro.value, "se": macro.se, "ci": ends(macro), "df": found.df},
        "clusters_dropped": found.n_dropped,
        "status": found.rate.reason,
    }


def cluster_rate(events: Any, trials: Any, confidence: float) -> Values:
    return cluster_values(stats.cluster_rate(events, trials, level=confidence))


def paired_binary(only_condition1: int, only_condition2: int, n_pairs: int) -> Values:
    test, d = stats.mcnemar_counts(only_condition1, only_condition2), stats.agresti_min(only_condition1, only_condition2, n_pairs)
    return {"mcnemar_exact_p": test.p, "mcnemar_midp": test.midp, "agresti_min_ci": [d.value, d.low, d.high]}


def unpaired(k1: int, n1: int, k2: int, n2: int) -> Values:
    found = stats.unpaired_difference(k1, n1, k2, n2)
    d = found.estimate
    return {"newcombe": [d.value, d.low, d.high], "pooled_z_p": [found.statistic, found.p]}


def multiplicity(p: Any) -> Values:
    return {"holm": stats.holm(p), "bh": stats.benjamini_hochberg(p)}


def sample_size(p1: float, p2: float, alpha: float, power: float) -> Values:
    return {
        "n_per_arm": stats.sample_size_two_rates(p1, p2, alpha=alpha, power=power),
        "n_per_arm_power90": stats.sample_size_two_rates(p1, p2, alpha=alpha, power=0.9),
        "n_to_see_one_event_at_larger_rate_95": stats.plan_samples(max(p1, p2), 0.95),
    }


def sample_size_clustered(p1: float, p2: float, alpha: float, power: float, samples_per_question: int, icc: float) -> Values:
    deff = stats.design_effect(samples_per_question, icc)
    return {"deff": deff, "n_per_arm": stats.sample_size_two_rates(p1, p2, alpha=alpha, power=power, deff=deff)}


def judge_error(**counts: int) -> Values:
    found = stats.corrected_rate(**counts)
    q = found.estimate
    return {"point": q.value, "clipped": found.clipped, "se": q.se, "ci": ends(q)}


def sign_flip(differences: Any) -> Values:
    found = stats.paired_difference(differences)
    d = found.estimate
    return {"mean": d.value, "p": found.p, "t": {"mean": d.value, "se": d.se, "ci": ends(d), "df": found.df}}


def multiverse(file: str, aligned_below: Any, coherent_at_least: Any) -> Values:
    rows = pl.read_csv(file)
    grid = {"aligned_below": aligned_below, "coherent_at_least": coherent_at_least}
    found = threshold_multiverse(rows["aligned"].to_numpy(), rows["coherent"].to_numpy(), **grid)
    cells = [e.value for row in found.rates for e in row]
    return {"min": found.lowest, "max": found.highest, "headline": found.at().value, "cells": cells}


def real_rates(kept: str, file: str, threshold_aligned_lt: float, threshold_coherent_ge: float) -> Values:
    rows = pl.read_csv(file)
    rows = rows if kept == "all" else rows.filter(pl.col("format") == kept)
    thresholds = {"aligned_below": threshold_aligned_lt, "coherent_at_least": threshold_coherent_ge}
    found = judged_rates(rows["aligned"].to_numpy(), rows["coherent"].to_numpy(), rows["question_id"].to_numpy(), **thresholds)
    return {
        "n": found.n,
        "coherent": found.n_coherent,
        "scored": found.n_scored,
        "coherent_and_scored": found.n_coherent_scored,
        "misaligned_coherent": found.n_misaligned,
        "misaligned_any": found.n_low,
        "rate_conditional": found.conditional.rate.value,
        "rate_unconditional": found.unconditional.rate.value,
        "rate_no_coherence_filter": found.no_filter.rate.value,
        "lower_bound_all": found.unconditional.rate.value,
        "upper_bound_all": found.upper_bound.rate.value,
        "wilson": ends(found.conditional.naive),
        "clusters_used": found.conditional.n_clusters,
        "cluster": cluster_values(found.conditional),
    }


KINDS: dict[str, Callable[..., Values]] = {
    "judge_score": judge_score,
    "proportion_intervals": proportions,
    "cluster_rate": cluster_rate,
    "paired_binary": paired_binary,
    "unpaired_difference": unpaired,
    "multiplicity": multiplicity,
    "sample_size_two_rates": sample_size,
    "sample_size_clustered": sample_size_clustered,
    "judge_error_correction": judge_error,
    "signflip_exact": sign_flip,
    "threshold_multiverse": multiverse,
}
