"""The main path: plan -> capture -> score -> grade -> validate, into one run directory that can be taken up again at any point."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueline.capture.cluster import ClusterModel, RayEngine, load_engine, released
from trueline.capture.needs import Needs
from trueline.capture.planner import Plan, make_plan
from trueline.capturing import Progress, capture_run, check_cost, default_out
from trueline.errors import InputError
from trueline.estimators.base import Estimator
from trueline.items import canonical_of, choose
from trueline.models.base import Model, SamplingLaw
from trueline.run import Run, default_judge
from trueline.tasks.item import Task
from trueline.tasks.thinking import load_splitter
from trueline.traces.rundir import RunDirectory

if TYPE_CHECKING:
    from trueline.estimators.equivalence.base import Equivalence
    from trueline.estimators.similarity import Similarity
    from trueline.scoring import Truncated

#: Who says that answers mean the same, and how alike texts are.
Judges = tuple["str | Equivalence | None", "str | Similarity | None"]


def plan(
    model: str | Model,
    task: str | Task,
    estimators: str | Sequence[str] = "all",
    *,
    samples: int = 10,
    equivalence: str | Equivalence | None = None,
    similarity: str | Similarity | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    max_new_tokens: int | None = None,
    limit: int | None = None,
    reasoning: str | None = None,
    model_options: Mapping[str, object] | None = None,
    budget: str | None = None,
    engine: str | RayEngine = "local",
) -> Plan:
    """What ``measure`` with the same arguments would do, without running the model; a server is asked one question: what it can do."""
    law = check_law(temperature, top_p, top_k)
    loaded, asked, chosen = _load(model, task, estimators, limit, model_options, reasoning, engine)
    with released(asked):
        asked_for = _Asked(asked, chosen, loaded, samples, (equivalence, similarity), law, max_new_tokens, estimators != "all")
        return _plan(asked_for, budget)


def measure(
    model: str | Model,
    task: str | Task,
    estimators: str | Sequence[str] = "all",
    *,
    samples: int = 10,
    out: str | os.PathLike[str] | None = None,
    equivalence: str | Equivalence | None = None,
    similarity: str | Similarity | None = None,
    grader: str | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    max_new_tokens: int | None = None,
    limit: int | None = None,
    batch_size: int = 64,
    reasoning: str | None = None,
    model_options: Mapping[str, object] | None = None,
    max_cost: float | None = None,
    retry_failed: bool = False,
    budget: str | None = None,
    engine: str | RayEngine = "local",
    allow_exec: bool = False,
    truncated: Truncated = "keep",
    validate: bool = True,
    on_plan: Callable[[Plan], None] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Ask a model the questions of a task and score how certain each answer is.

    Parameters
    ----------
    model, task : URIs (``"hf:PATH"``, ``"world:chat"``; ``"file.csv"``, ``"world:facts"``) or loaded objects.
    estimators : ``"all"`` (those that model and settings cannot serve are left out with a reason) or a list of names.
    samples : sampled answers an item beside the greedy one.
    out : run directory, or a URL that fsspec opens (``s3://bucket/run``); default ``runs/<model>-<task>``. An unfinished run with the same
        settings goes on where it stopped.
    equivalence : judge of same meaning: ``exact``, ``normalised``, ``oracle``, ``nli:PATH``, ``llm:MODEL``, or a loaded one.
    similarity : how alike texts are: ``char3`` (spelling), ``cross:DIR``, ``encoder:DIR``, ``bertscore:DIR``, or a loaded one.
    grader : how answers are graded; default: the task's own.
    seed, temperature, top_p, top_k : sampling law; each draw has its own seed, so batch size and order change nothing.
    limit : a fixed pseudo-random sample of so many items, in task order.
    batch_size : generations decoded together.
    reasoning : how reasoning is told from the answer: ``auto`` (``<think>`` tags where there are some), ``think`` (an output whose thinking
        never ends has no answer), ``tags:OPEN,CLOSE``, ``cot``, ``regex:PATTERN``, ``none``; default: the task's own.
    model_options : options of the model's loader, such as ``device`` of ``hf:`` or ``base_url`` and ``concurrency`` of ``openai:``.
    max_cost : a server's prices given (``price_prompt``, ``price_completion``), stop before the run costs more than this.
    retry_failed : what failed in an earlier try is asked again, and takes the place of the error; what succeeded is not asked again.
    budget : ``"calls=12"`` (decodes, probes and forward passes an item) or ``"seconds=60"`` (for the capture, by a short trial; no
        models behind a server): the estimators that fit are chosen, the others left out with the reason.
    engine : ``"local"``, ``"ray"``, or a ``RayEngine``: worker processes of a cluster load the model, named by its URI, and answer shards.
    allow_exec : programs that the model wrote may be run to grade them, each isolated from this machine (``code:`` tasks).
    truncated : ``keep``, ``nan`` or ``refuse``: answers that were cut at ``max_new_tokens``, see ``Run.score``.
    on_plan : called with the plan before the model is asked anything. progress : called with (step, done, total).

    Raises
    ------
    InputError : settings or data cannot be used. SettingsMismatch : ``out`` holds a run with other settings.
    RunLocked : another process writes to ``out``. BudgetReached : ``max_cost`` ended the capture.
    StorageError : the disk is full; all finished shards are kept.
    """
    from trueline.scoring import check_truncated
    from trueline.tasks.graders import load_grader

    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    check_truncated(truncated)
    law = check_law(temperature, top_p, top_k)
    loaded, asked, chosen = _load(model, task, estimators, limit, model_options, reasoning, engine)
    load_grader(grader or chosen.grader, chosen, allow_exec=allow_exec)  # a grader that cannot be had is reported before the model is asked
    with released(asked):
        check_cost(asked, max_cost)
        directory = RunDirectory(out if out is not None else default_out(asked.uri, chosen.name))
        asked_for = _Asked(asked, chosen, loaded, samples, (equivalence, similarity), law, max_new_tokens, estimators != "all")
        made = _plan(asked_for, budget, batch_size, directory)
        judges = _judges(made, chosen, equivalence, similarity)
        if on_plan is not None:
            on_plan(made)
        shared: dict[str, Any] = {"seed": seed, "limit": limit, "batch_size": batch_size, "max_cost": max_cost, "progress": progress}
        run = capture_run(asked, chosen, made, out=directory.where, retry_failed=retry_failed, **shared)
    names = "all" if estimators == "all" and budget is None else _names(made, run, retry_failed)
    return _evaluated(run, names, judges, truncated, validate, lambda: run.grade(grader, allow_exec=allow_exec))


