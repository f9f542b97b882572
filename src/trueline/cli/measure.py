"""`trueline measure`: ask a model the questions of a task and score how certain its answers are."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from trueline.cli.progress import progress
from trueline.cli.terminal import (
    EXIT_FAILED_ITEMS,
    Alike,
    Json,
    Mapped,
    SkipBad,
    Tracked,
    TruncatedOption,
    check_store,
    mapping_of,
    out,
    plain,
    print_json,
    print_metrics,
    print_plan,
    say,
    track,
)
from trueline.errors import InputError

ModelArgument = Annotated[
    str, typer.Argument(help="world:chat, hf:PATH_OR_ID for a local or hub checkpoint, or openai:NAME on a server.", show_default=False)
]
TaskArgument = Annotated[
    str, typer.Argument(help="world:facts, a .jsonl, .csv or .parquet file of questions, or hf-dataset:NAME.", show_default=False)
]
OutOption = Annotated[
    str | None,
    typer.Option("--out", help="Run directory or URL (s3://BUCKET/RUN); default runs/MODEL-TASK. An unfinished run there goes on."),
]
AllowExec = Annotated[
    bool, typer.Option("--allow-exec", help="Run the programs that the model writes, isolated, to grade them (code: tasks).")
]
BaseUrl = Annotated[str | None, typer.Option(help="Of the server of openai:NAME (default: OPENAI_BASE_URL).", show_default=False)]
ModelOption = Annotated[
    list[str] | None,
    typer.Option("--model-option", "-O", metavar="NAME=VALUE", help="An option of the model's loader, such as concurrency=64. Repeatable."),
]
BudgetOption = Annotated[
    str | None, typer.Option(metavar="calls=N|seconds=S", help="Choose the estimators that so many calls an item, or seconds, can buy.")
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Ask again what failed in an earlier try of this command; what succeeded is kept.")
]
Engine = Annotated[str, typer.Option(help="local, or ray: workers of a cluster load the model.")]
EngineOption = Annotated[
    list[str] | None,
    typer.Option("--engine-option", "-E", metavar="NAME=VALUE", help="An option of the ray engine, such as workers=4. Repeatable."),
]
Reasoning = Annotated[
    str | None,
    typer.Option(
        help="How reasoning is told from the answer: auto (<think> tags where there are any), think, tags:OPEN,CLOSE, cot, regex:, none.",
        show_default=False,
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(help="Stop before a server costs more; prices by -O price_prompt=, -O price_completion= a million tokens."),
]


def measure(
    model: ModelArgument,
    task: TaskArgument,
    estimators: Annotated[str, typer.Option(help="all, or names with commas: sequence_nll,semantic_entropy.")] = "all",
    samples: Annotated[int, typer.Option(help="Sampled answers an item, beside the greedy one.")] = 10,
    out_: OutOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print what would be done and what it costs, then stop.")] = False,
    mapping: Mapped = None,
    skip_bad: SkipBad = False,
    equivalence: Annotated[str | None, typer.Option(help="Judge of same meaning: exact, normalised, oracle, nli:PATH, llm:MODEL.")] = None,
    similarity: Alike = None,
    grader: Annotated[str | None, typer.Option(help="exact, normalised, contains, numeric:TOL, regex:PATTERN, choice, ...")] = None,
    temperature: Annotated[float, typer.Option(help="Of the samples; 1 is the model's own law.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="Of the samples; 1 is off.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Of the samples; 0 is off.")] = 0,
    max_new_tokens: Annotated[int | None, typer.Option(help="Most tokens of an answer (default: the task's).", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Measure a fixed sample of so many items.", show_default=False)] = None,
    batch_size: Annotated[int, typer.Option(help="Generations decoded together; changes speed, never content.")] = 64,
    reasoning: Reasoning = None,
    base_url: BaseUrl = None,
    model_option: ModelOption = None,
    max_cost: MaxCost = None,
    retry_failed: RetryFailed = False,
    budget: BudgetOption = None,
    engine: Engine = "local",
    engine_option: EngineOption = None,
    allow_exec: AllowExec = False,
    truncated: TruncatedOption = "keep",
    mlflow: Tracked = None,
    json_: Json = False,
) -> None:
    """Ask a model the questions of a task; score how certain each answer is.

    The plan comes first: which estimators the budget buys, what is captured, how many model calls.

    Example: trueline measure world:chat world:facts --samples 10 --out runs/facts
    """
    from trueline.measuring import measure as run_measure
    from trueline.measuring import plan as make_plan
    from trueline.tasks.loading import load_task

    chosen = load_task(task, mapping=mapping_of(mapping) or None, skip_bad=skip_bad, grader=grader)
    shared: dict[str, Any] = {"samples": samples, "equivalence": equivalence, "similarity": similarity, "limit": limit, "budget": budget}
    shared |= {"max_new_tokens": max_new_tokens, "model_options": options_of(model_option, base_url=base_url) or None}
    shared |= {"engine": _engine(engine, engine_option), "temperature": temperature, "top_p": top_p, "top_k": top_k, "reasoning": reasoning}
    if plan:
        _show_plan(make_plan(model, chosen, estimators, **shared), json_)
        return
    shared |= {"out": out_, "seed": seed, "batch_size": batch_size, "max_cost": max_cost, "retry_failed": retry_failed}
    shared |= {"allow_exec": allow_exec, "truncated": truncated, "on_plan": None if json_ else _show_plan}
    check_store(mlflow)  # before anything is paid
    with progress() as step:
        run = run_measure(model, chosen, estimators, progress=step, **shared)
    track(run, mlflow)
    finish(run, json_)


def _show_plan(made: Any, json_: bool = False) -> None:
    print_json(made.to_json()) if json_ else print_plan(made)


def _engine(name: str, options: list[str] | None) -> Any:
    from trueline.capture.cluster import load_engine

    return load_engine(name, **options_of(options, "--engine-option")) or "local"


def options_of(given: list[str] | None, flag: str = "--model-option", *, base_url: str | None = None) -> dict[str, object]:
    """``NAME=VALUE`` options; a value is read as JSON where it is JSON, else as text. ``base_url``: the one with a flag of its own."""
    options: dict[str, object] = {}
    for entry in given or ():
        name, equals, text = entry.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"{flag} {entry!r} must be NAME=VALUE")
        try:
            options[name] = json.loads(text)
        except ValueError:
            options[name] = text
    return options | ({"base_url": base_url} if base_url else {})


def finish(run: Any, json_: bool) -> None:
    """Show what a run found; exit code 3 when some of its items failed."""
    manifest, document, where = run.manifest, run.metrics, run.directory.where
    failed = manifest.get("counts", {}).get("failed", 0)
    if json_:
        keys = ("status", "model", "task", "settings", "counts", "plan")
        print_json({"run": where, **{k: manifest.get(k) for k in keys}, "metrics": document})
    else:
        if document is not None:
            print_metrics(document)
        out().print(plain(f"run: {where}   report: trueline report {where}"), soft_wrap=True)
    if endless := manifest.get("unclosed"):
        shown = ", ".join(endless[:5]) + (", ..." if len(endless) > 5 else "")
        say(f"{len(endless)} items have no answer, for their reasoning never ends: {shown}; a larger --max-new-tokens gives it room")
    if failed:
        where = f"the `error` column of {run.directory.trace_dir}"
        say(f"{failed} of {manifest['counts']['items']} items failed: {_reasons(run)}")
        say(f"each error: {where}; --retry-failed asks again")
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _reasons(run: Any) -> str:
    """Why generations failed, the most frequent reason first and in full."""
    counted = run.failures["error"].value_counts(sort=True)
    first = " ".join(counted["error"][0].split())
    others = len(counted) - 1
    return (first if len(first) <= 200 else first[:197] + "...") + (
        f", and {others} other reasons" if others > 1 else ", and another reason" * others
    )
