"""All that preference data says about representativeness, robustness and cost in one record: where it stands, and what was given up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.preferences._checks import probabilities, shares
from trueline.metrics.preferences.collapse import preference_collapse
from trueline.metrics.preferences.flips import Flips
from trueline.metrics.preferences.floor import range_floor
from trueline.metrics.preferences.planner import (
    ORDER_NOTE,
    POPULATION_NOTE,
    Plan,
    correlation_design_effect,
    epsilon_reached,
    failure_upper,
    frontier,
    label_plan,
    paper_context,
    paper_order,
)
from trueline.metrics.preferences.reward import RewardGaps, reward_representativeness
from trueline.metrics.preferences.sample_shares import SampleShares, sample_representativeness
from trueline.metrics.preferences.votes import Votes
from trueline.stats.engine import CI
from trueline.stats.estimate import FloatArray

FEW_ANNOTATORS = 10
Verdict = Literal["shown", "not shown", "shown false", "not judged"]


@dataclass(frozen=True)
class Goal:
    """What the data should reach, and what may be spent.

    epsilon, delta, eta: as in `label_plan`. label_cost, budget: price of a label and money at hand; without a price a label costs 1. icc:
    correlation of one annotator's labels. d_context, max_interaction: binary context features to plan for, beyond the contexts of the data.
    population: n of `paper_order`.
    """

    epsilon: float = 0.1
    delta: float = 0.05
    eta: float = 0.05
    label_cost: float | None = None
    budget: float | None = None
    icc: float = 0.0
    d_context: int | None = None
    max_interaction: int | None = None
    population: float | None = None


def trilemma_report(
    votes: Votes,
    goal: Goal = Goal(),
    *,
    target: ArrayLike | None = None,
    contexts: ArrayLike | None = None,
    model_prob: ArrayLike | None = None,
    flips: Flips | None = None,
    ci: CI | None = None,
) -> dict[str, Any]:
    """Return one JSON-ready record (NaN and infinities as floats) on preference data, and on a model where one is given.

    Parameters
    ----------
    votes : Votes
    goal : Goal
    target : (n_groups,) float64, optional
        Shares of the people that the model is for; equal ones by default, and the record says so.
    contexts : (n_votes,) labels, optional
        Kind of situation of each vote; rates are then to be known for every group in every one.
    model_prob : (n_items,) float64, optional
        As in `reward_representativeness`, in the order of ``votes.items``.
    flips : Flips, optional
        From `flip_robustness`.
    ci : CI, optional

    Raises
    ------
    InputError
        As `reward_representativeness`, `sample_representativeness` and `label_plan`.
    """
    ci = ci or CI(n_boot=500)
    t = shares(target, votes.groups)
    cells = _Cells.make(votes, contexts, t, goal)
    sample = sample_representativeness(cells.people, t)
    plan = label_plan(
        goal.epsilon,
        goal.delta,
        goal.eta,
        groups=int((t > 0).sum()),
        cells=len(cells.contexts) if goal.d_context is None else 1,
        d_context=goal.d_context,
        max_interaction=goal.max_interaction,
        label_cost=goal.label_cost,
        icc=goal.icc,
        items_per_annotator=cells.items_per_annotator,
        families=1 if flips is None else len(flips.families),
    )
    gaps = None if model_prob is None else reward_representativeness(model_prob, votes, target=t, ci=ci)
    document: dict[str, Any] = {
        "n_items": len(votes.items),
        "n_votes": len(votes.choice),
        "n_annotators": None if votes.annotator is None else len(np.unique(votes.annotator)),
        "level": ci.level,
        "goal": vars(goal),
        "target": "equal shares (none was given)" if target is None else "given",
        "sample": _sample(votes, cells, sample),
        "rates": cells.to_json(),
        "plan": plan.to_json(),
        "frontier": _frontier(goal, plan),
        "paper_order": _paper(goal, plan),
        "reward": None if gaps is None else _reward(gaps, model_prob, votes, ci),
        "robustness": None if flips is None else _robustness(flips),
    }
    document["corners"] = _corners(goal, cells, sample, plan, gaps, flips)
    document["ten_times"] = _ten_times(goal, cells, flips)
    document["warnings"] = [*cells.warnings(votes, sample, goal), *([] if gaps is None else gaps.warnings)]
    return document


@dataclass(frozen=True)
class _Cells:
    """How many labels and people there are of every group in every context."""

    contexts: list[str]
    labels: FloatArray  # (n_groups, n_contexts)
    annotators: FloatArray  # the same, people
    people: FloatArray  # (n_groups,) people, or votes where nobody knows whose
    counted: FloatArray  # shares of the target
    items_per_annotator: float
    design_effect: float
    epsilon: float
    epsilon_covered: float  # the same for the cells that have labels

    @classmethod
    def make(cls, votes: Votes, contexts: ArrayLike | None, t: FloatArray, goal: Goal) -> _Cells:
        said = np.full(len(votes.choice), "all") if contexts is None else np.asarray(contexts).astype(str)
        if said.shape != votes.choice.shape:
            raise InputError(f"{said.shape} contexts for {len(votes.choice)} votes; expected one a vote")
        names, codes = np.unique(said, return_inverse=True)
        shape = (len(votes.groups), len(names))
        cell = votes.group * len(names) + codes
        labels = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        who = np.arange(len(cell)) if votes.annotator is None else votes.annotator
        pairs = np.unique(np.column_stack([cell, who]), axis=0)
        annotators = np.bincount(pairs[:, 0], minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        persons = np.unique(np.column_stack([votes.group, who]), axis=0)
        each = np.bincount(who)
        per = float((each**2).sum() / each.sum())
        deff = correlation_design_effect(goal.icc, per)
        wanted = labels[t > 0]
        union = (goal.eta, int((t > 0).sum()), len(names), deff)
        reached = [epsilon_reached(float(found.min(initial=math.inf)), *union) for found in (wanted, wanted[wanted > 0])]
        people = np.bincount(persons[:, 0], minlength=shape[0]).astype(np.float64)
        return cls([str(n) for n in names], labels, annotators, people, t, per, deff, *reached)

    def smallest(self) -> tuple[int, int]:
        """Group and context with the fewest labels, among the groups of the target."""
        masked = np.where((self.counted > 0)[:, None], self.labels, np.inf)
        g, c = np.unravel_index(int(np.argmin(masked)), masked.shape)
        return int(g), int(c)

    def to_json(self) -> dict[str, Any]:
        g, c = self.smallest()
        return {
            "contexts": self.contexts,
            "labels": self.labels.tolist(),
            "smallest": {"group": g, "context": self.contexts[c], "labels": float(self.labels[g, c])},
            "design_effect": self.design_effect,
            "epsilon_reached": self.epsilon,
            "epsilon_covered": self.epsilon_covered,
        }

    def warnings(self, votes: Votes, sample: SampleShares, goal: Goal) -> list[str]:
        found = []
        if sample.uncovered:
            listed = ", ".join(votes.groups[g] for g in sample.uncovered)
            found.append(f"No statement is possible about {listed}: nobody of them voted.")
        if outside := [votes.groups[g] for g in np.flatnonzero((sample.target == 0) & (sample.sample > 0))]:
            found.append(f"Voted, but not in the target: {', '.join(outside)}.")
        few = (self.annotators < FEW_ANNOTATORS) & (self.labels > 0) & (self.counted > 0)[:, None]
        if few.any():
            unit = "votes" if votes.annotator is None else "annotators"
            found.append(
                f"{int(few.sum())} of {few.size} cells (group x context) have fewer than {FEW_ANNOTATORS} {unit}: use coarser groups."
            )
        if votes.annotator is None:
            found.append("No annotator column: how many people voted is unknown, votes are counted, and intervals are too narrow.")
        elif goal.icc == 0 and self.items_per_annotator > 1:
            per = self.items_per_annotator
            found.append(
                f"An annotator gave about {per:.1f} labels; they are planned as independent (icc 0), which is the cheap assumption."
            )
        return found


def _sample(votes: Votes, cells: _Cells, sample: SampleShares) -> dict[str, Any]:
    rows = [
        {"group": name, "people": int(cells.people[g]), "votes": int(cells.labels[g].sum())}
        | {"share": float(sample.sample[g]), "target": float(sample.target[g]), "weight": float(sample.weights[g])}
        for g, name in enumerate(votes.groups)
    ]
    kept = ("total_variation", "tv_by_chance", "kl", "n_eff", "design_effect")
    return {
        "unit": "votes" if votes.annotator is None else "annotators",
        "n": sample.n,
        "groups": rows,
        **{name: getattr(sample, name) for name in kept},
        "uncovered": [votes.groups[g] for g in sample.uncovered],
    }


def _frontier(goal: Goal, plan: Plan) -> dict[str, float] | None:
    if goal.budget is None:
        return None
    return frontier(
        goal.budget,
        goal.epsilon,
        goal.eta,
        groups=plan.groups,
        cells=plan.cells,
        max_interaction=goal.max_interaction,
        label_cost=goal.label_cost or 1.0,
        design_effect=plan.design_effect,
    )


def _paper(goal: Goal, plan: Plan) -> dict[str, Any] | None:
    if goal.population is None:
        return None
    d = float(goal.d_context) if goal.d_context is not None else math.log2(plan.cells)
    found: dict[str, Any] = {"d_context": d, "log10_operations": paper_order(d, goal.epsilon, goal.delta, goal.population)}
    if goal.budget is not None:
        found["d_context_of_budget"] = paper_context(math.log10(goal.budget), goal.epsilon, goal.delta, goal.population)
    return found | {"note": f"{ORDER_NOTE}; {POPULATION_NOTE}"}


def _reward(gaps: RewardGaps, model_prob: ArrayLike | None, votes: Votes, ci: CI) -> dict[str, Any]:
    yes, total = votes.counts()
    q = probabilities(model_prob if model_prob is not None else [], len(yes))
    collapse = preference_collapse(q, yes, total, level=ci.level)
    half = range_floor(yes, total, seed=ci.seed)
    rows = [
        {"group": name, "target": float(gaps.target[g]), "gap2": float(gaps.gap2[g]), "shrunk_gap2": float(gaps.shrunk[g])}
        | {"plugin": float(gaps.plugin[g]), "n_single": int(gaps.n_single[g])}
        | {"epsilon": gaps.epsilon[g].to_json(), "lost": collapse.lost[g].to_json()}
        for g, name in enumerate(gaps.groups)
    ]
    totals = ("weighted", "worst", "population", "floor_weighted", "floor_worst")
    return {
        "groups": rows,
        **{name: getattr(gaps, name).to_json() for name in totals},
        "range_floor": vars(half),
        "exaggeration": collapse.exaggeration.to_json(),
        "entropy_model": collapse.entropy_model,
        "entropy_people": collapse.entropy_people,
    }


def _robustness(flips: Flips) -> dict[str, Any]:
    families = [{"family": f.family, "rate": f.rate.to_json(), "upper": f.upper, "p": f.p, "p_holm": f.p_holm} for f in flips.families]
    return {
        "mean": flips.mean.to_json(),
        "any": flips.any.to_json(),
        "upper_any": flips.upper_any,
        "families": families,
        "margin_auroc": flips.margin_auroc.to_json(),
        "safe_margin": flips.safe_margin,
        "safe_share": flips.safe_share,
    }


def _corners(
    goal: Goal, cells: _Cells, sample: SampleShares, plan: Plan, gaps: RewardGaps | None, flips: Flips | None
) -> dict[str, dict[str, str]]:
    """Which of the three is shown, and why; what is neither shown nor unasked was given up."""
    total = plan.labels["hoeffding"]
    price = f"{total['total']:.3g} labels" if total["cost"] is None else f"{total['total']:.3g} labels, {total['cost']:.3g} in money"
    spent = total["cost"] if total["cost"] is not None else total["total"] if goal.label_cost is None else math.inf
    tractable: tuple[Verdict, str] = ("not judged", f"the goal takes {price}; give a budget to judge it")
    if goal.budget is not None:
        tractable = ("shown" if spent <= goal.budget else "shown false", f"the goal takes {price}; the budget is {goal.budget:.3g}")
    verdicts = {"representative": _representative(goal, cells, sample, gaps), "robust": _robust(goal, flips), "tractable": tractable}
    return {name: {"verdict": verdict, "why": why} for name, (verdict, why) in verdicts.items()}


def _representative(goal: Goal, cells: _Cells, sample: SampleShares, gaps: RewardGaps | None) -> tuple[Verdict, str]:
    if sample.uncovered:
        share = sample.target[list(sample.uncovered)].sum()
        return "shown false", f"{share:.1%} of the target did not vote at all"
    if gaps is not None and gaps.worst.low > goal.epsilon:
        return "shown false", f"the gap of the model to the worst group is at least {gaps.worst.low:.3f}"
    if cells.epsilon > goal.epsilon:
        return "not shown", f"so many labels show each group's rates to within {cells.epsilon:.3f} only"
    if gaps is not None and not gaps.worst.high <= goal.epsilon:
        return "not shown", f"the gap of the model to the worst group may be up to {gaps.worst.high:.3f}"
    of_model = "" if gaps is None else f", and the model is within {gaps.worst.high:.3f} of every group"
    return "shown", f"each group's rates are known to within {cells.epsilon:.3f}{of_model}"


def _robust(goal: Goal, flips: Flips | None) -> tuple[Verdict, str]:
    if flips is None:
        return "not judged", "no perturbations were tried"
    if not flips.any.defined:
        return "not shown", flips.any.reason or "undefined"
    text = (
        f"{flips.any.value:.1%} of {flips.any.n} pairs flip at least once; at most {flips.upper_any:.1%} with confidence {1 - goal.eta:.0%}"
    )
    if flips.upper_any <= goal.delta:
        return "shown", text
    return ("shown false" if flips.any.low > goal.delta else "not shown"), text


def _ten_times(goal: Goal, cells: _Cells, flips: Flips | None) -> dict[str, float]:
    """What ten times the labels and ten times the pairs would show, all else alike."""
    found = {"epsilon_covered": cells.epsilon_covered / math.sqrt(10)}
    if flips is not None and flips.any.defined:
        k, n = round(flips.any.value * flips.any.n), flips.any.n
        found["upper_any"] = failure_upper(10 * k, 10 * n, goal.eta)
    return found


def given_up(document: dict[str, Any]) -> Sequence[str]:
    """Return the corners of a record that are shown false or not shown."""
    return [name for name, corner in document["corners"].items() if corner["verdict"] in ("not shown", "shown false")]