def _names(made: Plan, run: Run, retried: bool) -> tuple[str, ...]:
    """What is scored; after a retry also what was before, whose scores would stand beside answers that are new."""
    earlier = [name for name, entry in run.score_info.items() if "left_out" not in entry] if retried else []
    return tuple(dict.fromkeys([*made.estimators, *earlier]))


def _judges(made: Plan, task: Task, equivalence: str | Equivalence | None, similarity: str | Similarity | None) -> Judges:
    """What the plan names, loaded: what cannot be had is reported before the model is asked."""
    from trueline.estimators.loading import load_equivalence, load_similarity

    if made.judge and isinstance(equivalence, str | None):
        equivalence = load_equivalence(made.judge, canonical=canonical_of(task))
    if made.similarity and isinstance(similarity, str | None):
        similarity = load_similarity(made.similarity)
    return equivalence, similarity


def _evaluated(
    run: Run, estimators: str | Sequence[str], judges: Judges, truncated: Truncated, validate: bool, grade: Callable[[], object]
) -> Run:
    scored = bool(estimators)  # a capture to fit on may have nothing to score
    if scored:
        run.score(estimators, equivalence=judges[0], similarity=judges[1], truncated=truncated)
    grade()
    if scored and validate:
        run.validate()
    return run


def check_law(temperature: float, top_p: float, top_k: int) -> SamplingLaw:
    """The sampling law, or ``InputError`` when it is none."""
    if not 0 < temperature < float("inf"):
        raise InputError(f"temperature must be above 0 and finite, got {temperature}; the greedy answer is always taken as well")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p must be in (0, 1], got {top_p}")
    if top_k < 0:
        raise InputError(f"top_k must be 0 (off) or more, got {top_k}")
    return SamplingLaw(float(temperature), float(top_p), int(top_k))


