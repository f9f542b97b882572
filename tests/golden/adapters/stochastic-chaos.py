"""Golden adapter of distributional evaluation: a case's kind (its name less the suffix) says which function makes the expected keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trueline.metrics.distributional import capability, majority_at_k, path_diversity
from trueline.metrics.robustness import robustness, transition
from trueline.metrics.tail_risk import tail_risk
from trueline.stats.power import plan_samples

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Compute the expected keys of one case."""
    kind = max((k for k in KINDS if case.startswith(k)), key=len)
    return KINDS[kind](**inputs)


def points(estimates: Any) -> Values:
    return {k: e.value for k, e in estimates.items()}


def gain(greedy_correct: Any, sample_correct: Any, ks: Any) -> Values:
    c = capability(greedy_correct, sample_correct, ks, ci=None)
    return {
        "greedy_accuracy": c.greedy_accuracy.value,
        "mean_sample_accuracy": c.mean_sample_accuracy.value,
        "pass_at_k": points(c.pass_at_k),
        "exploration_gain": points(c.gain_pass),
        "greedy_wrong_but_reachable": c.reachable.value,
        "greedy_right_but_fragile": c.fragile.value,
    }


def majority(answers: Any, correct: Any, ks: Any) -> Values:
    return {"majority_at_k": majority_at_k(answers, correct, ks)}


def harm(greedy_harmful: Any, sample_harmful: Any, ks: Any, tau: float = 0.05, cvar_alpha: float = 0.05) -> Values:
    r = tail_risk(greedy_harmful, sample_harmful, ks, tau, cvar_alpha, ci=None)
    return {
        "greedy_harm_rate": r.greedy_harm_rate.value,
        "mean_harm_probability": r.mean_harm_probability.value,
        "any_harm_at_k": points(r.any_harm_at_k),
        "risk_gap_at_k": points(r.risk_gap_at_k),
        "concealed_risk_share": r.concealed_risk.value,
        "worst_prompt_probability": r.worst_probability,
        "cvar": r.cvar.value,
        "clopper_pearson_95": [[i.low, i.high] for i in r.per_prompt],
    }


def paraphrases(sample_correct: Any, greedy_correct: Any, layout: str = "") -> Values:
    r = robustness(sample_correct, greedy_correct, unbiased=False, ci=None)
    names = ("canonical_greedy_accuracy", "mean_variant_greedy_accuracy", "worst_variant_greedy_accuracy", "mean_sample_accuracy")
    names += ("flip_rate", "illusion_gap", "sampling_part", "prompt_part")
    return {name: getattr(r, name).value for name in names} | {"mean_outcome_variance": r.outcome_variance.value}


def paths(path_ids: Any, correct: Any) -> Values:
    d = path_diversity(path_ids, correct)
    return {
        "distinct_paths": d.distinct_paths,
        "path_entropy": d.path_entropy,
        "effective_paths": d.effective_paths,
        "simpson_diversity_unbiased": d.simpson_diversity,
        "distinct_correct_paths": d.distinct_correct_paths,
        "good_turing_unseen_mass": d.unseen_mass,
    }


def emergence(scale: Any, accuracy: Any) -> Values:
    return vars(transition(scale, accuracy))


def plan(pairs: Any) -> Values:
    return {"n": [plan_samples(p, confidence) for p, confidence in pairs]}


KINDS: dict[str, Callable[..., Values]] = {
    "capability_gain": gain,
    "k_larger_than_n": gain,
    "majority": majority,
    "tail_risk": harm,
    "no_harm_seen": harm,
    "paraphrase_robustness": paraphrases,
    "path_diversity": paths,
    "single_path": paths,
    "emergence": emergence,
    "plan_samples": plan,
}
