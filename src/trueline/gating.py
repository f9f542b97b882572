"""Is this run good enough to release? Each requirement is shown, shown false, or not shown by the interval of its metric."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from trueline.errors import InputError, nearest
from trueline.run import Run, open_run
from trueline.stats.estimate import Estimate
from trueline.validation import CALIBRATION, STATED, Truth, default_estimator, headline, read_truth, stated_confidence, validate_scores

if TYPE_CHECKING:
    from trueline.metrics import Verdict

On = Literal["bound", "point"]

#: Metrics of the run as a whole, and of one estimator.
HEADLINE = ("accuracy", "refusal_rate")
SCORED = ("auroc", "auprc", "aurc", "prr", *CALIBRATION, *(f"{name}_stated" for name in CALIBRATION), "spearman_total", "spearman_length")
#: Metrics that lie in [0, 1]: a bar outside is a slip of the pen.
SHARES = (
    *("accuracy", "refusal_rate", "auroc", "auprc", "aurc"),
    *(f"{name}{end}" for name in CALIBRATION if name != "signed_ece" for end in ("", "_stated")),
)

_REQUIREMENT = re.compile(r"\s*(\w+)\s*(?:\(\s*([^()]+?)\s*\))?\s*(>=|<=|>|<|\u2265|\u2264)\s*(\S+)\s*")
_PLAIN = {"\u2265": ">=", "\u2264": "<="}


@dataclass(frozen=True)
class Requirement:
    """``metric(estimator) op bound``; ``estimator`` is None for a metric of the run as a whole."""

    metric: str
    estimator: str | None
    op: str
    bound: float

    def __str__(self) -> str:
        name = self.metric if self.estimator is None else f"{self.metric}({self.estimator})"
        return f"{name} {self.op} {self.bound:g}"

    @property
    def upward(self) -> bool:
        """Whether more is better."""
        return self.op.startswith(">")


def parse_requirement(text: str) -> Requirement:
    """Read ``"auroc(sequence_nll) >= 0.75"`` or ``"ece <= 0.05"``; names are not looked up yet.

    Raises ``InputError`` for anything else, with what was expected.
    """
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise InputError(f"cannot read the requirement {text!r}; expected METRIC(ESTIMATOR) >= NUMBER, such as auroc(sequence_nll) >= 0.75")
    metric, estimator, op, number = found.groups()
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise InputError(f"requirement {text!r}: {number!r} is not a finite number")
    if metric in SHARES and not 0 <= bound <= 1:
        raise InputError(f"requirement {text!r}: {metric} lies between 0 and 1; got {bound:g}")
    return Requirement(metric, estimator, _PLAIN.get(op, op), bound)


def check_run(
    run: Run | str | os.PathLike[str],
    require: str | Sequence[str],
    *,
    level: float = 0.95,
    on: On = "bound",
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge a run by requirements such as ``"auroc(sequence_nll) >= 0.75"``, each by its whole interval.

    A metric without an estimator is one of the run (``accuracy``, ``refusal_rate``) or of the first of ``sequence_nll``,
    ``semantic_entropy``, ... that the run has. All requirements must hold, which needs no correction for their number: asking for more
    only makes a wrong pass rarer.

    Parameters
    ----------
    run : run directory or Run
    require : requirement, or several
        ``METRIC(ESTIMATOR) OP NUMBER`` with the metrics of ``trueline validate`` and >=, <=, > or <.
    level : float
        Coverage of the two-sided intervals; a bar is cleared by luck in at most (1 - level) / 2 of the cases.
    on : {"bound", "point"}
        ``"point"`` judges the value alone, however uncertain it is.
    n_boot, seed : int
        Where no exact interval exists.

    Returns
    -------
    dict
        JSON-safe. ``verdict``: ``"pass"``, ``"fail"`` (some requirement is shown to be false) or ``"not shown"`` (none is, but the data
        do not show all of them). ``requirements``: one entry each, with value, interval, verdict and why.

    Raises
    ------
    InputError
        A requirement that cannot be read, or an unknown metric or estimator (the nearest are named).
    """
    texts = [require] if isinstance(require, str) else list(require)
    if not texts:
        raise InputError("nothing is required; give at least one requirement, such as 'accuracy >= 0.8'")
    if on not in ("bound", "point"):
        raise InputError(f"on {on!r} is unknown; expected 'bound' or 'point'")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1; got {level}")
    parsed = [parse_requirement(text) for text in texts]
    run = run if isinstance(run, Run) else open_run(run)
    truth = read_truth(run)
    named = [_named(requirement, run, truth) for requirement in parsed]
    settings = {"level": level, "n_boot": n_boot, "seed": seed}
    found = _estimates(run, truth, named, settings)
    entries = [_judged(requirement, found[requirement.estimator], level, on) for requirement in named]
    verdicts = [entry["verdict"] for entry in entries]
    return {
        "format": 1,
        "run": str(run.path),
        "model": run.manifest["model"]["uri"],
        "task": run.manifest["task"]["name"],
        "on": on,
        **settings,
        "verdict": next((v for v in ("fail", "not shown") if v in verdicts), "pass"),
        "counts": {v: verdicts.count(v) for v in ("pass", "fail", "not shown")},
        "requirements": entries,
    }


