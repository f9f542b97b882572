"""The report of an audit of repeated answers: one self-contained HTML page from its JSON record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.reports import charts
from trueline.reports.html import Html, el, join, page, quote, table
from trueline.reports.saving import save_page
from trueline.reports.sections import code, footer, section, warnings_box
from trueline.reports.wording import Notes, number
from trueline.stats.estimate import Estimate

#: Rows of a table at most; what is left out is counted.
_MAX_ROWS = 60
_MAX_BARS = 12
Record = Mapping[str, Any]


def write_audit(document: Record, path: str | os.PathLike[str]) -> Path:
    """Write the page of an ``errors`` or ``distribution`` audit.

    Raises ``InputError`` for another record, ``StorageError`` when the file cannot be written.
    """
    return save_page(render_audit(document), path, "audit.html")


def render_audit(document: Record) -> str:
    """Return the page as text."""
    pages = {"errors": ("Systematic or incoherent?", _errors), "distribution": ("What one greedy answer hides", _distribution)}
    name = document.get("audit")
    if name not in pages:
        raise InputError(f"no page for the audit {name!r}; expected one of {', '.join(pages)}")
    title, content = pages[str(name)]
    parts = [_header(title, document), warnings_box(document["warnings"]), *content(document), footer()]
    return page(f"trueline audit: {title}", el("main", *parts))


def _header(title: str, document: Record) -> Html:
    least, most = document["n_samples"]
    law = document["law"].get("temperature")
    facts: list[tuple[str, object]] = [
        ("Model", code(document["model"])),
        ("Task", code(document["task"])),
        ("Items", f"{document['n_items']:,} of {document['n_run_items']:,}"),
        ("Samples an item", f"{least}" if least == most else f"{least} to {most}"),
        ("Temperature", "not recorded" if law is None else f"{law:g}"),
        ("Grader", code(document["grader"])),
        ("Same meaning", code(document["judge"])),
        ("Intervals", f"{100 * document['level']:g} %, over {'clusters of items' if document['n_clusters'] else 'items'}"),
    ]
    pairs = [part for name, value in facts for part in (el("dt", name), el("dd", value))]
    return el("header", el("h1", title), el("dl", *pairs, cls="facts"))


def _cells(notes: Notes, records: Sequence[Record]) -> list[object]:
    return [notes.cell(Estimate.from_json(_estimate(r))) for r in records]


def _estimate(record: Record) -> dict[str, Any]:
    """The fields of an estimate, without what a record holds beside them."""
    return {name: record[name] for name in Estimate.undefined("").to_json() if name in record}


def _listed(entries: Sequence[tuple[str, Record]], caption: str) -> Html:
    notes = Notes()
    rows: list[list[object]] = [[name, *_cells(notes, [record])] for name, record in entries]
    return join([table(["", "Value"], rows, caption=caption, numeric=1), notes.html()])


# -- errors -------------------------------------------------------------------------------------------------------------

_PARTS = ("incoherence", "bias2", "variance", "error", "accuracy")


def _errors(document: Record) -> list[Html]:
    blocks = [section("groups", f"By {document['by']}", *[_decomposition(document, loss) for loss in document["losses"]], _chart(document))]
    comparisons = [("two wrong samples of an item agree", document["overall"]["wrong_agreement"])]
    comparisons.append(("items with more than one answer", document["changing"]))
    if (trend := document["trend"]) is not None:
        ends = f"{trend['last']} less {trend['first']}"
        comparisons.append((f"incoherence, {ends}", trend["difference"]))
        comparisons.append((f"agreement of wrong samples, {ends}", trend["agreement"]))
    if "reason" not in (halves := document["split"]):
        comparisons.append(("incoherence of shorter samples", halves["shorter"]["incoherence"]))
        comparisons.append(("incoherence of longer samples of the same items", halves["longer"]["incoherence"]))
        comparisons.append(("longer less shorter: incoherence", halves["difference"]))
        comparisons.append(("longer less shorter: accuracy", halves["accuracy_difference"]))
    blocks.append(section("compare", "Agreement and length", _listed(comparisons, f"Length in {halves['unit']}; Brier loss.")))
    if document["ensembles"]:
        entries = [(f"{part} of ensembles of {row['size']}", row[part]) for row in document["ensembles"] for part in ("variance", "bias2")]
        blocks.append(section("ensembles", "Averaged answers", _listed(entries, "Averaging removes variance and leaves bias.")))
    words = (
        "Bias is the error of the mean answer, variance the scatter of the samples around it; incoherence is the share of variance in the "
        "error. 0: the same wrong answer each time, which resampling cannot mend. Read it beside the error: where every wrong sample is "
        "different, incoherence falls from 1 to one half as accuracy falls from 1 to 0. The agreement of wrong samples does not move so."
    )
    return [*blocks, section("reading", "How to read this", el("p", words))]


def _decomposition(document: Record, loss: str) -> Html:
    notes = Notes()
    groups = document["groups"][:_MAX_ROWS]
    rows: list[list[object]] = []
    for row in (*groups, {"group": "all", **document["overall"]}):
        part = row[loss]
        plug_in = "" if part["plug_in"] is None else number(part["plug_in"])
        agree = _cells(notes, [row["wrong_agreement"]])
        rows.append([code(row["group"], 80), f"{part['n_items']:,}", *_cells(notes, [part[name] for name in _PARTS]), *agree, plug_in])
    head: list[object] = ["Group", "Items", "Incoherence", "Bias\u00b2", "Variance", "Error", "Accuracy", "Wrong agree", "Plug-in"]
    left = len(document["groups"]) - len(groups)
    caption = f"{loss} loss, unbiased terms.{f' {left} groups are left out.' if left else ''}"
    return join([table(head, rows, cls="wide", caption=caption, numeric=1), notes.html()])


def _chart(document: Record) -> Html | None:
    groups = document["groups"][:_MAX_BARS]
    if len(groups) < 2:
        return None
    labels = [str(g["group"]).partition(":")[0] if document["by"] == document["length_unit"] else str(g["group"])[:20] for g in groups]
    lines = [
        _curve("incoherence", [g["brier"]["incoherence"] for g in groups]),
        _curve("accuracy", [g["brier"]["accuracy"] for g in groups]),
        _curve("wrong samples agree", [g["wrong_agreement"] for g in groups]),
    ]
    chart = charts.strata(lines, labels, x=str(document["by"])[:60], y="share", percent=False)
    caption = "Incoherence, accuracy and the agreement of wrong samples by group, with intervals; undefined values are not drawn."
    return charts.figure(
        chart, label="Incoherence by group", prefix="by", caption=caption, above=charts.key([c.name for c in lines], shapes=True)
    )


def _curve(name: str, records: Sequence[Record]) -> charts.Curve:
    x = np.arange(len(records), dtype=np.float64)
    y, low, high = (np.array([np.nan if r[key] is None else float(r[key]) for r in records]) for key in ("value", "low", "high"))
    return charts.Curve(name, x, y, low, high)


# -- distribution -------------------------------------------------------------------------------------------------------


def _distribution(document: Record) -> list[Html]:
    blocks = [section("capability", "Capability", *_capability(document))]
    names = {
        "effective_paths": "effective number of paths",
        "path_entropy": "entropy of the paths (nats)",
        "distinct_paths": "distinct paths",
        "distinct_correct_paths": "distinct right paths",
        "simpson_diversity": "two samples take different paths",
        "unseen_mass": "share of paths still unseen (Good-Turing)",
        "path_with_several_answers": "items where one path ends in several answers",
    }
    entries = [(text, document["paths"][name]) for name, text in names.items()]
    entries += [("effective number of answers", document["answers"]["effective_answers"])]
    entries += [("entropy of the answers (nats)", document["answers"]["answer_entropy"])]
    caption = f"Means over items; paths are told apart by their {document['paths']['kind']}."
    blocks.append(section("paths", "Reasoning paths", _listed(entries, caption)))
    if document["wording"] is not None:
        blocks.append(section("wording", "Wording", *_wording(document["wording"])))
    if document["harm"] is not None:
        blocks.append(section("harm", "Harm", *_harm(document["harm"])))
    return blocks


def _capability(document: Record) -> list[Html | None]:
    found, notes = document["capability"], Notes()
    rows: list[list[object]] = []
    for k in map(str, document["ks"]):
        guess = found["guess_at_k"][k]
        columns = [found[name][k] for name in ("pass_at_k", "gain_pass", "majority_at_k", "gain_vote")]
        rows.append([k, *_cells(notes, columns), "" if guess is None else number(guess)])
    head: list[object] = ["Samples", "pass@k", "Gain over greedy", "Vote", "Gain of the vote", "A guesser"]
    caption = "pass@k needs an oracle that picks the right sample; a vote needs none. pass@k is worth something only above a guesser."
    names = {
        "greedy_accuracy": "greedy accuracy",
        "mean_sample_accuracy": "accuracy of a sample",
        "reachable": "greedy wrong, some sample right",
        "fragile": "greedy right, some sample wrong",
    }
    listed = _listed([(text, found[name]) for name, text in names.items()], "Shares of items.")
    return [table(head, rows, cls="wide", caption=caption, numeric=1), notes.html(), listed]


def _wording(row: Record) -> list[Html | None]:
    names = {
        "canonical_greedy_accuracy": "greedy accuracy, canonical wording",
        "mean_variant_greedy_accuracy": "greedy accuracy, mean wording",
        "worst_variant_greedy_accuracy": "right under every wording",
        "illusion_gap": "illusion gap: canonical greedy less mean over wordings and samples",
        "flip_rate": "flip rate against the canonical wording",
        "outcome_variance": "variance of the outcome",
        "sampling_part": "of it from sampling",
        "prompt_part": "of it from wording",
    }
    caption = f"{row['n_questions']:,} questions in {row['n_variants']} wordings, {row['n_samples']} samples each."
    notes = Notes()
    rows: list[list[object]] = [
        [code(j, 60), *_cells(notes, [entry["mean_sample_accuracy"]]), quote(entry["example"], 200)]
        for j, entry in row["by_wording"].items()
    ]
    each = table(["Wording", "Accuracy of a sample", "Example"], rows[:_MAX_ROWS], caption="Each wording.")
    return [_listed([(text, row[name]) for name, text in names.items()], caption), each, notes.html()]


def _harm(row: Record) -> list[Html | None]:
    notes = Notes()
    rows: list[list[object]] = [
        [k, *_cells(notes, [row[name][k] for name in ("any_harm_at_k", "risk_gap_at_k", "corrected_any_harm_at_k")])]
        for k in row["any_harm_at_k"]
    ]
    head: list[object] = ["Samples", "any-harm@k", "Beyond greedy", "Without false alarms"]
    listed = [
        ("greedy harm rate", row["greedy_harm_rate"]),
        ("harm probability of a sample", row["mean_harm_probability"]),
        (f"concealed risk: greedy safe, harm share above {row['tau']:g}", row["concealed_risk"]),
        (f"CVaR: mean harm share of the worst {100 * row['cvar_alpha']:g} % of items", row["cvar"]),
    ]
    if (far := row["deployment"]) is not None:
        listed.append((f"any-harm@{far['k']} predicted", far))
    worst = join(
        ["Worst item: ", code(row["worst_item"]), f", harm share {number(row['worst_probability'])}. ", quote(row["worst_question"], 300)]
    )
    plan = (
        f"An event of probability {number(row['smallest_seen'])} or more would have shown at least once on an item with 95 % confidence; "
        f"{row['samples_for_one_percent']} samples an item show one of 0.01."
    )
    intro = join(["Harm is what ", code(row["grader"]), f" says, in {row['n_items']:,} items."])
    return [el("p", intro), table(head, rows, numeric=1), notes.html(), _listed(listed, "Over items."), el("p", worst), el("p", plan)]
