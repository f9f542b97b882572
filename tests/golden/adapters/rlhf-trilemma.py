"""Golden cases of representativeness and robustness: the start of a case's name says which function makes the expected keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from trueline.metrics.preferences import (
    context_cells,
    failure_upper,
    flip_robustness,
    kish,
    labels_needed,
    range_floor,
    reward_representativeness,
    sample_representativeness,
    trials_without_failure,
)
from trueline.stats import CI

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Return the values of one case."""
    (serve,) = [serve for start, serve in SERVED.items() if case.startswith(start)]
    return serve(**inputs)


def samples(**i: Any) -> Values:
    per_cell, total = labels_needed(**i)
    return {"per_cell": per_cell, "total": total}


def cells(d_context: int, max_interaction: int) -> Values:
    full = context_cells(d_context)
    return {"full": full, "upto": context_cells(d_context, max_interaction), "log2_full": full.bit_length() - 1}


def effective(weights: Any) -> Values:
    n_eff, design_effect = kish(weights)
    return {"n_eff": n_eff, "design_effect": design_effect}


def post_stratification(sample_share: Any, target_share: Any, n: int) -> Values:
    found = sample_representativeness(np.round(np.array(sample_share) * n), target_share)
    return {"total_variation": found.total_variation, "kl_target_sample": found.kl, "weights": found.weights, "n_eff": found.n_eff}


def representativeness(model_prob: Any, group_yes: Any, group_n: Any, target_share: Any) -> Values:
    gaps = reward_representativeness(model_prob, group_yes, group_n, target_share, ci=CI("none"))
    return {
        "gap2_unbiased_by_group": gaps.gap2,
        "epsilon_rms_by_group": [e.value for e in gaps.epsilon],
        "epsilon_weighted": gaps.weighted.value,
        "epsilon_worst": gaps.worst.value,
        "plugin_mean_abs_by_group": gaps.plugin,
        "single_reward_floor_plugin": range_floor(group_yes, group_n).mean,
        "best_weighted_single_prob": gaps.single,
    }


def empirical(flip: Any, eta: float) -> Values:
    found = flip_robustness(flip, eta=eta)
    return {"mean_flip": found.mean.value, "any_of_m": found.any.value, "upper_any": found.upper_any}


SERVED = {
    "samples_": samples,
    "robustness_zero_failures_": lambda **i: {"n": trials_without_failure(**i)},
    "robustness_upper_": lambda **i: {"upper": failure_upper(**i)},
    "robustness_empirical_": empirical,
    "context_cells_": cells,
    "kish_": effective,
    "post_stratification_": post_stratification,
    "representativeness_": representativeness,
}
