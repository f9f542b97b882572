"""A budget instead of a list of estimators: what so many calls an item, or so many seconds, can buy."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trueline.capture.needs import Needs
from trueline.capture.planner import Plan
from trueline.capture.probes import answer_prompt
from trueline.errors import InputError
from trueline.models.base import GenerationRequest, GenerationSettings, Model
from trueline.tasks.item import Task

#: Items of the trial that tells how long an answer takes.
TRIAL_ITEMS = 16

PlanOf = Callable[[Mapping[str, Needs], int], Plan]


@dataclass(frozen=True)
class Budget:
    """``calls``: decodes, probes and forward passes an item, the greedy answer included; or ``seconds`` for the whole capture."""

    calls: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        return f"calls={self.calls}" if self.calls is not None else f"seconds={self.seconds:g}"


def parse_budget(text: str) -> Budget:
    """Read ``calls=N`` or ``seconds=S``. Raises ``InputError`` for anything else."""
    name, _, value = text.partition("=")
    try:
        if name.strip() == "calls" and int(value) >= 1:
            return Budget(calls=int(value))
        if name.strip() == "seconds" and 0 < float(value) < float("inf"):
            return Budget(seconds=float(value))
    except ValueError:
        pass  # said below, with what would be right
    raise InputError(f"a budget is calls=N (calls an item, at least 1) or seconds=S (for the capture), got {text!r}")


def calls_per_item(plan: Plan) -> float:
    """Model calls of one item; judged and compared pairs are not among them."""
    counted = {kind: count for kind, count in plan.calls.items() if not kind.startswith(("prompts", "judged_", "compared_"))}
    return sum(counted.values()) / max(plan.n_items, 1)


def fit_to_calls(plan_of: PlanOf, needs: Mapping[str, Needs], samples: int, calls: int) -> Plan:
    """The plan that ``calls`` calls an item buy.

    First everything that the greedy answer serves, then samples (as many as asked for, or as fit), then what needs a call of its own,
    the cheapest first. ``plan_of(needs, samples)`` makes a plan; what it leaves out by itself keeps its reason.
    """
    everything = plan_of(needs, samples)
    alone = {
        name: calls_per_item(plan_of({name: needs[name]}, 0 if not needs[name].samples else samples)) for name in everything.estimators
    }
    drawn = min(samples, calls - 1)
    order = sorted(everything.estimators, key=lambda name: (_rank(needs[name], alone[name]), alone[name]))
    kept: dict[str, Needs] = {}
    reasons: dict[str, str] = {}
    spent = 1.0
    for name in order:
        if needs[name].samples > drawn:
            reasons[name] = f"it needs {needs[name].samples} samples an item; a budget of {calls} calls leaves {drawn}"
            continue
        cost = calls_per_item(plan_of({**kept, name: needs[name]}, drawn))
        if cost > calls:
            reasons[name] = f"the calls it needs of its own, an item: {cost - spent:g}; the budget of {calls} has {calls - spent:g} left"
            continue
        kept[name], spent = needs[name], cost
    made = plan_of({name: needs[name] for name in everything.estimators if name in kept}, drawn)
    return dataclasses.replace(made, left_out={**everything.left_out, **reasons})


def _rank(need: Needs, cost: float) -> int:
    """0: the greedy answer is enough; 1: samples and nothing else; 2: calls of its own."""
    if need.samples:
        return 1 if not need.probes else 2
    return 0 if cost <= 1.0 else 2


@dataclass(frozen=True)
class Trial:
    """Seconds that an item takes: for its greedy answer, and for each sample beside it."""

    greedy: float
    sample: float


def trial(model: Model, task: Task, plan: Plan, batch_size: int) -> Trial:
    """How long the task's first items take; their answers are thrown away."""
    items = task.items[:TRIAL_ITEMS]
    settings = GenerationSettings(max_new_tokens=plan.max_new_tokens, law=plan.law, stop=task.stop, batch_size=batch_size)

    def took(seeds: tuple[int, ...]) -> float:
        requests = [GenerationRequest(answer_prompt(item, task), sample_seeds=seeds) for item in items]
        started = time.perf_counter()
        model.generate(requests, settings)
        return (time.perf_counter() - started) / len(items)

    model.generate([GenerationRequest(answer_prompt(items[0], task))], settings)  # the first call of a process is slow
    greedy = took(())
    drawn = max(plan.n_samples, 2)
    return Trial(greedy, max(took(tuple(range(drawn))) - greedy, 0.01 * greedy) / drawn)


def calls_in(seconds: float, trials: Sequence[Trial], n_items: int) -> int:
    """How many calls an item ``seconds`` allow; ``trials`` of each worker that takes its share of the items.

    Raises ``InputError`` when they do not even allow a greedy answer for each item.
    """
    greedy, sample = (1 / sum(1 / getattr(one, name) for one in trials) for name in ("greedy", "sample"))
    each = seconds / n_items
    if each < greedy:
        enough = int(seconds / greedy)
        raise InputError(f"{seconds:g} s are not enough for a greedy answer to each of {n_items} items; try --limit {max(enough, 1)}")
    return 1 + int((each - greedy) / sample)
