"""Clusters of answers that mean the same, from pairwise entailment verdicts.

Sources: bidirectional entailment, Kuhn, Gal, Farquhar, arXiv 2302.09664; components, Lin, Trivedi, Sun, arXiv 2305.19187.
Published code can move an answer already placed to a later cluster when the verdicts are not transitive; here the first fit stands:
answers come in draw order, a cluster is represented by its first member, labels count from 0 in the order of opening.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.estimators.inputs import choice, judgements, require_two
from trueline.traces.judgements import ItemJudgement
from trueline.traces.trace import Trace

Rule = Literal["strict", "loose", "either", "components"]
RULES = ("strict", "loose", "either", "components")

#: Items whose verdict matrices are stacked at once: bounds the memory at any size of the trace.
BLOCK = 4096


def cluster(probs: NDArray[np.float64], rule: Rule = "strict") -> NDArray[np.int64]:
    """Cluster labels of M answers.

    probs: (M, M, 3) or (n, M, M, 3) float64, P(entail), P(neutral), P(contradict) of premise i -> hypothesis j. Returns (M,) or (n, M)
    int64. ``strict``: joined to the first cluster whose first member it entails and is entailed by (argmax of the three); ``loose``: no
    contradiction either way and not both neutral; ``either``: entailment one way; ``components``: connected components of
    P(entail) > P(contradict) both ways. Raises ``InputError`` for another shape, NaN or rule.
    """
    choice("rule", rule, RULES)
    array = np.asarray(probs, dtype=np.float64)
    stack = array[None] if array.ndim == 3 else array
    if stack.ndim != 4 or stack.shape[1] != stack.shape[2] or stack.shape[3] != 3:
        raise InputError(f"verdicts have shape {array.shape}; expected (M, M, 3) or (n, M, M, 3)")
    if np.isnan(stack).any():
        raise InputError("verdicts hold NaN; every ordered pair of answers must be judged before clustering")
    same = equivalent(stack, np.swapaxes(stack, 1, 2), rule)
    labels = _components(same) if rule == "components" else _first_fit(same)
    return labels[0] if array.ndim == 3 else labels


def equivalent(forward: NDArray[np.float64], backward: NDArray[np.float64], rule: Rule) -> NDArray[np.bool_]:
    """(...,) bool from the verdicts (..., 3) of both directions."""
    if rule == "components":
        return np.asarray((forward[..., 0] > forward[..., 2]) & (backward[..., 0] > backward[..., 2]), dtype=np.bool_)
    one: NDArray[np.int64] = forward.argmax(axis=-1)
    two: NDArray[np.int64] = backward.argmax(axis=-1)
    if rule == "strict":
        same = (one == 0) & (two == 0)
    elif rule == "either":
        same = (one == 0) | (two == 0)
    else:
        same = (one != 2) & (two != 2) & ~((one == 1) & (two == 1))
    return np.asarray(same, dtype=np.bool_)


def _first_fit(same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, M, M) bool -> (n, M) labels; one pass over draws, all items at once."""
    n, m, _ = same.shape
    labels = np.zeros((n, m), dtype=np.int64)
    opens = np.zeros((n, m), dtype=bool)
    opened = np.zeros(n, dtype=np.int64)
    for i in range(m):
        fits = same[:, i, :i] & opens[:, :i]
        found = fits.any(axis=1)
        joins = np.zeros(n, dtype=np.int64)
        if i:
            joins = labels[np.arange(n), fits.argmax(axis=1)]
        labels[:, i] = np.where(found, joins, opened)
        opens[:, i] = ~found
        opened += ~found
    return labels


def _components(edges: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, M, M) bool -> (n, M) labels of connected components, in the order of their first member."""
    m = edges.shape[1]
    reach = edges | np.eye(m, dtype=bool)
    for _ in range(max(1, int(np.ceil(np.log2(max(m, 2)))))):
        reach = np.matmul(reach.astype(np.float32), reach.astype(np.float32)) > 0
    first = reach.argmax(axis=2)
    leads = first == np.arange(m)
    return np.take_along_axis(np.cumsum(leads, axis=1) - 1, first, axis=1).astype(np.int64)


@dataclass(frozen=True)
class SampleClusters:
    """Cluster of every sampled row of a trace.

    item: (n_rows,) int64. label: (n_rows,) int64, from 0 within the item; -1 where the sample is missing. counts: (n_items,) int64,
    samples that are not missing.
    """

    item: NDArray[np.int64]
    label: NDArray[np.int64]
    counts: NDArray[np.int64]


def sample_clusters(trace: Trace, rule: Rule = "strict") -> SampleClusters:
    """Clusters of all samples, computed once per trace and rule. Raises ``MissingTraceField`` without verdicts."""
    choice("rule", rule, RULES)
    result: SampleClusters = trace.cached(("clusters", rule), lambda: _cluster_trace(trace, rule))
    require_two(result.counts)
    return result


def _cluster_trace(trace: Trace, rule: Rule) -> SampleClusters:
    verdicts = judgements(trace)
    rows = trace.samples
    index = np.full(len(rows), -1, dtype=np.int64)
    for i, item in enumerate(verdicts.items):
        if item is not None:
            index[rows.offsets[i] : rows.offsets[i + 1]] = item.text_index
    counts = np.bincount(rows.item[index >= 0], minlength=trace.n_items)
    # verdicts of an equivalence relation are classes already: no matrix is needed
    label = _in_order_of_opening(rows.item, index) if verdicts.hard else _cluster_rows(trace, index, counts, rule)
    return SampleClusters(rows.item, label, counts)


def _in_order_of_opening(item: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Relabel classes per item from 0 in the order in which samples first show them; -1 stays."""
    label = np.full(len(index), -1, dtype=np.int64)
    used = np.flatnonzero(index >= 0)
    if not len(used):
        return label
    key = item[used] * (int(index.max()) + 1) + index[used]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # classes by their first row: items stay in order
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    opened_by = item[used][first[order]]
    start = np.searchsorted(opened_by, np.arange(int(item.max()) + 1))
    label[used] = rank[inverse] - start[item[used]]
    return label


def _cluster_rows(trace: Trace, index: NDArray[np.int64], counts: NDArray[np.int64], rule: Rule) -> NDArray[np.int64]:
    label = np.full(len(index), -1, dtype=np.int64)
    offsets = trace.samples.offsets
    for items, stack in verdict_blocks(trace, counts):
        for i, labels in zip(items, cluster(stack, rule), strict=True):
            span = slice(offsets[i], offsets[i + 1])
            label[span][index[span] >= 0] = labels
    return label


def cluster_with_greedy(item: ItemJudgement, used: NDArray[np.int64], rule: Rule) -> NDArray[np.int64]:
    """(1 + n,) int64 labels of the greedy answer, which comes first, and the n samples ``used``, positions among the item's draws."""
    texts = np.concatenate([[item.greedy_index], item.text_index[used]])
    return cluster(item.probs[np.ix_(texts, texts)], rule)


def verdict_blocks(trace: Trace, counts: NDArray[np.int64], least: int = 1) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Verdicts among samples, items of equal M together: (items (n,) int64, probs (n, M, M, 3) float64), ``BLOCK`` at most."""
    verdicts = judgements(trace)
    for m in np.unique(counts[counts >= least]):
        items = np.flatnonzero(counts == m)
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            yield block, np.stack([_verdicts(verdicts.items[i]) for i in block])


def _verdicts(item: ItemJudgement | None) -> NDArray[np.float64]:
    if item is None:
        raise InputError("an item with samples has no verdicts; judge the trace again")
    return item.samples()