def _named(requirement: Requirement, run: Run, truth: Truth) -> Requirement:
    """The requirement with its names looked up, and the default estimator where it needs one."""
    known = [*HEADLINE, *SCORED, *(f"spearman_{name}" for name in truth.known)]
    metric, estimator = requirement.metric, requirement.estimator
    if metric not in known:
        raise InputError(f"unknown metric {metric!r}{nearest(metric, known)}; known: {', '.join(known)}")
    if metric in HEADLINE:
        if estimator is not None:
            raise InputError(f"{metric} is a number of the whole run, not of {estimator!r}; write {metric} {requirement.op} ...")
        return requirement
    names = [c for c in run.scores.columns if c != "item_id"]
    if estimator is None:
        return replace(requirement, estimator=default_estimator(names))
    if estimator not in names:
        why = run.score_info.get(estimator, {}).get("left_out")
        detail = f" (left out: {why})" if why else nearest(estimator, names)
        raise InputError(f"the run has no scores of {estimator!r}{detail}; it has: {', '.join(names)}")
    return requirement


Found = dict[str | None, dict[str, Estimate]]


def _estimates(run: Run, truth: Truth, named: Sequence[Requirement], settings: Mapping[str, Any]) -> Found:
    """What is needed, and no more: computed anew, so that a stale ``metrics.json`` cannot pass a gate."""
    from trueline.metrics import CI, accuracy

    found: Found = {}
    wanted = {r.estimator for r in named}
    if None in wanted:
        found[None] = headline(truth, **settings)
        graded = np.isfinite(truth.correct)
        if graded.any() and "refusal_rate" not in found[None]:  # not shown elsewhere when nothing was refused, but a rate of 0 all the same
            clusters = None if truth.clusters is None else truth.clusters[graded]
            rate = accuracy(truth.refused[graded], clusters=clusters, ci=CI(**settings))
            found[None]["refusal_rate"] = replace(rate, n_missing=int((~graded).sum()))
    for name in sorted(w for w in wanted if w is not None):
        frame = run.scores
        values = dict(zip(frame["item_id"].to_list(), frame[name].to_numpy().astype(np.float64), strict=True))
        aligned = np.array([values.get(item, math.nan) for item in truth.item_ids])
        found[name] = validate_scores(aligned, truth, stated=stated_confidence(run, name, aligned), **settings)
    return found


# -- verdicts -----------------------------------------------------------------------------------------------------------


def _judged(requirement: Requirement, found: Mapping[str, Estimate], level: float, on: On) -> dict[str, Any]:
    estimate = found.get(requirement.metric) or Estimate.undefined(_absent(requirement, found), level=level)
    verdict = judge(requirement, estimate, on)
    return {
        "requirement": str(requirement),
        "metric": requirement.metric,
        "estimator": requirement.estimator,
        "op": requirement.op,
        "bound": requirement.bound,
        "verdict": verdict.value,
        "why": _why(requirement, estimate, verdict.value, on),
        **estimate.to_json(),
    }


def judge(requirement: Requirement, estimate: Estimate, on: On = "bound") -> Verdict:
    """Pass where the whole interval (or the point) meets the requirement, fail where none of it does, else "not shown"."""
    from trueline.metrics import gate

    if on == "point":
        estimate = replace(estimate, low=estimate.value, high=estimate.value)
    if requirement.upward:  # strictly above a bound is at least the next number
        return gate(estimate, at_least=math.nextafter(requirement.bound, math.inf) if requirement.op == ">" else requirement.bound)
    return gate(estimate, at_most=math.nextafter(requirement.bound, -math.inf) if requirement.op == "<" else requirement.bound)


