"""The outputs of an item as RACE reads them: reasoning, answer, and later the steps."""

from __future__ import annotations

from dataclasses import dataclass, field

from trueline.estimators.inputs import generations
from trueline.tasks.thinking import Label
from trueline.traces.trace import Generations, Trace

MODES = ("trace", "cot", "direct")


@dataclass
class Output:
    """One output. ``steps`` are filled in by the extractor; an output without an answer has none."""

    reasoning: str
    answer: str
    steps: list[str] = field(default_factory=list)


@dataclass
class Talk:
    """A question, the main output and the samples that have an answer (which may be empty)."""

    item_id: str
    question: str
    main: Output
    samples: list[Output]


def talks(trace: Trace, mode: str, n_samples: int) -> dict[int, Talk]:
    """Item position -> its outputs, for the items whose main output has an answer; the first ``n_samples`` draws are read.

    mode: ``trace`` reads the columns reasoning and text; ``cot`` the same, or splits the text at its last ``Answer:`` where nothing was
    kept apart; ``direct`` takes the whole text as both. Raises ``MissingTraceField`` when the rows or the columns are not there.
    """
    greedy, samples = generations(trace, "greedy"), generations(trace, "sample")
    mains, drawn = _outputs(greedy, mode), _outputs(samples, mode)
    found: dict[int, Talk] = {}
    for row, output in enumerate(mains):
        if output is None:
            continue
        i = int(greedy.item[row])
        first = int(samples.offsets[i])
        kept = [o for o in drawn[first : min(first + n_samples, int(samples.offsets[i + 1]))] if o is not None]
        found[i] = Talk(trace.item_ids[i], trace.questions[i] if trace.questions else "", output, kept)
    return found


def _outputs(rows: Generations, mode: str) -> list[Output | None]:
    rows.require("text")
    if mode == "direct":
        return [None if text is None else Output(text, text) for text in rows.texts]
    if mode == "cot" and not rows.has("reasoning"):
        split = [None if text is None else Label().split(text) for text in rows.texts]
        return [None if s is None or s.answer is None else Output(s.reasoning or "", s.answer) for s in split]
    rows.require("reasoning")
    pairs = zip(rows.strings("reasoning"), rows.texts, strict=True)
    return [None if text is None or reasoning is None else Output(reasoning, text) for reasoning, text in pairs]
