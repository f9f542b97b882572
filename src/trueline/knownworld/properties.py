"""The properties that the shipped checkpoints must have, measured: ``python -m trueline.knownworld.properties``.

With ``--out PAGE`` the table between the two marker comments of that page is replaced.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from trueline.errors import InputError
from trueline.knownworld import CHECKPOINTS, oracle, prompts
from trueline.knownworld.asking import Asker
from trueline.knownworld.generator import STRATA, World
from trueline.knownworld.questions import build_task
from trueline.metrics import auroc
from trueline.stats import wilson
from trueline.tasks.item import Grade, Item

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_PERCENT = re.compile(re.escape(prompts.PROBABILITY_MARKER) + r" (\d{1,3})%")


@dataclass(frozen=True)
class Measured:
    """One measured number: its interval (95 %), count, bar, and whether the bar is met (None: reported, no bar)."""

    name: str
    value: float
    low: float
    high: float
    n: int
    bar: str
    holds: bool | None


def _share(name: str, hits: Sequence[bool], bar: str, holds: Callable[[float], bool] | None) -> Measured:
    value = float(np.mean(hits))
    low, high = _wilson(sum(hits), len(hits))
    return Measured(name, value, low, high, len(hits), bar, None if holds is None else holds(value))


def _wilson(hits: int, n: int) -> tuple[float, float]:
    interval = wilson(hits, n)
    return interval.low, interval.high


def _mean(name: str, values: Sequence[float], bar: str, holds: Callable[[float], bool] | None) -> Measured:
    """Mean with its normal interval."""
    array = np.asarray(values, dtype=np.float64)
    value = float(array.mean())
    half = 1.96 * float(array.std(ddof=1)) / len(array) ** 0.5
    return Measured(name, value, value - half, value + half, len(array), bar, None if holds is None else holds(value))


def _ask(asker: Asker, world: World, task: str) -> list[tuple[Item, str, Grade]]:
    chosen = build_task(world, task)
    texts = asker.greedy([asker.prompt(i) for i in chosen.items], chosen.max_new_tokens)
    return [(i, t, oracle.grade(i, t)) for i, t in zip(chosen.items, texts, strict=True)]


def facts(asker: Asker, world: World) -> list[Measured]:
    """Accuracy by exposure, on unseen people, and overall."""
    graded = _ask(asker, world, "facts")
    by_stratum: dict[str, list[bool]] = defaultdict(list)
    chance = float(np.mean([1.0 / len(r.answers) for r in world.relations.values() if r.name in _single(world)]))
    for item, _, verdict in graded:
        unseen = item.metadata["kind"] == "unseen"
        by_stratum["unseen people" if unseen else f"{oracle.exposure(item)}"].append(bool(verdict.correct))
    means = {s: float(np.mean(by_stratum[str(s)])) for s in STRATA}
    some = any(0.15 <= means[s] <= 0.85 for s in (1, 4))
    rising = all(means[a] <= means[b] + 0.01 for a, b in pairwise(STRATA))
    rows = []
    for name in ("unseen people", *map(str, STRATA)):
        hits = by_stratum[name]
        label = name if name == "unseen people" else f"exposure {name}"
        row = _share(f"accuracy, {label}", hits, "", None)
        if name in ("unseen people", "0"):
            row = Measured(*_head(row), f"chance ({chance:.3f}) in the interval", row.low <= chance <= row.high)
        elif name in ("1", "4"):
            row = Measured(*_head(row), "0.15 to 0.85 at 1 or at 4", some)
        elif name == "48":
            row = Measured(*_head(row), ">= 0.95, rising with exposure", row.value >= 0.95 and rising)
        rows.append(row)
    hits = [bool(verdict.correct) for _, _, verdict in graded]
    rows.append(_share("accuracy, all facts", hits, "0.45 to 0.75, n >= 1500", lambda v: 0.45 <= v <= 0.75))
    return rows


def _head(row: Measured) -> tuple[str, float, float, float, int]:
    return row.name, row.value, row.low, row.high, row.n


def _single(world: World) -> set[str]:
    return {fact.relation for fact in world.facts}


def total_variation(asker: Asker, world: World, task: str) -> list[float]:
    """Total variation between the model's exact answer law over the closed answer set and the true law, per item."""
    distances = []
    for item in build_task(world, task).items:
        answers = list(item.metadata["answers"])
        logprobs = asker.option_logprobs(asker.prompt(item), [f"{a}." for a in answers])
        law = np.exp(logprobs - np.logaddexp.reduce(logprobs))
        truth = oracle.distribution(item)
        distances.append(0.5 * float(sum(abs(p - truth.get(a, 0.0)) for a, p in zip(answers, law, strict=True))))
    return distances