def _absent(requirement: Requirement, found: Mapping[str, Estimate]) -> str:
    if requirement.estimator is None:
        return next((e.reason for e in found.values() if e.reason), "no answer could be graded")
    if requirement.metric.endswith("_stated"):
        return f"{requirement.estimator} states no probability; {', '.join(STATED)} do"
    return f"fewer than two items have a score and a known {requirement.metric.removeprefix('spearman_')}"


def _why(requirement: Requirement, estimate: Estimate, verdict: str, on: On) -> str:
    if not estimate.defined:
        return f"undefined: {estimate.reason or 'no reason given'}"
    if on == "point":
        return f"the value {'meets' if verdict == 'pass' else 'misses'} the bar; its interval was not looked at"
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return f"no interval: {estimate.reason or estimate.method}"
    if verdict != "not shown":
        return f"the whole {100 * estimate.level:.4g} % interval {'meets' if verdict == 'pass' else 'misses'} the bar"
    margin = (estimate.value - requirement.bound) * (1 if requirement.upward else -1)
    if margin <= 0:
        return "the interval reaches across the bar, and the value itself is not beyond it"
    half = estimate.value - estimate.low if requirement.upward else estimate.high - estimate.value
    needed = max(estimate.n + 1, math.ceil(estimate.n * (half / margin) ** 2))
    return f"the interval reaches across the bar; about n = {needed:,} would show it if the value stays (n = {estimate.n:,} now)"


# -- files --------------------------------------------------------------------------------------------------------------


def junit_xml(document: Mapping[str, Any]) -> str:
    """The outcome of `check_run` as JUnit XML, one test case a requirement; a failure's type is ``shown false`` or ``not shown``."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    entries = document["requirements"]
    failed = sum(entry["verdict"] != "pass" for entry in entries)
    counts = {"tests": str(len(entries)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = Element("testsuites", {"name": "trueline check", **counts})
    suite = SubElement(root, "testsuite", {"name": _visible(document["run"]), **counts})
    for entry in entries:
        case = SubElement(suite, "testcase", classname="trueline.check", name=_visible(entry["requirement"]))
        if entry["verdict"] == "pass":
            SubElement(case, "system-out").text = _visible(_line(entry))
        else:
            kind = "shown false" if entry["verdict"] == "fail" else "not shown"
            message = _visible(f"{kind}: {entry['why']}")
            SubElement(case, "failure", type=kind, message=message).text = _visible(_line(entry))
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def markdown_summary(document: Mapping[str, Any]) -> str:
    """The outcome of `check_run` as a Markdown table, as for the summary page of a CI job."""
    words = {"pass": "**pass**", "fail": "**shown false**", "not shown": "**not shown**"}
    lines = [
        f"### trueline check: {words[document['verdict']].strip('*')}",
        "",
        f"{_markdown(document['model'])} on {_markdown(document['task'])}, run {_markdown(document['run'])}, "
        + (f"judged by the {100 * document['level']:.4g} % intervals" if document["on"] == "bound" else "judged by the point values"),
        "",
        "| requirement | verdict | value | interval | n | missing | why |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in document["requirements"]:
        value, low, high = (_number(entry[key]) for key in ("value", "low", "high"))
        cells = [entry["requirement"], value, f"{low} to {high}" if low else "", entry["n"], entry["n_missing"], entry["why"]]
        shown = [_markdown(cell) for cell in cells]
        lines.append("| " + " | ".join([shown[0], words[entry["verdict"]], *shown[1:]]) + " |")
    return "\n".join(lines) + "\n"


def _line(entry: Mapping[str, Any]) -> str:
    value, low, high = (_number(entry[key]) for key in ("value", "low", "high"))
    shown = f"{value} [{low}, {high}]" if low else value or "undefined"
    return f"{entry['requirement']}: {shown} (n={entry['n']}, {entry['n_missing']} missing); {entry['why']}"


def _number(value: Any) -> str:
    return "" if value is None else f"{float(value):.4g}"


def _visible(text: object) -> str:
    """Text without control characters, lone surrogates and direction marks, which XML forbids and a reader cannot see."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))


_MARKDOWN = {c: f"\\{c}" for c in "\\`*_[]|~#!"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def _markdown(text: object) -> str:
    """Untrusted text inside a Markdown table: shown as it is, no link, no mention, no new cell."""
    escaped = "".join(_MARKDOWN.get(c, c) for c in _visible(text))
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
