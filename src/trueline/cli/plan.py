"""`trueline plan`: what data shows and what more would cost. `preferences`: how representative, how robust, at what price."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import EXIT_GATE, Json, Mapped, bare_table, interval, mapping_of, out, plain, print_json

plan = typer.Typer(no_args_is_help=True, help="What data shows, and what more of it would cost.")


@plan.callback()
def _plans() -> None:
    """What data shows, and what more of it would cost."""


@plan.command()
def preferences(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .jsonl or .parquet table, one row a vote.")],
    group: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Column of who the annotator is; several make intersections. Default: group_*.")
    ] = None,
    target: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Shares of the people it is for: group columns and share. Several: margins.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="COL", help="Model's probability of the first response; or SCORE_A,SCORE_B.")] = None,
    flips: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Perturbations tried: item_id, family, flip, and margin if known.")
    ] = None,
    context: Annotated[str | None, typer.Option(metavar="COL", help="Kind of situation; rates are to be known in each.")] = None,
    map_: Mapped = None,
    epsilon: Annotated[float, typer.Option(help="Rates within this of the truth, for every group and context at once.")] = 0.1,
    delta: Annotated[float, typer.Option(help="Share of pairs that perturbations may flip.")] = 0.05,
    eta: Annotated[float, typer.Option(help="One minus the confidence of both claims.")] = 0.05,
    tolerated: Annotated[float, typer.Option(help="Flip rate that a family is tested against.")] = 0.02,
    label_cost: Annotated[float | None, typer.Option(help="Price of a label.")] = None,
    budget: Annotated[float | None, typer.Option(help="Money (labels, without a price): shows what it reaches.")] = None,
    icc: Annotated[float, typer.Option(help="Correlation of the labels of one annotator.")] = 0.0,
    d_context: Annotated[int | None, typer.Option(help="Plan for so many binary context features.")] = None,
    max_interaction: Annotated[int | None, typer.Option(help="Only combinations of at most so many features.")] = None,
    population: Annotated[float | None, typer.Option(help="People: prints the order of growth of the trilemma paper.")] = None,
    max_worst_epsilon: Annotated[
        float | None, typer.Option(help="Gate: exit code 1 unless the worst group's gap is shown below it.")
    ] = None,
    max_delta: Annotated[float | None, typer.Option(help="Gate: exit code 1 unless the share of flips is shown below it.")] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    json_: Json = False,
) -> None:
    """How representative and how robust is this preference data, and what would epsilon and delta cost?

    Example: trueline plan preferences votes.csv --group country --target census.csv --model p_first --flips flips.csv --epsilon 0.1
    """
    from trueline.cli.preference_tables import read_votes
    from trueline.metrics.preferences.report import Goal
    from trueline.stats import CI

    votes = read_votes(table, mapping_of(map_), group or [], context, model)
    goal = Goal(epsilon, delta, eta, label_cost, budget, icc, d_context, max_interaction, population)
    document = _document(votes, goal, target or [], flips, tolerated, CI(level=level, n_boot=n_boot, seed=seed))
    document["gates"] = _gates(document, max_worst_epsilon, max_delta)
    print_json(document) if json_ else _print(document, str(table))
    if any(gate["verdict"] != "pass" for gate in document["gates"]):
        raise typer.Exit(EXIT_GATE)


def _document(votes: Any, goal: Any, targets: list[Path], flips: Path | None, tolerated: float, ci: Any) -> dict[str, Any]:
    from trueline.cli.preference_tables import label, model_columns, read_flips, target_shares
    from trueline.metrics.preferences import flip_robustness, make_votes, reward_probabilities
    from trueline.metrics.preferences.report import trilemma_report

    groups, shares = target_shares(targets, votes)
    made = make_votes(votes.item, [label(g) for g in votes.group], votes.choice, votes.annotator, groups=[label(g) for g in groups])
    probs: Any = None
    temperature = None
    if votes.model is not None:
        columns = model_columns(votes, made.items)
        probs = [values[0] for values in columns]
        if len(columns[0]) == 2:
            probs, temperature = reward_probabilities([a - b for a, b in columns], *made.counts())
    tried = None
    if flips is not None:
        table, families, margin = read_flips(flips)
        tried = flip_robustness(table, families, margin=margin, eta=goal.eta, tolerated=tolerated, level=ci.level)
    document = trilemma_report(made, goal, target=shares, contexts=votes.context, model_prob=probs, flips=tried, ci=ci)
    document["n_ties"], document["temperature"] = votes.n_ties, temperature
    if not votes.group_columns:
        document["warnings"].append("No group column: everyone counts as one group, so nothing is said about any other.")
    if votes.n_unknown:
        document["warnings"].append(f"{votes.n_unknown} votes lack a group attribute; they form groups named unknown.")
    return document


def _gates(document: Mapping[str, Any], max_worst_epsilon: float | None, max_delta: float | None) -> list[dict[str, Any]]:
    """A gate passes only where the upper end clears the bar; above it, the lower end says whether that is shown false."""
    from trueline.errors import InputError

    found = []
    for name, bar, part, at in (("worst epsilon", max_worst_epsilon, "reward", "worst"), ("delta", max_delta, "robustness", "any")):
        if bar is None:
            continue
        if document[part] is None:
            raise InputError(f"a gate on {name} needs {'--model' if part == 'reward' else '--flips'}")
        entry = document[part][at]
        high = entry["high"] if part == "reward" else document[part]["upper_any"]
        shown = high is not None and high <= bar
        verdict = "pass" if shown else "fail" if entry["low"] is not None and entry["low"] > bar else "not shown"
        found.append({"gate": f"{name} <= {bar:g}", "verdict": verdict, "value": entry["value"], "upper": high})
    return found


def _print(document: Mapping[str, Any], title: str) -> None:
    console = out()
    people = "annotators unknown" if document["n_annotators"] is None else f"{document['n_annotators']} annotators"
    ties = f", {document['n_ties']} ties left out" if document["n_ties"] else ""
    console.print(plain(title, "bold"))
    console.print(plain(f"{document['n_votes']} votes on {document['n_items']} items, {people}{ties}"), soft_wrap=True)
    _print_sample(console, document)
    if document["reward"]:
        _print_reward(console, document)
    if document["robustness"]:
        _print_robustness(console, document)
    _print_plan(console, document)
    console.print()
    console.print(plain("Which corner was given up", "bold"))
    colors = {"shown": "green", "shown false": "red", "not shown": "yellow", "not judged": "dim"}
    for name, corner in document["corners"].items():
        line = plain(f"{corner['verdict']:<11} ", colors[corner["verdict"]]).append_text(plain(f"{name}: {corner['why']}"))
        console.print(line, soft_wrap=True)
    for gate in document["gates"]:
        upper = "unknown" if gate["upper"] is None else f"{gate['upper']:.3f}"
        console.print(plain(f"gate {gate['gate']}: {gate['verdict']} (upper end {upper})", "bold"), soft_wrap=True)
    for warning in document["warnings"]:
        console.print(plain(warning, "yellow"), soft_wrap=True)


def _table(*columns: str) -> Any:

    table = bare_table()
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i else "left")
    return table


def _print_sample(console: Any, document: Mapping[str, Any]) -> None:
    sample = document["sample"]
    console.print()
    console.print(plain(f"Who voted, against the target: {document['target']}", "bold"))
    table = _table("group", sample["unit"], "votes", "share", "target", "weight")
    for row in sample["groups"]:
        weight = "\u2013" if row["weight"] != row["weight"] else f"{row['weight']:.2f}"
        people = (str(row[name]) for name in ("people", "votes"))
        table.add_row(plain(row["group"]), *people, f"{row['share']:.1%}", f"{row['target']:.1%}", weight)
    console.print(table)
    chance = f"chance alone: up to {sample['tv_by_chance']:.3f}"
    console.print(
        plain(
            f"total variation {sample['total_variation']:.3f} ({chance}), KL {sample['kl']:.3f} nats; "
            f"weighted to the target, {sample['n']} {sample['unit']} count as {sample['n_eff']:.1f}"
        ),
        soft_wrap=True,
    )
    rates = document["rates"]
    who = "all groups at once" if rates["epsilon_covered"] == rates["epsilon_reached"] else "the groups that voted, at once"
    least = sample["groups"][rates["smallest"]["group"]]["group"]
    console.print(
        plain(
            f"rates known to within {rates['epsilon_covered']:.3f} for {who} (fewest labels: {rates['smallest']['labels']:.0f}, {least}); "
            f"with ten times the labels {document['ten_times']['epsilon_covered']:.3f}"
        ),
        soft_wrap=True,
    )


def _print_reward(console: Any, document: Mapping[str, Any]) -> None:
    reward = document["reward"]
    console.print()
    console.print(plain("Gap of the model to each group", "bold"))
    console.print(plain("root mean square difference of probabilities; the noise of few votes is taken out", "dim"), soft_wrap=True)
    table = _table("group", "gap", "items", "majorities lost")
    for row in reward["groups"]:
        table.add_row(plain(row["group"]), interval(row["epsilon"], 3), str(row["epsilon"]["n"]), interval(row["lost"], 3))
    console.print(table)
    for name, said in (
        ("worst", "worst group, all groups at once"),
        ("floor_worst", "the best single reward would still have"),
        ("weighted", "over people of the target"),
        ("floor_weighted", "the best single reward would still have"),
        ("population", "to the average person (can be 0 though wrong for every group)"),
    ):
        why = f" ({reward[name]['reason']})" if reward[name]["value"] is None else ""
        console.print(plain(f"{interval(reward[name], 3):<22} {said}{why}"), soft_wrap=True)
    console.print(
        plain(f"{interval(reward['exaggeration']):<22} exaggeration of majorities; 1 is none, above 1 surer than people"), soft_wrap=True
    )
    if document["temperature"] is not None:
        console.print(plain(f"score differences were divided by {document['temperature']:.3g}, fitted on all votes"), soft_wrap=True)


def _print_robustness(console: Any, document: Mapping[str, Any]) -> None:
    robust = document["robustness"]
    console.print()
    console.print(plain("Flips under perturbation", "bold"))
    table = _table("family", "pairs flipped", "n", "at most", "p (Holm)")
    for row in robust["families"]:
        p = "\u2013" if row["p_holm"] != row["p_holm"] else f"{row['p_holm']:.2g}"
        table.add_row(plain(row["family"]), interval(row["rate"], 3), str(row["rate"]["n"]), f"{row['upper']:.3f}", p)
    console.print(table)
    console.print(
        plain(f"{interval(robust['mean'], 3)} of all trials; {interval(robust['any'], 3)} of pairs at least once"), soft_wrap=True
    )
    if robust["margin_auroc"]["value"] is not None:
        safe = "no margin is shown to be safe" if not robust["safe_share"] else f"safe from a margin of {robust['safe_margin']:.3g} on"
        share = f" ({robust['safe_share']:.0%} of pairs)" if robust["safe_share"] else ""
        console.print(plain(f"small margins foretell flips with AUROC {interval(robust['margin_auroc'])}; {safe}{share}"), soft_wrap=True)


def _print_plan(console: Any, document: Mapping[str, Any]) -> None:
    found, goal = document["plan"], document["goal"]
    console.print()
    console.print(
        plain(
            f"What epsilon {goal['epsilon']:g} and delta {goal['delta']:g} cost at confidence {1 - goal['eta']:.0%}: "
            f"{found['groups']} groups x {found['cells']:,} contexts",
            "bold",
        ),
        soft_wrap=True,
    )
    table = _table("bound", "labels a cell", "labels", "log10", "cost")
    for bound, row in found["labels"].items():
        cost = "\u2013" if row["cost"] is None else f"{row['cost']:,.0f}"
        table.add_row(bound, f"{row['per_cell']:,}", f"{row['total']:,}", f"{row['log10_total']:.2f}", cost)
    console.print(table)
    console.print(
        plain(f"and {found['trials']:,} pairs without a flip for each of {found['families']} families of perturbations"), soft_wrap=True
    )
    for row in found["relaxations"]:
        console.print(plain(f"{row['relaxation']}: {row['saves']:.3g} times fewer {row['unit']}"), soft_wrap=True)
    if (reach := document["frontier"]) is not None:
        console.print(
            plain(
                f"the budget buys {reach['labels']:,.0f} labels: epsilon {reach['epsilon']:.3g}, or {reach['groups']} groups, "
                f"or {reach['d_context']} context features, the rest held"
            ),
            soft_wrap=True,
        )
    if (paper := document["paper_order"]) is not None:
        console.print(plain(f"order of growth: 10^{paper['log10_operations']:.2f} operations ({paper['note']})"), soft_wrap=True)