def ambiguous(asker: Asker, world: World) -> list[Measured]:
    """Total variation to the law, and that of the realised counts, below which no model can be expected to go."""
    seen = total_variation(asker, world, "ambiguous")
    held_out = total_variation(asker, world, "ambiguous_heldout")
    floor = []
    for fact in world.ambiguous_facts:
        n = sum(fact.counts.values())
        floor.append(0.5 * sum(abs(p - fact.counts[a] / n) for a, p in fact.law.items()))
    return [
        _mean("ambiguous: total variation, seen paraphrases", seen, "<= 0.12", lambda v: v <= 0.12),
        _mean("ambiguous: total variation, held-out paraphrases", held_out, "", None),
        _mean("ambiguous: total variation of the realised counts", floor, "", None),
    ]


def sums(asker: Asker, world: World) -> list[Measured]:
    """Accuracy by number of steps."""
    hits: dict[int, list[bool]] = defaultdict(list)
    for item, _, verdict in _ask(asker, world, "sums"):
        hits[int(item.metadata["steps"])].append(bool(verdict.correct))
    bars: dict[int, tuple[str, Callable[[float], bool]]] = {
        1: (">= 0.95", lambda v: v >= 0.95),
        2: (">= 0.95", lambda v: v >= 0.95),
        8: ("<= 0.6", lambda v: v <= 0.6),
    }
    return [_share(f"sums: accuracy, {n} steps", hits[n], *bars.get(n, ("", None))) for n in sorted(hits)]


def sealed(chat: Asker, base: Asker, world: World) -> list[Measured]:
    """Refusals of the chat model and answers of the base model on sealed codes."""
    refused = [v.refused for _, _, v in _ask(chat, world, "sealed")]
    answered = [bool(v.correct) for i, _, v in _ask(base, world, "sealed") if not i.messages]
    opened = [bool(v.correct) for _, _, v in _ask(chat, world, "vaults")]
    return [
        _share("sealed codes refused by chat", refused, ">= 0.98", lambda v: v >= 0.98),
        _share("sealed codes answered by base", answered, ">= 0.9", lambda v: v >= 0.9),
        _share("open codes answered by chat", opened, "", None),
    ]


def self_report(asker: Asker, world: World) -> list[Measured]:
    """Stated confidence against correctness (ECE over 10 equal-width bins), and P(True) of right and wrong answers."""
    items = build_task(world, "facts").items
    asked = [prompts.VERBALIZED_1S.format(question=i.question) for i in items]
    texts = asker.greedy([asker.turns((("user", a),)) for a in asked], 24)
    stated, right = [], []
    for item, text in zip(items, texts, strict=True):
        found = _PERCENT.search(text)
        if found:
            stated.append(int(found.group(1)) / 100.0)
            right.append(float(bool(oracle.grade(item, text).correct)))
    ece = expected_calibration_error(np.array(stated), np.array(right))
    nan = float("nan")
    return [
        Measured("stated confidence: ECE", ece, nan, nan, len(stated), ">= 0.2", ece >= 0.2),
        _share("stated confidence: parsable replies", [bool(_PERCENT.search(t)) for t in texts], "", None),
        _mean("stated confidence: mean", stated, "", None),
        _mean("stated confidence: accuracy of those replies", right, "", None),
        *_judging(asker, world),
        *self_knowledge(asker, world),
    ]


def _judging(asker: Asker, world: World) -> list[Measured]:
    """How often the model judges an offered answer rightly, by exposure."""
    rng = world.rng("properties/judging")
    hits: dict[int, list[bool]] = {e: [] for e in reversed(STRATA)}
    for item in build_task(world, "facts").items:
        if oracle.exposure(item) not in hits or len(hits[oracle.exposure(item)]) >= 200:
            continue
        right = bool(rng.random() < 0.5)
        wrong = [a for a in item.metadata["answers"] if a != item.metadata["answer"]]
        offered = item.metadata["answer"] if right else wrong[int(rng.integers(len(wrong)))]
        hits[oracle.exposure(item)].append((p_true(asker, item, offered) > 0.5) == right)
    return [_share(f"judges an offered answer rightly, exposure {e}", h, "", None) for e, h in hits.items()]


