"""Single questions: the most and least certain answers, token by token, with their samples and the verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueline.reports.data import RunLike, RunView
from trueline.reports.html import Html, el, fold, join, plain, quote, visible
from trueline.reports.sections import Caps, code, empty
from trueline.reports.wording import number

#: Lower ends of the probability classes that colour a token, and what the legend calls them.
TOKEN_CLASSES = (
    (0.9, "p1", "90 % or more"),
    (0.6, "p2", "60\u201390 %"),
    (0.3, "p3", "30\u201360 %"),
    (0.1, "p4", "10\u201330 %"),
    (0.0, "p5", "below 10 %"),
)
#: Answers of more tokens than this scroll in a box of their own.
_SHORT = 100
_COLUMNS = ("item_id", "kind", "draw", "text", "error", "finish_reason", "token_texts", "token_logprobs", "reasoning", "answer_start")


#: Stands for a token without text, such as the end of the answer.
_END = el("span", "end", cls="ctl")


@dataclass
class Scan:
    """What one pass over the trace found: rows of the wanted items, and how many answers hit the token limit."""

    rows: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    n_answers: int = 0
    n_truncated: int = 0
    n_unknown: int = 0

    @property
    def truncated_share(self) -> float:
        """Share of answers cut off at the token limit, among those whose end is known; 0 where none is."""
        known = self.n_answers - self.n_unknown
        return self.n_truncated / known if known else 0.0

    @property
    def sentence(self) -> str | None:
        """How many answers were cut off, in words."""
        if not self.n_answers:
            return None
        if self.n_unknown == self.n_answers:
            return "whether answers were cut off is not recorded"
        return f"{self.n_truncated:,} of {self.n_answers - self.n_unknown:,} answers were cut off there"


def scan(run: RunLike, wanted: set[str]) -> Scan:
    """Read the trace block by block; keep the rows of the wanted items alone."""
    found = Scan()
    ids = pa.array(sorted(wanted), pa.string())
    for block in run.blocks(columns=_COLUMNS):
        present = [c for c in _COLUMNS if c in block.table.column_names]
        answers = block.table.filter(pc.is_in(block.table["kind"], value_set=pa.array(["greedy", "sample"])))
        found.n_answers += len(answers) - answers["text"].null_count
        if "finish_reason" in present:
            ended = answers.filter(pc.is_valid(answers["text"]))["finish_reason"]
            found.n_truncated += pc.sum(pc.equal(ended, "length")).as_py() or 0
            found.n_unknown += ended.null_count
        rows = answers.select(present).filter(pc.is_in(answers["item_id"], value_set=ids))
        for row in rows.to_pylist():
            found.rows.setdefault(row["item_id"], []).append(row)
    return found


@dataclass(frozen=True)
class Choice:
    """Positions of the items that are shown, by list, and the estimator that ordered them (None: none has a score)."""

    estimator: str | None
    certain: list[int]
    uncertain: list[int]
    certain_wrong: list[int]

    def all(self) -> list[int]:
        """Every position once."""
        return list(dict.fromkeys([*self.certain, *self.uncertain, *self.certain_wrong]))


def choose(view: RunView, caps: Caps) -> Choice:
    """Choose the most certain, the least certain, and the most certain among the wrong answers, by the best estimator."""
    names = [n for n in view.ranked() if n in view.scores and np.isfinite(view.scores[n]).any()]
    if not names or caps.items < 1:
        return Choice(names[0] if names else None, [], [], [])
    score = view.scores[names[0]]
    order = np.argsort(score, kind="stable")
    order = order[np.isfinite(score[order])]
    k = min(caps.items, (len(order) + 1) // 2)
    last = min(caps.items, len(order) - k)
    inner = order[k : len(order) - last]
    wrong = inner[view.correct[inner] == 0][: caps.items]
    return Choice(names[0], order[:k].tolist(), order[::-1][:last].tolist(), wrong.tolist())


def items(view: RunView, choice: Choice, found: Scan, caps: Caps) -> Html:
    """Return the cards of the chosen items under the legend of the token colours."""
    if choice.estimator is None:
        return empty("No item has a score, so none can be called most or least certain.")
    if not choice.all():
        return empty("The items are left out to keep this file small.")
    ranks = np.argsort(np.argsort(np.where(np.isnan(view.scores[choice.estimator]), np.inf, view.scores[choice.estimator]), kind="stable"))
    lists = (
        ("Most certain", choice.certain, "No item has a score."),
        ("Least certain", choice.uncertain, "Only one item has a score; it stands above."),
        ("Wrong though certain", choice.certain_wrong, "No other answer is known to be wrong."),
    )
    parts: list[object] = [
        el("p", "Ordered by ", code(choice.estimator), f"; {len(choice.all())} of {view.n_items:,} items are shown."),
        legend() if any(_coloured(rows) for rows in found.rows.values()) else None,
    ]
    for title, positions, nothing in lists:
        cards = [_card(view, i, int(ranks[i]) + 1, choice.estimator, found.rows.get(view.item_ids[i], []), caps) for i in positions]
        parts += [el("p", el("strong", title), cls="list"), el("div", *cards, cls="cards") if cards else empty(nothing)]
    return join(parts)


def _coloured(rows: list[Mapping[str, Any]]) -> bool:
    return any(row.get("token_logprobs") for row in rows)


def legend() -> Html:
    """Return the legend of the token colours: a class has a colour and an underline of its own."""
    keys = [el("span", label, cls=f"tok {name}") for _, name, label in TOKEN_CLASSES]
    return el("div", el("span", "Probability the model gave each token:"), *keys, cls="legend")


def token_class(logprob: float | None) -> str:
    """Return the class of a token by its log-prob (nats); empty where it is unknown."""
    if logprob is None or math.isnan(logprob):
        return ""
    return next((name for low, name, _ in TOKEN_CLASSES if math.exp(min(logprob, 0.0)) >= low), "p5")


def _card(view: RunView, i: int, rank: int, estimator: str, rows: list[Mapping[str, Any]], caps: Caps) -> Html:
    kind, draw = view.answer
    answer = next((r for r in rows if r["kind"] == kind and int(r["draw"] or 0) == draw), None)
    grade, question, references = view.grade(i), view.question(i), view.references(i)
    where = f"{plain(estimator)} {number(float(view.scores[estimator][i]))}, rank {rank:,} of {view.n_items:,}"
    parts: list[object] = [
        el("p", _verdict(grade), " ", el("span", f"{where}; item {plain(view.item_ids[i])[:80]}", cls="label")),
        el("p", quote(question or "question not recorded", caps.question), cls="question" if question else "faint"),
        el("p", el("span", "Answer", cls="label"), _answer(answer, caps)),
        fold("reasoning", quote(str(answer["reasoning"]), caps.text)) if answer is not None and answer.get("reasoning") else None,
    ]
    if references:
        shown = [quote(r, 200) for r in references[:5]]
        more = f" and {len(references) - 5:,} more" if len(references) > 5 else None
        parts.append(el("p", el("span", "Accepted", cls="label"), join(shown, " \u00b7 "), more))
    if grade.get("correct") is None and grade.get("reason"):
        parts.append(el("p", el("span", "Why no verdict", cls="label"), quote(grade["reason"], 300)))
    parts.append(_samples([r for r in rows if r["kind"] == "sample"], caps))
    return el("article", *parts, cls="item")


def _verdict(grade: Mapping[str, Any]) -> Html:
    correct = grade.get("correct")
    name, cls = ("not judged", "unjudged") if correct is None else ("\u2713 right", "right") if correct else ("\u2717 wrong", "wrong")
    refused = el("span", "refused", cls="verdict unjudged") if grade.get("refused") else None
    return join([el("span", name, cls=f"verdict {cls}"), refused], " ") if refused else el("span", name, cls=f"verdict {cls}")


def _answer(row: Mapping[str, Any] | None, caps: Caps) -> Html:
    if row is None:
        return el("span", "none in the trace", cls="faint")
    first = row.get("answer_start") or 0
    if row.get("text") is None:
        return join([el("span", "failed: ", cls="faint"), quote(row.get("error") or "no reason recorded", 300)])
    texts, logprobs = row.get("token_texts"), row.get("token_logprobs")
    cut = el("span", " (cut off at the token limit)", cls="faint") if row.get("finish_reason") == "length" else None
    if texts and logprobs and len(texts) == len(logprobs):
        return join([_tokens(texts[first:], logprobs[first:], caps), cut])
    return join(
        [quote(row["text"], caps.text, cls="quote block" if len(row["text"]) > 4 * _SHORT else "quote"), cut, _bare(logprobs, caps)]
    )


def _tokens(texts: list[str | None], logprobs: list[float | None], caps: Caps) -> Html:
    spans, used = [], 0
    for text, logprob in list(zip(texts, logprobs, strict=True))[: caps.tokens]:
        if used >= caps.text:
            break
        shown = (text or "")[: caps.text - used]
        used += len(shown) or 1
        mark = join([el("span", "\u23ce", cls="faint"), visible(shown)]) if "\n" in shown else visible(shown) if shown else _END
        chance = "probability unknown" if logprob is None or math.isnan(logprob) else f"probability {math.exp(min(logprob, 0.0)):.3f}"
        spans.append(el("span", mark, cls=f"tok {token_class(logprob)}".strip(), title=chance))
    left = len(texts) - len(spans)
    note = el("span", f" \u2026 {left:,} more tokens left out", cls="faint") if left else None
    long = len(spans) > _SHORT or used > 4 * _SHORT
    return join([el("bdi", *spans, cls="tokens block" if long else "tokens", dir="auto", tabindex="0" if long else None), note])


def _bare(logprobs: list[float | None] | None, caps: Caps) -> Html | None:
    """The token probabilities alone, where the trace does not say which text each token has."""
    if not logprobs:
        return None
    chips = [
        el("span", "?" if p is None else f"{math.exp(min(p, 0.0)):.2f}", cls=f"tok {token_class(p)}".strip())
        for p in logprobs[: min(40, caps.tokens)]
    ]
    more = f" and {len(logprobs) - len(chips):,} more" if len(logprobs) > len(chips) else None
    return el("span", " Token probabilities (the trace holds no token texts): ", join(chips, " "), more, cls="small faint")


def _samples(rows: list[Mapping[str, Any]], caps: Caps) -> Html | None:
    if not rows:
        return None
    counts = Counter(str(r["text"]).strip() for r in rows if r["text"] is not None)
    failed = sum(r["text"] is None for r in rows)
    common = counts.most_common(caps.samples)
    lines = [el("li", el("span", f"{k} \u00d7", cls="count"), el("span", quote(text, min(caps.text, 300)))) for text, k in common]
    rest = len(counts) - len(common)
    if rest:
        lines.append(
            el(
                "li",
                el("span", cls="count"),
                el("span", f"{rest:,} further texts, {sum(counts.values()) - sum(k for _, k in common):,} samples, left out", cls="faint"),
            )
        )
    if failed:
        lines.append(el("li", el("span", f"{failed} \u00d7", cls="count"), el("span", "failed", cls="faint")))
    return fold(f"{len(rows)} samples, {len(counts)} distinct", el("ul", *lines, cls="samples"))
