"""Tasks of trueline as tasks of Inspect AI: the same items, prompts, seeds and grading, and metrics with intervals.

The log of such a task can be imported again (`trueline import`) and then holds what `trueline measure` would have captured of answers,
grades, clusters and known truths; an audit of repeated answers reads it like any other run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from trueline.capture.engine import draw_seed
from trueline.capture.probes import answer_prompt
from trueline.capture.separate import separate
from trueline.errors import InputError, MissingExtra
from trueline.interop.inspect_messages import messages_of
from trueline.interop.logs import OWN
from trueline.items import choose
from trueline.models.base import Generation
from trueline.tasks.graders import load_grader
from trueline.tasks.item import Grade, Grader, Item, Task
from trueline.tasks.loading import load_task
from trueline.tasks.thinking import Splitter, load_splitter

if TYPE_CHECKING:
    import inspect_ai
    from inspect_ai.dataset import Sample


def inspect_task(
    task: str | Task,
    *,
    samples: int = 0,
    temperature: float = 1.0,
    seed: int = 0,
    limit: int | None = None,
    grader: str | Grader | None = None,
    logprobs: bool = True,
    max_new_tokens: int | None = None,
    allow_exec: bool = False,
) -> inspect_ai.Task:
    """A task of trueline as a task of Inspect AI, for `inspect_ai.eval` with any of its models.

    Parameters
    ----------
    task : a URI (``world:facts``, a file, ...) or a loaded task.
    samples, temperature, seed : as in `measure`: the first epoch is the greedy answer (temperature 0), each further one a sample whose seed
        follows from ``seed``, the item and the draw.
    limit : a fixed pseudo-random sample of so many items, the one that `measure` takes.
    grader, allow_exec, max_new_tokens : as in `measure`; the text is graded without its reasoning.
    logprobs : ask for the log-probs of the answer's tokens.

    Raises
    ------
    MissingExtra : Inspect AI is not installed. InputError : as `load_task` and `load_grader`, or ``samples`` below 0.
    """
    if samples < 0:
        raise InputError(f"samples must be 0 or more, got {samples}")
    if not 0 < temperature < math.inf:
        raise InputError(f"temperature must be above 0 and finite, got {temperature}; the greedy answer is always taken as well")
    _inspect()
    from inspect_ai import Epochs
    from inspect_ai import Task as InspectTask
    from inspect_ai.dataset import MemoryDataset
    from inspect_ai.model import GenerateConfig

    from trueline.interop.inspect_registry import answers, first_answer, graded

    chosen = choose(load_task(task) if isinstance(task, str) else task, limit)
    judge = load_grader(grader or chosen.grader, chosen, allow_exec=allow_exec)
    items = {item.id: item for item in chosen.items}
    config = GenerateConfig(
        max_tokens=max_new_tokens or chosen.max_new_tokens, stop_seqs=list(chosen.stop) or None, logprobs=True if logprobs else None
    )
    return InspectTask(
        dataset=MemoryDataset([sample_of(item, chosen) for item in chosen.items], name=chosen.name),
        solver=answers(temperature=temperature, seed=seed),
        scorer=graded(Graded(items, judge, load_splitter(chosen.reasoning))),
        epochs=Epochs(samples + 1, first_answer()),
        config=config,
        fail_on_error=1 - 0.5 / (len(chosen.items) * (samples + 1)),  # an item that fails is kept with its error, unless all of them do
        name=chosen.name.replace(":", "-").replace("/", "-"),
        version=chosen.version,
        metadata={"trueline_task": chosen.name},
    )


def sample_of(item: Item, task: Task) -> Sample:
    """An item as a sample: its prompt as chat turns, and what is known of it under one key of the metadata."""
    from inspect_ai.dataset import Sample

    turns = messages_of(answer_prompt(item, task))
    known = {"question": item.question, "cluster": item.cluster, "truth": dict(item.truth)}
    return Sample(id=item.id, input=turns, target=list(item.references), metadata={**item.metadata, OWN: known})


def law_of(epoch: int, item_id: str, temperature: float, seed: int) -> dict[str, Any]:
    """Kind, draw and sampling law of one epoch: the greedy answer first, then the samples of `measure`."""
    if epoch == 1:
        return {"kind": "greedy", "draw": 0}
    draw = epoch - 2
    return {"kind": "sample", "draw": draw, "temperature": temperature, "top_p": 1.0, "top_k": 0, "seed": draw_seed(seed, item_id, draw)}


class Graded:
    """Grades outputs as `Run.grade` does."""

    def __init__(self, items: Mapping[str, Item], judge: Grader, splitter: Splitter) -> None:
        self.items, self.judge, self.splitter = items, judge, splitter
        self._one_at_a_time = Lock()

    def __call__(self, item_id: str, text: str, reasoning: str | None, finish: str | None) -> Grade:
        """The verdict on one output."""
        made = separate(Generation(text, reasoning=reasoning, finish_reason=finish), self.splitter)
        if made.error is not None:
            return Grade(None, reason=made.error)
        item, answer = self.items[item_id], made.text.strip()
        with self._one_at_a_time:
            many = getattr(self.judge, "grade_many", None)
            found: Grade = self.judge(item, answer) if many is None else many([item], [answer])[0]
        return found


def rate(name: str, values: Sequence[float], clusters: Sequence[str | None]) -> dict[str, float]:
    """The mean of 0/1 values as ``name``, with its 95 % interval beside it; NaN values are missing and counted.

    Items that share a cluster are not independent; None is a cluster of its own.
    """
    from trueline.metrics import accuracy

    kept = [(v, c if c is not None else f"\0{k}") for k, (v, c) in enumerate(zip(values, clusters, strict=True)) if not math.isnan(v)]
    missing = len(values) - len(kept)
    if not kept:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan, f"{name}_n": 0, f"{name}_missing": missing}
    labels = [c for _, c in kept]
    estimate = accuracy([v for v, _ in kept], clusters=labels if len(set(labels)) < len(labels) else None)
    found = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return {**found, f"{name}_n": len(kept), f"{name}_missing": missing}


def _inspect() -> None:
    try:
        import inspect_ai  # noqa: F401
    except ImportError as error:
        raise MissingExtra("tasks of Inspect AI need the package inspect_ai; pip install 'trueline[inspect]'") from error