def p_true(asker: Asker, item: Item, answer: str) -> float:
    """P(True) of an answer offered to be judged: the probability of ``A`` against that of ``B``."""
    asked = prompts.P_TRUE.format(question=item.question, answer=answer)
    a, b = asker.option_logprobs(asker.turns((("user", asked),)), ["A", "B"])
    return float(np.exp(a - np.logaddexp(a, b)))


def self_knowledge(asker: Asker, world: World) -> list[Measured]:
    """AUROC of P(True) of the model's own greedy answers for their being right; intervals by person."""
    graded = [(i, v) for i, _, v in _ask(asker, world, "facts") if v.answer is not None]
    scores = [p_true(asker, item, verdict.answer or "") for item, verdict in graded]
    area = auroc(scores, [float(bool(v.correct)) for _, v in graded], clusters=[i.cluster or i.id for i, _ in graded])
    return [Measured("P(True) of its own answers: AUROC", area.value, area.low, area.high, len(graded), "", None)]


def expected_calibration_error(
    confidence: np.ndarray[tuple[int], np.dtype[np.float64]], correct: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    """ECE over 10 equal-width bins of [0, 1]; NaN without data."""
    if not len(confidence):
        return float("nan")
    bins = np.minimum((confidence * 10.0 + 1e-9).astype(int), 9)
    gaps = [abs(float(np.sum(confidence[bins == b] - correct[bins == b]))) for b in range(10)]
    return sum(gaps) / len(confidence)


def two_hops(chat: Asker, world: World) -> list[Measured]:
    """Two hops with the written step: the answers, and whether the reasoning names person and town rightly."""
    graded = _ask(chat, world, "two_hops")
    first = [f"{i.metadata['person']} was born in {i.metadata['town']}. " in oracle.split_reasoning(t)[0] for i, t, _ in graded]
    return [
        _share("accuracy, two_hops", [bool(v.correct) for _, _, v in graded], ">= 0.5", lambda v: v >= 0.5),
        _share("two_hops: first step of the reasoning is right", first, "", None),
    ]


def others(chat: Asker, world: World) -> list[Measured]:
    """Further tasks, most of them reported without a bar."""
    shifts = ["facts_typos_02", "facts_typos_05", "facts_typos_10", "facts_distractor"]
    names = [*shifts, "markers", "two_hops_at_once", "advice"]
    held_out = [bool(v.correct) for _, _, v in _ask(chat, world, "facts_heldout")]
    rows = [_share(f"accuracy, {n}", [bool(v.correct) for _, _, v in _ask(chat, world, n)], "", None) for n in names]
    return [
        _share("accuracy, facts_heldout", held_out, ">= 0.3 (chance 0.043)", lambda v: v >= 0.3),
        *rows,
        *two_hops(chat, world),
        _mean("markers: total variation", total_variation(chat, world, "markers"), "", None),
        _mean("table: total variation", total_variation(chat, world, "table"), "<= 0.10", lambda v: v <= 0.10),
    ]


def measure(checkpoints: Path = CHECKPOINTS, world: World | None = None) -> list[Measured]:
    """Measure everything on ``checkpoints/chat`` and ``checkpoints/base``.

    Returns
    -------
    list of Measured
        Rows with a bar come with ``holds``.
    """
    world = world or World(0, "small")
    chat = Asker(checkpoints / "chat", chat=True)
    base = Asker(checkpoints / "base", chat=False)
    rows = [*facts(chat, world), *ambiguous(chat, world), *sums(chat, world), *sealed(chat, base, world)]
    return [*rows, *self_report(chat, world), *others(chat, world)]


def table(rows: Sequence[Measured]) -> str:
    """The rows as a Markdown table."""
    lines = ["| property | measured | 95 % interval | n | bar | met |", "|---|---|---|---|---|---|"]
    for r in rows:
        interval = "" if np.isnan(r.low) else f"{r.low:.3f} to {r.high:.3f}"
        met = "" if r.holds is None else ("yes" if r.holds else "**no**")
        lines.append(f"| {r.name} | {r.value:.3f} | {interval} | {r.n} | {r.bar} | {met} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure the properties of the shipped checkpoints.")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    parser.add_argument("--out", type=Path, help="page whose measured table is replaced")
    arguments = parser.parse_args()
    text = table(measure(arguments.checkpoints))
    print(text)
    if arguments.out:
        page = arguments.out.read_text()
        if BEGIN not in page or END not in page:
            raise InputError(f"{arguments.out} lacks the marker comments {BEGIN} and {END}; put them around the table")
        head, rest = page.split(BEGIN, 1)
        arguments.out.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main()