def _load(
    model: str | Model,
    task: str | Task,
    estimators: str | Sequence[str],
    limit: int | None,
    options: Mapping[str, object] | None,
    reasoning: str | None,
    engine: str | RayEngine,
) -> tuple[dict[str, Estimator], Model, Task]:
    from trueline.estimators.loading import load_estimators
    from trueline.models.loading import load_model
    from trueline.tasks.loading import load_task

    loaded = load_estimators(estimators)  # first: a misspelt name is reported before a model is loaded
    chosen = load_task(task) if isinstance(task, str) else task
    if reasoning is not None:
        chosen = dataclasses.replace(chosen, reasoning=reasoning)
    load_splitter(chosen.reasoning)
    if options and not isinstance(model, str):
        raise InputError("model_options are for a model named by its URI; this one is loaded already")
    cluster = load_engine(engine)
    if cluster is None:
        asked = load_model(model, **(options or {})) if isinstance(model, str) else model
    elif isinstance(model, str):
        asked = ClusterModel(model, options or {}, cluster)
    else:
        raise InputError("the workers of a cluster load the model: name it by its URI, this one is loaded already")
    if (item := next((item for item in chosen.items if item.images), None)) and "images" not in asked.capabilities:
        raise InputError(f"item {item.id!r} of {chosen.name} holds images, and {asked.uri} reads text alone; give a vision-language model")
    return loaded, asked, choose(chosen, limit)


@dataclass(frozen=True)
class _Asked:
    """What the caller wants planned."""

    model: Model
    task: Task
    estimators: Mapping[str, Estimator]
    samples: int
    judges: Judges
    law: SamplingLaw
    max_new_tokens: int | None
    strict: bool

    @property
    def needs(self) -> dict[str, Needs]:
        return {name: estimator.needs for name, estimator in self.estimators.items()}

    def plan(self, needs: Mapping[str, Needs], samples: int, *, strict: bool = False) -> Plan:
        """A plan for these needs and so many samples."""
        model, task = self.model, self.task
        return make_plan(
            model=model.uri,
            capabilities=model.capabilities,
            task=task.name,
            n_items=len(task.items),
            needs=needs,
            n_samples=samples,
            law=self.law,
            max_new_tokens=self.max_new_tokens or task.max_new_tokens,
            judge=_name(self.judges[0]) or default_judge(task),
            similarity=_name(self.judges[1]) or "char3",
            strict=strict,
            shape=getattr(model, "shape", None),
            reasoning=task.reasoning,
            decoding=getattr(model, "decoding", None),
        )


def _plan(asked: _Asked, budget: str | None, batch_size: int = 64, directory: RunDirectory | None = None) -> Plan:
    if budget is None:
        return asked.plan(asked.needs, asked.samples, strict=asked.strict)
    from trueline.capture.budget import calls_in, fit_to_calls, parse_budget, trial

    limit = parse_budget(budget)
    begun = directory.read_json("run.json") if directory is not None else None
    if begun is not None and begun.get("plan", {}).get("budget") == str(limit):  # a trial must not change a run that was begun
        needs = {name: need for name, need in asked.needs.items() if name in begun["plan"]["estimators"]}
        made = asked.plan(needs, begun["settings"]["samples"])
        return dataclasses.replace(made, budget=str(limit), left_out=begun["plan"]["left_out"])
    if limit.calls is not None:
        calls = limit.calls
    elif "token_stats" not in asked.model.capabilities:
        raise InputError("a budget in seconds is for models that run here; for a server give calls=N, or --max-cost")
    else:
        whole, model = asked.plan(asked.needs, asked.samples), asked.model
        tried = (asked.task, whole, batch_size)
        trials = model.trials(*tried) if isinstance(model, ClusterModel) else [trial(model, *tried)]
        calls = calls_in(limit.seconds or 0.0, trials, len(asked.task.items))
    return dataclasses.replace(fit_to_calls(asked.plan, asked.needs, asked.samples, calls), budget=str(limit))


def _name(judge: str | Equivalence | Similarity | None) -> str | None:
    return judge if isinstance(judge, str | None) else judge.name
