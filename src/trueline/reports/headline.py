"""Headline numbers of a run as sentences that a reader understands, and the summary table of several runs."""

from __future__ import annotations

from trueline.reports.curves import selective
from trueline.reports.data import RunView
from trueline.reports.html import Html, el, join, plain, table, visible
from trueline.reports.sections import code, empty, title
from trueline.reports.wording import Notes, bracket, has_interval, percent, undefined
from trueline.stats.estimate import Estimate

_COIN = 0.5


def headline(view: RunView) -> Html:
    """Return the headline numbers as sentences."""
    if view.problem:
        return empty(join(["Nothing was validated: ", visible(view.problem)]))
    lines = [_accuracy(view), *_ranking(view), *_selective(view), *_stated(view)]
    return el("ul", *[el("li", line) for line in lines], cls="headline")


def _accuracy(view: RunView) -> Html:
    e = view.estimate(None, "accuracy")
    if not e.defined:
        return undefined("Accuracy", e)
    asked = f" {e.n:,} of {view.n_items:,} answers could be judged." if e.n < view.n_items else ""
    return join([el("strong", f"Right on {percent(e.value, e.n)} of {e.n:,} questions "), bracket(e, share=True), ".", asked])


def _ranking(view: RunView) -> list[Html]:
    ranked = [n for n in view.ranked() if view.estimate(n, "auroc").defined]
    if not ranked:
        return [undefined("AUROC", view.estimate(next(iter(view.ranked()), ""), "auroc"))]
    best = view.estimate(ranked[0], "auroc")
    chance = f"{percent(best.value, best.n)} of the time "
    if has_interval(best) and best.low <= _COIN:
        parts: list[object] = [
            el("strong", "No score clearly tells right from wrong: "),
            join(
                [
                    "of one right and one wrong answer, the best of them, ",
                    code(ranked[0]),
                    f", takes the wrong one as less certain {chance}",
                ]
            ),
            join([bracket(best, share=True), ", and its interval holds 50\u202f%, a coin."]),
        ]
    else:
        parts = [
            el("strong", code(ranked[0]), " tells right from wrong best: "),
            f"of one right and one wrong answer, it takes the wrong one as less certain {chance}",
            join([bracket(best, share=True), "."]),
        ]
    return [join([*parts, _rivals(view, ranked, best)])]


def _rivals(view: RunView, ranked: list[str], best: Estimate) -> str | None:
    """How far the choice of the best can be trusted."""
    if len(ranked) < 2 or not has_interval(best):
        return None
    reaching = sum(view.estimate(n, "auroc").high >= best.low for n in ranked[1:])
    others = len(ranked) - 1
    several = "all" if reaching == others else f"{reaching} of the"
    overlap = f"the intervals of {several} {others} others reach into its own" if reaching else "no other interval reaches into its own"
    return f" It is the best of {len(ranked)} estimators on these very items, so its number flatters it a little; {overlap}."


def _selective(view: RunView) -> list[Html]:
    best = view.best
    if best is None:
        return []
    half, everything = selective(view, best, 0.5), view.estimate(None, "accuracy")
    if not half.defined or not everything.defined:
        return []
    text = f"Answering only the half it is surest of (by {plain(best)}), it would be wrong on {percent(half.value, half.n)} "
    return [
        join(
            [el("strong", text), bracket(half, share=True), f", against {percent(1 - everything.value, everything.n)} when it answers all."]
        )
    ]


def _stated(view: RunView) -> list[Html]:
    out = []
    for name in view.scores:
        if name.startswith("verbalized"):
            e = view.estimate(name, "smooth_ece_stated")
            if e.defined:
                claim = f"The confidence it states ({plain(name)}) is off by {percent(e.value, e.n)} on average "
                out.append(join([el("strong", claim), bracket(e, share=True), " (smooth calibration error)."]))
    return out


def summary(views: list[RunView], anchors: list[str]) -> Html:
    """Return one row a run, for a report on several."""
    notes = Notes()
    rows: list[list[object]] = []
    for view, anchor in zip(views, anchors, strict=True):
        best = view.best
        auroc = view.estimate(best, "auroc") if best else Estimate.undefined(view.problem or "no estimator has a defined AUROC")
        e = view.estimate(None, "accuracy")
        link = el("a", visible(title(view)), href=f"#{anchor}")
        rows.append(
            [link, f"{view.n_items:,}", notes.cell(e), code(best) if best else "none", notes.cell(auroc), f"{len(view.failures):,}"]
        )
    head: list[object] = ["Run", "Items", "Accuracy", "Best estimator", "Its AUROC", "Failed"]
    return join([table(head, rows, caption="All runs of this report, with their intervals"), notes.html()])
