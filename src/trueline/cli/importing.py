"""`trueline import`: generations made elsewhere become a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trueline.cli.measure import Reasoning
from trueline.cli.progress import progress
from trueline.cli.terminal import EXIT_FAILED_ITEMS, Json, Mapped, SkipBad, mapping_of, out, plain, print_json, say


def import_(
    generations: Annotated[
        Path,
        typer.Argument(
            help="A .jsonl, .csv or .parquet file, one row an item or one a generation; a log of Inspect AI (.eval, .json); or "
            "samples_*.jsonl of lm-evaluation-harness."
        ),
    ],
    out_: Annotated[str, typer.Option("--out", help="Run directory to make.", show_default=False)],
    samples: Annotated[int | None, typer.Option(help="Keep the first so many samples of an item.", show_default=False)] = None,
    mapping: Mapped = None,
    skip_bad: SkipBad = False,
    grader: Annotated[str | None, typer.Option(help="How answers are graded when the file gives no labels.")] = None,
    estimators: Annotated[str, typer.Option(help="Scores to compute at once: all, none, or names with commas.")] = "all",
    reasoning: Reasoning = None,
    equivalence: Annotated[str | None, typer.Option(help="Judge of same meaning: exact, normalised, nli:PATH, llm:MODEL.")] = None,
    json_: Json = False,
) -> None:
    """Turn sampled texts, with or without log-probs, into a run that every later command reads.

    One row an item: id, question, reference, samples (list of texts), sample_logprobs, sample_reasoning, greedy, greedy_logprobs,
    greedy_reasoning, correct. One row a generation: item_id, text, reasoning, draw, kind, token_logprobs, correct.
    A log: --map says which score is the verdict (correct=NAME), and cluster, confidence, question, text.

    Example: trueline import answers.jsonl --out runs/answers --samples 10
    """
    from trueline.importing import import_generations

    with progress() as step:
        run = import_generations(
            generations, out_, mapping=mapping_of(mapping) or None, samples=samples, skip_bad=skip_bad, grader=grader,
            reasoning=reasoning, progress=step,
        )  # fmt: skip
        if estimators != "none":
            run.score(estimators, equivalence=equivalence)
    manifest = run.manifest
    counts = manifest["counts"]
    if json_:
        print_json({"run": str(run.path), **{k: manifest.get(k) for k in ("status", "task", "counts", "notes")}})
    else:
        out().print(plain(f"imported {counts['generations']:,} generations of {counts['items']:,} items into {run.path}"), soft_wrap=True)
        out().print(plain(f"next: trueline validate {run.path}"), soft_wrap=True)
    if counts["failed"]:
        say(f"{counts['failed']} items hold a generation without text")
        raise typer.Exit(EXIT_FAILED_ITEMS)
