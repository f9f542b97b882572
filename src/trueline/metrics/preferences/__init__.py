"""How representative and how robust preference data and reward models are, and what epsilon and delta would cost."""

from __future__ import annotations

from trueline.metrics.preferences.collapse import Collapse, preference_collapse, reward_probabilities
from trueline.metrics.preferences.flips import FamilyFlips, Flips, flip_robustness, scenario_delta
from trueline.metrics.preferences.floor import RangeFloor, range_floor
from trueline.metrics.preferences.perturbations import FAMILIES, Pair, Probed, probe_flips, rewritten, suffixed
from trueline.metrics.preferences.planner import (
    Plan,
    context_cells,
    correlation_design_effect,
    epsilon_reached,
    failure_upper,
    frontier,
    kish,
    label_plan,
    labels_needed,
    paper_context,
    paper_order,
    trials_without_failure,
)
from trueline.metrics.preferences.report import Goal, given_up, trilemma_report
from trueline.metrics.preferences.reward import RewardGaps, reward_representativeness
from trueline.metrics.preferences.sample_shares import SampleShares, rake, sample_representativeness
from trueline.metrics.preferences.votes import Votes, make_votes

__all__ = [
    "FAMILIES",
    "Collapse",
    "FamilyFlips",
    "Flips",
    "Goal",
    "Pair",
    "Plan",
    "Probed",
    "RangeFloor",
    "RewardGaps",
    "SampleShares",
    "Votes",
    "context_cells",
    "correlation_design_effect",
    "epsilon_reached",
    "failure_upper",
    "flip_robustness",
    "frontier",
    "given_up",
    "kish",
    "label_plan",
    "labels_needed",
    "make_votes",
    "paper_context",
    "paper_order",
    "preference_collapse",
    "probe_flips",
    "rake",
    "range_floor",
    "reward_probabilities",
    "reward_representativeness",
    "rewritten",
    "sample_representativeness",
    "scenario_delta",
    "suffixed",
    "trials_without_failure",
    "trilemma_report",
]
