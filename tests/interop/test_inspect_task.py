"""Tasks of trueline in Inspect, and back: the same prompts, answers, seeds and grades as `trueline measure`."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from inspect_known import inspect_runs, run_inspect
from inspect_logs import output

import trueline as tl
from trueline.errors import InputError
from trueline.interop.inspect_messages import COMPLETION
from trueline.interop.inspect_task import inspect_task, law_of, rate
from trueline.models.base import Generation, RequestResult
from trueline.tasks.item import Item, Task

ROOT = Path(__file__).parents[2]


def rows(run: tl.Run) -> pl.DataFrame:
    frame = pl.from_arrow(run.trace().table)
    assert isinstance(frame, pl.DataFrame)
    return frame


@inspect_runs
@pytest.mark.parametrize("model", ["world:chat", "world:base"])
def test_inspect_finds_what_measure_finds(model: str, tmp_path: Path) -> None:
    log = run_inspect(inspect_task("world:facts", samples=3, limit=12), f"trueline/{model}", tmp_path / "logs")
    ours = tl.measure(model, "world:facts", ["semantic_entropy"], samples=3, limit=12, out=tmp_path / "measured")
    theirs = tl.import_generations(log.location, tmp_path / "imported")
    same = ["item_id", "item_index", "kind", "draw", "text", "seed", "temperature", "n_tokens"]
    assert rows(theirs).select(same).equals(rows(ours).select(same))
    logprobs = [np.concatenate(rows(run)["token_logprobs"].to_list()) for run in (theirs, ours)]
    assert np.abs(logprobs[0] - logprobs[1]).max() < 1e-4  # the batch differs
    graded = ["item_id", "correct", "refused", "answer", "probability"]
    greedy = theirs.grades.filter(pl.col("kind") == "greedy")
    assert greedy.select(graded).equals(ours.grades.select(graded))
    known = ["item_id", "question", "cluster", "metadata", *(c for c in ours.items.columns if c.startswith("truth_"))]
    assert theirs.items.select(known).equals(ours.items.select(known))
    metrics = {name: m.value for name, m in log.results.scores[0].metrics.items()}
    headline = ours.validate(n_boot=20)["headline"]["accuracy"]
    assert metrics["accuracy"] == pytest.approx(headline["value"])
    assert (metrics["accuracy_low"], metrics["accuracy_high"]) == pytest.approx((headline["low"], headline["high"]))
    scores = [
        run.score("semantic_entropy", equivalence="normalised", replace=True)["semantic_entropy"].to_numpy() for run in (ours, theirs)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)
    compared = tl.compare_runs([ours, theirs], n_boot=20)
    assert compared["n_common"] == 12
    assert all(row["value"] == pytest.approx(0, abs=1e-4) for row in compared["differences"])


@inspect_runs
def test_audits_of_repeated_answers_read_the_imported_log(tmp_path: Path) -> None:
    log = run_inspect(inspect_task("world:facts?wordings=case", samples=4, limit=16), "trueline/world:chat", tmp_path / "logs")
    ours = tl.measure(
        "world:chat", "world:facts?wordings=case", ["semantic_entropy"], samples=4, limit=16, out=tmp_path / "m", validate=False
    )
    theirs = tl.import_generations(log.location, tmp_path / "imported")
    for audit in (tl.audit_errors, tl.audit_distribution):
        found = [audit(run, equivalence="normalised", n_boot=20) for run in (ours, theirs)]
        for document in found:
            for name in ("run", "model", "task", "grader"):
                document.pop(name, None)
        assert found[0].keys() == found[1].keys()
        assert _numbers(found[0]) == pytest.approx(_numbers(found[1]), nan_ok=True)
        assert len(_numbers(found[0])) > 20


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for key in sorted(value, key=str) for n in _numbers(value[key])]
    if isinstance(value, list):
        return [n for part in value for n in _numbers(part)]
    return [float(value)] if isinstance(value, int | float) else []


@inspect_runs
def test_what_cannot_be_judged_is_unscored_and_a_reasoning_that_never_ends_has_no_answer(tmp_path: Path) -> None:
    from inspect_ai.model import get_model

    items = [Item("a", "2 + 2?", references=("4",)), Item("b", "Any?"), Item("c", "3 + 3?", references=("6",), cluster="x")]
    task = Task("mine", items, reasoning="think", grader="exact")
    outputs = [output(text) for text in ("<think>two</think> 4", "<think>x</think> what", "<think>and so on")]
    log = run_inspect(inspect_task(task), get_model("mockllm/model", custom_outputs=outputs), tmp_path / "logs")  # type: ignore[arg-type]
    metrics = {name: m.value for name, m in log.results.scores[0].metrics.items()}
    assert metrics["accuracy"] == 1
    run = tl.import_generations(log.location, tmp_path / "run")
    assert run.grades["correct"].to_list() == [True, None, None]
    assert run.grades["reason"].to_list() == [None, "no reference answer", "no answer: its reasoning never ends"]
    assert rows(run)["reasoning"].to_list()[:2] == ["two", "x"]


@inspect_runs
def test_the_model_for_any_task_of_inspect(tmp_path: Path) -> None:
    from inspect_ai import Task as InspectTask
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.scorer import includes

    def log(**config: Any) -> Any:
        data = MemoryDataset([Sample(input="Where was Foverev born?", target="by")])
        task = InspectTask(dataset=data, scorer=includes(), epochs=4, config=GenerateConfig(**config))
        return run_inspect(task, get_model("trueline/world:chat", memoize=False), tmp_path / "logs")

    drawn = [sample.output.completion for sample in log(temperature=3.0, num_choices=2, max_tokens=8).samples]
    assert len(set(drawn)) > 1  # each draw has a seed of its own
    assert drawn == [sample.output.completion for sample in log(temperature=3.0, num_choices=2, max_tokens=8).samples]
    cold = log(temperature=0.0, logprobs=True, top_logprobs=3, stop_seqs=["."])
    assert len({sample.output.completion for sample in cold.samples}) == 1
    first = cold.samples[0].output.choices[0].logprobs.content[0]
    assert len(first.top_logprobs) == 3
    assert first.top_logprobs[0].logprob == pytest.approx(first.logprob)
    assert cold.samples[0].output.usage.input_tokens > 0


class Counting:
    """A model that notes how many requests come together; it fails on one kind of them."""

    uri = "test:counting"
    capabilities = frozenset({"greedy", "samples", "chat"})

    def __init__(self) -> None:
        self.batches: list[int] = []

    def generate(self, requests: Any, settings: Any) -> list[RequestResult]:
        self.batches.append(len(requests))
        if settings.max_new_tokens == 3:
            raise InputError("three tokens are too few")
        return [RequestResult(Generation(f"re {r.prompt.text}")) for r in requests]


def test_requests_that_wait_are_answered_together(monkeypatch: pytest.MonkeyPatch) -> None:
    import anyio
    from inspect_ai.model import ChatMessageUser, GenerateConfig

    from trueline.interop import inspect_model

    model = Counting()
    monkeypatch.setattr(inspect_model, "load_model", lambda name, **options: model)
    api = inspect_model.TruelineAPI("test:counting")
    found: dict[int, str] = {}

    async def ask(k: int, tokens: int = 8) -> None:
        try:
            config = GenerateConfig(temperature=0.0, max_tokens=tokens)
            found[k] = (await api.generate([ChatMessageUser(content=f"{k}")], [], "none", config)).completion
        except InputError as error:
            found[k] = str(error)

    async def all_of_them() -> None:
        async with anyio.create_task_group() as group:
            for k in range(200):
                group.start_soon(ask, k, 3 if k % 50 == 49 else 8)

    for _ in range(2):  # a model outlives the event loop of an evaluation
        found.clear()
        anyio.run(all_of_them)
        assert found == {k: "three tokens are too few" if k % 50 == 49 else f"re {k}" for k in range(200)}
    assert sum(model.batches) == 400
    assert max(model.batches) == 64
    assert len(model.batches) < 20


def test_the_law_of_each_epoch() -> None:
    assert law_of(1, "a", 0.7, 0) == {"kind": "greedy", "draw": 0}
    from trueline.capture.engine import draw_seed

    drawn = {"kind": "sample", "draw": 1, "temperature": 0.7, "top_p": 1.0, "top_k": 0, "seed": draw_seed(5, "a", 1)}
    assert law_of(3, "a", 0.7, 5) == drawn


def test_intervals_follow_clusters_and_missing_values_are_counted() -> None:
    alone = rate("accuracy", [1, 1, 0, 0, math.nan], [None] * 5)
    assert (alone["accuracy"], alone["accuracy_n"], alone["accuracy_missing"]) == (0.5, 4, 1)
    tied = rate("accuracy", [1, 1, 0, 0] * 10, [c for c in "aabb" for _ in range(10)])
    free = rate("accuracy", [1, 1, 0, 0] * 10, [None] * 40)
    assert tied["accuracy"] == free["accuracy"]
    assert math.isnan(rate("x", [math.nan], [None])["x"])


def test_samples_carry_prompts_clusters_and_truth() -> None:
    task = inspect_task("world:facts", samples=2, limit=5)
    (sample, *_) = task.dataset
    assert len(task.dataset) == 5
    assert task.epochs == 3
    known = sample.metadata["trueline"]
    assert set(known) == {"question", "cluster", "truth"}
    assert sample.input[-1].metadata[COMPLETION].endswith("Answer:")
    assert sample.input[-1].text == known["question"]
    assert task.config.max_tokens == tl.load_task("world:facts").max_new_tokens


def test_the_entry_point_names_the_registry() -> None:
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["inspect_ai"]
    assert entry == {"trueline": "trueline.inspecting"}
    from inspect_ai._util.registry import registry_lookup

    from trueline.inspecting import AUDITS, UNASKED

    for name in ("measure", *AUDITS, *UNASKED):
        assert registry_lookup("task", f"trueline/{name}") is not None
    assert registry_lookup("modelapi", "trueline/trueline") is not None


def test_settings_that_make_no_task() -> None:
    with pytest.raises(InputError, match="samples must be 0 or more"):
        inspect_task("world:facts", samples=-1)
    with pytest.raises(InputError, match="temperature must be above 0"):
        inspect_task("world:facts", temperature=0)
    with pytest.raises(InputError, match="unknown grader"):
        inspect_task("world:facts", grader="normalized")
