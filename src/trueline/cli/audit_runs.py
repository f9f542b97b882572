"""`trueline audit errors` and `trueline audit distribution`: what the repeated answers of a run say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, ReportFile, bare_table, interval, out, plain, print_json, say

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory with two samples an item or more.", show_default=False)]
GraderOption = Annotated[str | None, typer.Option(help="Judges every sample. Default: the run's own.", show_default=False)]
EquivalenceOption = Annotated[
    str | None, typer.Option(help="Which answers mean the same: exact, normalised, oracle, nli:PATH, llm:MODEL.", show_default=False)
]
Level = Annotated[float, typer.Option(help="Coverage of the intervals.")]
Replicates = Annotated[int, typer.Option(help="Bootstrap replicates.")]
Seed = Annotated[int, typer.Option(help="Seed of the bootstrap.")]


def errors(
    run: RunArgument,
    by: Annotated[
        str, typer.Option(help="Group items by mean length (tokens, words, reasoning, answer) or by a metadata column such as steps.")
    ] = "tokens",
    groups: Annotated[int, typer.Option(help="Groups of equal size, where a column does not make its own.")] = 5,
    loss: Annotated[str, typer.Option(help="brier, or brier,kl.")] = "brier",
    split: Annotated[
        str | None,
        typer.Option(help="Length by which samples are split inside items. Default: that of --by, or tokens.", show_default=False),
    ] = None,
    ensembles: Annotated[str | None, typer.Option(metavar="SIZES", help="Ensemble sizes with commas: 1,2,4.", show_default=False)] = None,
    grader: GraderOption = None,
    equivalence: EquivalenceOption = None,
    level: Level = 0.95,
    n_boot: Replicates = 1000,
    seed: Seed = 0,
    report: ReportFile = None,
    json_: Json = False,
) -> None:
    """Is the error systematic or incoherent: the same wrong answer each time, or another one?

    Bias and variance are unbiased estimates, so groups and runs with different numbers of samples can be compared.

    Example: trueline audit errors runs/sums --by steps --report errors.html
    """
    from trueline.audits import audit_errors

    document = audit_errors(
        run,
        by=by,
        n_groups=groups,
        losses=[part.strip() for part in loss.split(",")],
        split=split,
        ensemble_sizes=_integers("--ensembles", ensembles) if ensembles else (),
        grader=grader,
        equivalence=equivalence,
        level=level,
        n_boot=n_boot,
        seed=seed,
    )
    _finish(document, json_, report, _print_errors)


def distribution(
    run: RunArgument,
    ks: Annotated[str | None, typer.Option(help="Numbers of samples with commas. Default: 1,5,10,20,50,100 as far as they go.")] = None,
    options: Annotated[
        int | None, typer.Option(help="Options of a multiple-choice task: shows a guesser's curve.", show_default=False)
    ] = None,
    paths: Annotated[str, typer.Option(help="What tells reasoning paths apart: equations, text, or auto.")] = "auto",
    wording: Annotated[str, typer.Option(metavar="COL", help="Metadata column, equal for wordings of one question.")] = "wording_group",
    harm: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="wrong; a table of item_id, draw, harm (and kind: greedy); or a grader whose 'right' means harmful: regex:PATTERN.",
            show_default=False,
        ),
    ] = None,
    false_positive_rate: Annotated[float | None, typer.Option(help="Share of harmless answers it flags.", show_default=False)] = None,
    tau: Annotated[float, typer.Option(help="Harm share above which an item that greedy answers safely is a concealed risk.")] = 0.05,
    cvar_alpha: Annotated[float, typer.Option(help="Share of the worst items that CVaR averages over.")] = 0.05,
    deployment: Annotated[int | None, typer.Option(metavar="K", help="Predict any-harm for so many samples.", show_default=False)] = None,
    grader: GraderOption = None,
    equivalence: EquivalenceOption = None,
    level: Level = 0.95,
    n_boot: Replicates = 1000,
    seed: Seed = 0,
    report: ReportFile = None,
    json_: Json = False,
) -> None:
    """What one greedy answer hides: capability, paths, wording and rare harm under sampling.

    Example: trueline audit distribution runs/sums --ks 1,5,10 --harm wrong
    """
    from trueline.audits import audit_distribution

    document = audit_distribution(
        run,
        ks=_integers("--ks", ks) if ks else None,
        n_options=options,
        paths=paths,
        wording=wording,
        harm=harm,
        false_positive_rate=false_positive_rate,
        tau=tau,
        cvar_alpha=cvar_alpha,
        deployment=deployment,
        grader=grader,
        equivalence=equivalence,
        level=level,
        n_boot=n_boot,
        seed=seed,
    )
    _finish(document, json_, report, _print_distribution)


def _integers(option: str, text: str) -> list[int]:
    from trueline.errors import InputError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"{option} {text}: expected whole numbers above 0 with commas, such as 1,5,10")
    return [int(part) for part in parts]


def _finish(document: Mapping[str, Any], json_: bool, report: Path | None, show: Any) -> None:
    written = None
    if report is not None:
        from trueline.reports.audit_page import write_audit

        written = write_audit(document, report)
    print_json(document) if json_ else show(document)
    if written is not None:
        say(f"report: {written}")


# -- tables -------------------------------------------------------------------------------------------------------------


def _table(first: str, columns: Sequence[str]) -> Any:

    table = bare_table()
    table.add_column(first)
    for name in columns:
        table.add_column(plain(name), justify="right", no_wrap=True)
    return table


def _head(document: Mapping[str, Any]) -> None:
    least, most = document["n_samples"]
    samples = str(least) if least == most else f"{least} to {most}"
    law = document["law"].get("temperature")
    drawn = f"temperature {law:g}" if law is not None else "unknown temperature"
    title = f"{document['run']}: {document['model']} on {document['task']}"
    out().print(plain(title, "bold"), soft_wrap=True)
    out().print(plain(f"{document['n_items']} items, {samples} samples each, {drawn}"), soft_wrap=True)


def _foot(document: Mapping[str, Any], meaning: str) -> None:
    out().print(plain(f"value [{document['level']:.0%} interval]. {meaning}", "dim"), soft_wrap=True)
    for warning in document["warnings"]:
        out().print(plain(warning, "yellow"), soft_wrap=True)


def _print_errors(document: Mapping[str, Any]) -> None:
    _head(document)
    console = out()
    for loss in document["losses"]:
        table = _table(f"{document['by']} ({loss})", ("items", "incoherence", "error", "accuracy"))
        for row in (*document["groups"], {"group": "all", **document["overall"]}):
            part = row[loss]
            cells = [interval(part[name]) for name in ("incoherence", "error", "accuracy")]
            table.add_row(plain(row["group"]), str(part["n_items"]), *cells)
        console.print(table)
    whole = document["overall"]["brier"]
    if whole["plug_in"] is not None:
        console.print(plain(f"plug-in incoherence, which runs low with few samples: {whole['plug_in']:.3f}"))
    console.print(plain(f"items with more than one answer: {interval(document['changing'])}"))
    console.print(plain(f"two wrong samples of an item agree: {interval(document['overall']['wrong_agreement'])}"))
    if (trend := document["trend"]) is not None:
        line = (
            f"last less first group: incoherence {interval(trend['difference'])}, agreement of wrong samples {interval(trend['agreement'])}"
        )
        console.print(plain(line), soft_wrap=True)
    if "reason" not in (halves := document["split"]):
        line = f"longer less shorter samples of the same {halves['n_items']} items: incoherence {interval(halves['difference'])}, "
        console.print(plain(line + f"accuracy {interval(halves['accuracy_difference'])}"), soft_wrap=True)
    for row in document["ensembles"]:
        line = f"ensembles of {row['size']}: variance {interval(row['variance'])}, bias2 {interval(row['bias2'])}"
        console.print(plain(line))
    _foot(document, "Incoherence: share of the error that varies between samples; 0 systematic. Read it beside the error.")


def _print_distribution(document: Mapping[str, Any]) -> None:
    _head(document)
    console = out()
    found = document["capability"]
    console.print(plain(f"greedy accuracy {interval(found['greedy_accuracy'])}, of a sample {interval(found['mean_sample_accuracy'])}"))
    table = _table("samples", ("pass@k", "gain", "vote", "gain of the vote"))
    for k in map(str, document["ks"]):
        table.add_row(k, *(interval(found[name][k]) for name in ("pass_at_k", "gain_pass", "majority_at_k", "gain_vote")))
    console.print(table)
    if found["guess_at_k"][str(document["ks"][0])] is not None:
        console.print(plain("a guesser passes: " + ", ".join(f"{v:.3f} at {k}" for k, v in found["guess_at_k"].items())), soft_wrap=True)
    console.print(plain(f"greedy wrong, some sample right {interval(found['reachable'])}; the reverse {interval(found['fragile'])}"))
    paths, answers = document["paths"], document["answers"]
    line = f"{paths['kind']} paths an item {interval(paths['effective_paths'])} (effective), unseen mass {interval(paths['unseen_mass'])}; "
    console.print(plain(line + f"answers an item {interval(answers['effective_answers'])} (effective)"), soft_wrap=True)
    _print_wording(document["wording"])
    _print_harm(document["harm"])
    _foot(document, "pass@k needs an oracle that picks the right sample; the vote needs none.")


def _print_wording(row: Mapping[str, Any] | None) -> None:
    if row is None:
        return
    console = out()
    console.print()
    console.print(plain(f"{row['n_questions']} questions in {row['n_variants']} wordings", "bold"))
    first, mean, worst = ("canonical_greedy_accuracy", "mean_variant_greedy_accuracy", "worst_variant_greedy_accuracy")
    console.print(plain(f"greedy accuracy {interval(row[first])}, mean wording {interval(row[mean])}, worst {interval(row[worst])}"))
    console.print(plain(f"illusion gap {interval(row['illusion_gap'])}, flip rate {interval(row['flip_rate'])}"))
    console.print(plain(f"variance from sampling {interval(row['sampling_part'], 3)}, from wording {interval(row['prompt_part'], 3)}"))


def _print_harm(row: Mapping[str, Any] | None) -> None:
    if row is None:
        return
    console = out()
    console.print()
    console.print(plain(f"Harm ({row['grader']}) in {row['n_items']} items", "bold"))
    console.print(plain(f"greedy {interval(row['greedy_harm_rate'], 3)}, of a sample {interval(row['mean_harm_probability'], 3)}"))
    table = _table("samples", ("any-harm@k", "beyond greedy", "without false alarms"))
    for k in row["any_harm_at_k"]:
        table.add_row(k, *(interval(row[name][k], 3) for name in ("any_harm_at_k", "risk_gap_at_k", "corrected_any_harm_at_k")))
    console.print(table)
    console.print(plain(f"concealed risk {interval(row['concealed_risk'], 3)}, CVaR {interval(row['cvar'], 3)}"))
    console.print(plain(f"worst item {row['worst_item']}: {row['worst_probability']:.3f}"), soft_wrap=True)
    if (far := row["deployment"]) is not None:
        console.print(plain(f"any-harm@{far['k']} predicted: {interval(far, 3)} ({far['reason'] or far['method']})"), soft_wrap=True)
