"""Pairs of texts that estimators want judged or compared beside whole answers: sentences, answers with a token taken out or swapped.

Each function yields one list an item (None: nothing to ask), in an order that the estimator knows; values come back flat in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

from trueline.errors import MissingTraceField
from trueline.estimators.inputs import generations
from trueline.tasks.sentences import sentences
from trueline.traces.trace import Generations, Trace

Pair = tuple[str, str]
ItemPairs = Iterator[list[Pair] | None]

#: Alternatives of a token that are swapped in, the chosen token among them.
ALTERNATIVES = 10


def answer_texts(trace: Trace) -> Iterator[tuple[str | None, list[str]]]:
    """(text of the greedy answer or None, texts of the samples that are there, in draw order) of each item."""
    greedy: list[str | None] = [None] * trace.n_items
    if trace.greedy.has("text"):
        for i, text in zip(trace.greedy.item, trace.greedy.texts, strict=True):
            greedy[int(i)] = text
    rows = trace.samples
    texts = rows.texts if rows.has("text") else [None] * len(rows)
    for i in range(trace.n_items):
        yield greedy[i], [text for text in texts[rows.offsets[i] : rows.offsets[i + 1]] if text is not None]


def sample_pairs(trace: Trace) -> ItemPairs:
    """Samples i < j."""
    for _, samples in answer_texts(trace):
        yield list(combinations(samples, 2)) or None


def greedy_sample_pairs(trace: Trace) -> ItemPairs:
    """The greedy answer and each sample."""
    for greedy, samples in answer_texts(trace):
        yield [(greedy, text) for text in samples] if greedy is not None and samples else None


def sentence_pairs(trace: Trace) -> ItemPairs:
    """Each sentence of the greedy answer and each sample: (sentence, sample), samples fastest."""
    for greedy, samples in answer_texts(trace):
        parts = sentences(greedy) if greedy is not None else []
        yield list(product(parts, samples)) or None


def sentence_sentence_pairs(trace: Trace) -> ItemPairs:
    """Each sentence of the greedy answer, each sample, each sentence of that sample (a sample without one counts whole)."""
    for greedy, samples in answer_texts(trace):
        parts = sentences(greedy) if greedy is not None else []
        yield [(part, other) for part, sample in product(parts, samples) for other in sentences(sample) or [sample]] or None


def greedy_token_pairs(trace: Trace) -> ItemPairs:
    """Question and greedy answer, whole and without each of its tokens."""
    yield from _token_pairs(trace, generations(trace, "greedy"))


def sample_token_pairs(trace: Trace) -> ItemPairs:
    """The same of every sample in draw order, one after the other."""
    yield from _token_pairs(trace, generations(trace, "sample"))


def _token_pairs(trace: Trace, rows: Generations) -> ItemPairs:
    rows.require("token_texts")
    for i in range(trace.n_items):
        question = trace.questions[i] if trace.questions else ""
        found: list[Pair] = []
        for row in range(int(rows.offsets[i]), int(rows.offsets[i + 1])):
            pieces = rows.cell("token_texts", row) or []
            whole = f"{question} {''.join(pieces).strip()}"
            found += [
                (whole, f"{question} {''.join(pieces[:t] + pieces[t + 1 :]).strip()}" if piece else whole) for t, piece in enumerate(pieces)
            ]
        yield found or None


def alternative_pairs(trace: Trace) -> ItemPairs:
    """The greedy answer against itself with each token swapped for each alternative: (as it is, swapped), (swapped, as it is)."""
    for texts in swapped_texts(trace):
        if texts is None:
            yield None
            continue
        whole, swaps = texts
        yield [pair for swap in swaps for text in swap for pair in ((whole, text), (text, whole))] or None


def swapped_texts(trace: Trace) -> Iterator[tuple[str, list[list[str]]] | None]:
    """(greedy answer, for each token that has text the answers with its other alternatives) of each item; None without an answer."""
    rows = generations(trace, "greedy")
    for column in ("token_texts", "topk_texts"):
        rows.require(column)
    found: list[tuple[str, list[list[str]]] | None] = [None] * trace.n_items
    columns = [rows.nested(c) for c in ("token_texts", "topk_texts")]
    for row, (item, pieces, texts) in enumerate(zip(rows.item, *columns, strict=True)):
        if pieces is None or texts is None:
            continue
        others = other_alternatives(rows, row)
        swaps = [["".join([*pieces[:t], texts[t][k], *pieces[t + 1 :]]) for k in others[t]] for t, piece in enumerate(pieces) if piece]
        found[int(item)] = ("".join(pieces), swaps)
    yield from found


def other_alternatives(rows: Generations, row: int) -> list[list[int]]:
    """Of each token the places of its other alternatives, at most ``ALTERNATIVES - 1``: told apart by id, or by text without ids."""
    known = rows.has("topk_ids") and rows.table["topk_ids"][row].is_valid
    chosen, listed = ("tokens", "topk_ids") if known else ("token_texts", "topk_texts")
    own, options = rows.cell(chosen, row), rows.cell(listed, row)
    return [[k for k, option in enumerate(part) if option != token][: ALTERNATIVES - 1] for token, part in zip(own, options, strict=True)]


#: Pairs that a judge of same meaning is asked, by the name estimators give in ``Needs.equivalence``.
JUDGED: dict[str, Callable[[Trace], ItemPairs]] = {"sentences": sentence_pairs, "alternatives": alternative_pairs}
#: Pairs that a similarity compares, by the name in ``Needs.similarity``.
COMPARED: dict[str, Callable[[Trace], ItemPairs]] = {
    "samples": sample_pairs,
    "greedy_samples": greedy_sample_pairs,
    "sentences": sentence_sentence_pairs,
    "greedy_tokens": greedy_token_pairs,
    "sample_tokens": sample_token_pairs,
}


def flat_pairs(trace: Trace, name: str, table: dict[str, Callable[[Trace], ItemPairs]]) -> list[list[Pair] | None]:
    """The pairs of every item. A trace that lacks what they are made of has none at all."""
    try:
        return list(table[name](trace))
    except MissingTraceField:  # the estimator that wants them says what is missing
        return [None] * trace.n_items
