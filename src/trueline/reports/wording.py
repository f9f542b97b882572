"""Numbers as a reader meets them: percentages, intervals, and sentences that say what a number means."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trueline.reports.html import Html, el, join, plain
from trueline.stats.estimate import Estimate

_THIN = "\u202f"  # narrow no-break space
_DASH = "\u2013"


def number(value: float, digits: int = 3) -> str:
    """Return a number with fixed digits and a true minus; infinities by their sign, NaN as "undefined"."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "\u221e" if value > 0 else "\u2212\u221e"
    text = f"{value:.{digits}f}"
    return text.replace("-", "\u2212") if float(text) != 0 else text.lstrip("-")


def percent(value: float, n: int = 0) -> str:
    """Return a share as a percentage, with one decimal from a thousand items on."""
    return f"{number(100 * value, 1 if n >= 1000 else 0)}{_THIN}%"


def level(estimate: Estimate) -> str:
    """Return the nominal coverage, as in "95 %"."""
    return f"{100 * estimate.level:g}{_THIN}%"


def has_interval(estimate: Estimate) -> bool:
    """Whether both ends are numbers."""
    return not (math.isnan(estimate.low) or math.isnan(estimate.high))


def bracket(estimate: Estimate, *, share: bool = False) -> Html:
    """Return "(95 % interval 56-70 %)", or nothing where there is no interval."""
    if not has_interval(estimate):
        return el("span", "(no interval)", cls="interval")
    if share:
        ends = f"{number(100 * estimate.low, 1 if estimate.n >= 1000 else 0)}{_DASH}{percent(estimate.high, estimate.n)}"
    else:
        ends = f"{number(estimate.low, 2)} to {number(estimate.high, 2)}"
    return el("span", f"({level(estimate)} interval {ends})", cls="interval")


def undefined(what: str, estimate: Estimate) -> Html:
    """Return a sentence that says that a number is undefined and why."""
    return join([f"{what} is undefined: {estimate.reason or 'no reason was given'}."])


@dataclass
class Notes:
    """Footnotes of a table: one letter a distinct reason."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> Html:
        """Return the mark of a reason, which joins the notes where it is new."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return el("sup", _letter(self.reasons.index(reason)))

    def html(self) -> Html | None:
        """Return the notes, or None where there are none."""
        if not self.reasons:
            return None
        lines = [el("div", el("sup", _letter(i)), f" {plain(reason)[:400]}") for i, reason in enumerate(self.reasons)]
        return el("div", *lines, cls="small faint")

    def cell(self, estimate: Estimate, digits: int = 3) -> Html:
        """Return a table cell: value over interval; "undefined" with a note of the reason; a note where an interval is doubtful."""
        if not estimate.defined:
            return join([el("span", "undefined", cls="faint"), self.mark(estimate.reason or "no reason was given")])
        mark = self.mark(estimate.reason) if estimate.reason else None
        ends = f"{number(estimate.low, digits)} {_DASH} {number(estimate.high, digits)}" if has_interval(estimate) else "no interval"
        return join([number(estimate.value, digits), mark, el("span", ends, cls="interval")])

    def line(self, estimate: Estimate, digits: int = 2) -> Html:
        """Return a table cell on one line: value and interval."""
        if not estimate.defined or not has_interval(estimate):
            return self.cell(estimate, digits)
        mark = self.mark(estimate.reason) if estimate.reason else None
        ends = f" ({number(estimate.low, digits)} to {number(estimate.high, digits)})"
        return join([number(estimate.value, digits), mark, el("span", ends, cls="ends")])


def _letter(index: int) -> str:
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
