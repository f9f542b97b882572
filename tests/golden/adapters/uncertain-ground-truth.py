"""Golden values of the annotator metrics: plausibilities, certainties, overlaps, conformal thresholds, posteriors, real cases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trueline.metrics.annotators import (
    DirichletIRN,
    MonteCarloConformal,
    PartialRankings,
    PlackettLuce,
    aggregated_coverage,
    aggregated_topk,
    annotation_certainty,
    average_overlap,
    conformity_threshold,
    dirichlet_argmax,
    ecdf_corrected,
    expected_conformity,
    group_certainty,
    irn,
    mean_p_values,
    partial_average_overlap,
    plackett_luce_loglik,
    rank_certainty,
    standard_topk_accuracy,
    topk_weights,
    ua_topk_accuracy,
)

DATA = Path(__file__).parents[1] / "data"
Case = dict[str, Any]


def run(case: str, inputs: Case) -> Case:
    """Dispatch on the kind: the longest known beginning of the case name."""
    kind = max((k for k in KINDS if case.startswith(k)), key=len, default=None)
    if kind is None:
        raise KeyError(f"no kind of golden case begins {case!r}")
    return KINDS[kind](inputs)


def overlap(inputs: Case) -> Case:
    return {"ao": average_overlap(inputs["predicted_ranking"], inputs["ranking"], inputs["max_length"])}


def partial_overlap(inputs: Case) -> Case:
    given = [inputs[k] for k in ("predicted_ranking", "predicted_groups", "ranking", "groups", "max_length")]
    return {name: partial_average_overlap(*given, normalise=name == "normalised") for name in ("normalised", "unnormalised")}


def loglik(inputs: Case) -> Case:
    log_lam = np.array(inputs["log_plausibilities"])
    return {"loglik": plackett_luce_loglik(PartialRankings.from_lists(inputs["selectors"], log_lam.shape[1]), log_lam)}


def certainty_and_ua_topk(inputs: Case) -> Case:
    samples, predictions = np.array(inputs["plausibility_samples"]), np.array(inputs["predictions"])
    first = rank_certainty(samples)
    n, m, k = samples.shape
    apart = samples.reshape(n * m, 1, k)  # every draw a case of its own
    repeated = np.repeat(predictions, m, axis=0)

    def items(metric: Callable[..., Any], size: int) -> list[Any]:
        return metric(repeated, apart, size, ties="lowest", ci=None).items.reshape(n, m).tolist()

    return {
        "rank1_certainty": first,
        "rank2_certainty": rank_certainty(samples, 2),
        "risk_rank1_certainty": group_certainty(first, inputs["risk_groups"]),
        "ua_topk_per_example_per_sample": {size: items(ua_topk_accuracy, size) for size in range(1, k)},
        "aggregated_top2_per_example_per_sample": items(aggregated_topk, 2),
        "ua_top1_mean": ua_topk_accuracy(predictions, samples, 1, ties="lowest", ci=None).estimate.value,
    }


def thresholds(drawn: np.ndarray[Any, Any], alphas: list[float]) -> dict[str, Case]:
    m, n = np.atleast_2d(drawn).shape
    return {
        str(alpha): {
            "exact_order_statistic": conformity_threshold(drawn, alpha),
            "upstream_midpoint": conformity_threshold(drawn, alpha, quantile="midpoint"),
            "k": int(np.floor(alpha * m * (n + 1) + 1e-9)) - m + 1,
        }
        for alpha in alphas
    }


def split_threshold(inputs: Case) -> Case:
    return dict(thresholds(np.array(inputs["conformity_scores"])[np.arange(len(inputs["labels"])), inputs["labels"]], inputs["alphas"]))


def p_values(inputs: Case) -> Case:
    scores, labels = np.array(inputs["val_conformity_scores"]), inputs["val_labels"]
    return {"p": mean_p_values(scores[np.arange(len(labels)), labels], inputs["test_conformity_scores"])}


def monte_carlo(inputs: Case) -> Case:
    scores, labels = np.array(inputs["conformity_scores"]), np.array(inputs["sampled_labels"])
    drawn = scores[np.arange(len(scores)), labels]
    return {"thresholds": thresholds(drawn, inputs["alphas"]), "mean_p_values": mean_p_values(drawn, inputs["test_conformity_scores"])}


def posterior(inputs: Case) -> Case:
    named = sorted({c for reader in inputs["annotations"] for group in reader for c in group})
    code = {c: i for i, c in enumerate(named)}
    annotations = [[[code[c] for c in group] for group in reader] for reader in inputs["annotations"]]
    rankings = PartialRankings.from_lists([annotations], len(named) + bool(inputs["unranked_class"]))
    sampler = PlackettLuce(inputs["reader_repetitions"], inputs["prior_shape"], inputs["prior_rate"], chains=2 * inputs["draws"] // 1000)
    (found,) = sampler.sample(rankings, seed=0)
    assert found.r_hat <= 1.02
    top = topk_weights(found.samples, 1).mean(axis=0)
    return {"classes": [named[i] for i in found.classes], "posterior_mean": found.samples.mean(axis=0), "prob_top1": top}


def annotations_of(inputs: Case) -> tuple[PartialRankings, list[int]]:
    """The cases of the data file, or those inside the case."""
    if "annotations" in inputs:
        return PartialRankings.from_lists(inputs["annotations"], inputs["num_classes"]), inputs["case_ids"]
    path = DATA / inputs["data"]
    ids = [json.loads(line)["case_id"] for line in path.read_text(encoding="utf-8").splitlines()]
    return PartialRankings.from_jsonl(path, inputs["num_classes"]), ids


def real_certainty(inputs: Case) -> Case:
    rankings, ids = annotations_of(inputs)
    risks = inputs["risks"]
    if isinstance(risks, str):
        risks = [int(line) for line in (DATA / risks).read_text(encoding="utf-8").split()]
    chances = DirichletIRN(inputs["reliability"], inputs["alpha"]).certainty(rankings)
    first, by_risk = annotation_certainty(chances), annotation_certainty(chances, risks)
    return {
        "n": len(first),
        "mean_top1_certainty": first.mean(),
        "median": np.median(first),
        "share_below_0_45": (first < 0.45).mean(),
        "share_below_0_99": (first < 0.99).mean(),
        "mean_top1_risk_certainty": by_risk.mean(),
        "share_risk_certainty_below_0_9": (by_risk < 0.9).mean(),
        "first_10_case_ids": ids[:10],
        "first_10_certainties": first[:10],
    }


def halves(inputs: Case) -> tuple[np.ndarray[Any, Any], PartialRankings]:
    """Readers 0, 2, ... as the prediction, readers 1, 3, ... as the truth, of cases with enough readers."""
    rankings, _ = annotations_of(inputs)
    rankings = rankings.cases(rankings.n_readers >= inputs["min_readers"])
    even = rankings.reader_number % 2 == 0
    return irn(rankings.readers(even)), rankings.readers(~even)


def reader_split(inputs: Case) -> Case:
    prediction, truth = halves(inputs)
    result: Case = {"n": len(prediction)}
    for k in (1, 3):
        result[f"standard_top{k}"] = standard_topk_accuracy(prediction, irn(truth), k, ties="lowest", ci=None).estimate.value
        result[f"aggregated_top{k}"] = aggregated_topk(prediction, irn(truth), k, ties="lowest", ci=None).estimate.value
        for t in (3, 10, 30):
            chances = DirichletIRN(t, inputs["alpha"]).certainty(truth)
            result[f"ua_top{k}_T{t}"] = ua_topk_accuracy(prediction, chances, k, ties="lowest", ci=None).estimate.value
    return result


def real_conformal(inputs: Case) -> Case:
    prediction, truth = halves(inputs)
    rng = np.random.default_rng(0)
    scores = prediction + 1e-3
    scores = scores / scores.sum(axis=1, keepdims=True) + 1e-9 * rng.random(scores.shape)
    law = irn(truth)
    voted = topk_weights(law, 1, "lowest")
    settings = MonteCarloConformal(inputs["alpha"], inputs["m"])
    found: dict[str, list[float]] = {"voted": [], "drawn": []}
    for _ in range(inputs["n_splits"]):
        order = rng.permutation(len(law))
        cal, test = order[: len(law) // 2], order[len(law) // 2 :]
        drawn = settings.fit(scores[cal], law[cal], rng).sets(scores[test])
        level = conformity_threshold(scores[cal][voted[cal] == 1], inputs["alpha"])
        found["drawn"].append(float(aggregated_coverage(drawn, law[test]).mean()))
        found["voted"].append(float(aggregated_coverage(scores[test] >= level, law[test]).mean()))
    return {
        "aggregated_coverage_calibrated_on_voted": np.mean(found["voted"]),
        "aggregated_coverage_monte_carlo": np.mean(found["drawn"]),
    }


KINDS: dict[str, Callable[[Case], Case]] = {
    "irn": lambda inputs: {"plausibilities": irn(PartialRankings.from_lists(inputs["selectors"], inputs["num_classes"]))},
    "average_overlap": overlap,
    "partial_average_overlap": partial_overlap,
    "plackett_luce_loglik": loglik,
    "certainty_and_ua_topk": certainty_and_ua_topk,
    "split_conformal_threshold": split_threshold,
    "conformal_p_values": p_values,
    "monte_carlo_conformal": monte_carlo,
    "ecdf_corrected_p": lambda inputs: {"p": ecdf_corrected(inputs["test_p"], inputs["val_p"])},
    "aggregated_coverage": lambda inputs: {"coverage": aggregated_coverage(inputs["prediction_sets"], inputs["distributions"])},
    "expected_conformity_score": lambda inputs: {"score": expected_conformity(inputs["conformity_scores"], inputs["plausibilities"])},
    "dirichlet_argmax": lambda inputs: {"prob_argmax": dirichlet_argmax(inputs["concentration"])},
    "plackett_luce_posterior": posterior,
    "real_certainty": real_certainty,
    "real_reader_split": reader_split,
    "real_monte_carlo_conformal": real_conformal,
}
