"""Semantic entropy: the entropy over meanings rather than wordings, from sampled answers and their clusters.

Sources: Kuhn, Gal, Farquhar, arXiv 2302.09664; Farquhar et al., Nature 630 (2024), whose weighting is ``"rao"``. The estimators that go by
this name differ; each is an option here: ``rao`` (default), ``monte_carlo`` (LM-Polygraph), ``cluster_mean`` (2302.09664 as printed), and
``weights="count"`` for the discrete form; ``compat`` sets all options of a library at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.clusters import RULES, Rule, cluster_with_greedy, sample_clusters
from trueline.estimators.inputs import OnEmpty, choice, generations, greedy_logprobs, judgements, require_two, round_scores, sample_logprobs
from trueline.traces.trace import Trace

Weights = Literal["logprob", "count"]
ESTIMATORS = ("rao", "monte_carlo", "cluster_mean")


@dataclass(frozen=True)
class SemanticEntropy:
    r"""Entropy over clusters of meaning, in nats.

    With l_n the log-prob of sample n (``length_normalize``: l_n / T_n) and c(n) its cluster:
    ``rao``: P(c) proportional to the sum of exp(l_n) over c, :math:`-\sum_c P(c) \log P(c)`;
    ``monte_carlo``: :math:`-\frac1N \sum_n \log \sum_{m \in c(n)} e^{l_m}`, not normalised: repeated texts are summed twice and the value
    can be negative; ``unique=True`` counts each distinct text once inside the logarithm (its first occurrence);
    ``cluster_mean``: :math:`-\frac{1}{|C|} \sum_c \log \sum_{n \in c} e^{l_n}`.
    ``weights="count"``: discrete semantic entropy, :math:`-\sum_c \frac{n_c}{N} \log \frac{n_c}{N}`; needs texts alone, at most log N.

    ``normalize=True`` divides by log N. Identical answers give exactly 0 (``rao`` and discrete).
    ``compat="lm_polygraph"``: ``monte_carlo`` (discrete with ``weights="count"``). ``compat="uqlm"``: 1 minus its confidence, the greedy
    answer counted as one more sample, entailment one way, weights exp(l_n / T_n) or counts, divided by log (N + 1).
    """

    weights: Weights = "logprob"
    estimator: Literal["rao", "monte_carlo", "cluster_mean"] = "rao"
    length_normalize: bool = False
    unique: bool = False
    normalize: bool = False
    rule: Rule = "strict"
    any_law: bool = False
    on_empty: OnEmpty = "raise"
    compat: Literal["", "lm_polygraph", "uqlm"] = ""

    def __post_init__(self) -> None:
        """Refuse unknown options and combinations without a meaning."""
        choice("compat", self.compat, ("", "lm_polygraph", "uqlm"))
        fixed = ("estimator", "length_normalize", "normalize", "rule", *(("unique",) if self.compat == "uqlm" else ()))
        given = [name for name in fixed if getattr(self, name) != getattr(SemanticEntropy, name)]
        if self.compat and given:
            raise InputError(f"compat={self.compat!r} sets {', '.join(given)} itself; leave it at its default")
        choice("weights", self.weights, ("logprob", "count"))
        choice("estimator", self.estimator, ESTIMATORS)
        choice("rule", self.rule, RULES)
        if self.weights == "count" and (self.estimator != "rao" or self.length_normalize):
            raise InputError(
                "weights='count' uses no log-probs, so estimator and length_normalize do not apply; leave them at their defaults"
            )
        if self.unique and not self._monte_carlo:
            raise InputError("unique=True belongs to estimator='monte_carlo'")

    @property
    def _monte_carlo(self) -> bool:
        return self.weights == "logprob" and (self.estimator == "monte_carlo" or self.compat == "lm_polygraph")

    @property
    def needs(self) -> Needs:
        """Two samples and verdicts among them; log-probs unless ``weights="count"``; the model's own law for ``monte_carlo``.

        With ``compat="uqlm"`` the same of the greedy answer.
        """
        columns = {"text"} if self.weights == "count" else {"text", "token_logprobs"}
        if self.compat == "uqlm":
            both, verdicts = frozenset(columns), frozenset({"samples", "greedy_samples"})
            whole = frozenset({"greedy", "sample"} if self.weights == "logprob" else ())
            return Needs(greedy=both, samples=2, sample_columns=both, equivalence=verdicts, whole=whole)
        law = self._monte_carlo and not self.any_law
        whole = _whole(self.weights, self.length_normalize)
        return Needs(samples=2, sample_columns=frozenset(columns), equivalence=frozenset({"samples"}), model_law=law, whole=whole)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an item with fewer than 2 usable samples.

        Raises ``MissingTraceField`` (no verdicts), ``LawError``, ``EmptySequenceError``, ``InputError`` (bad log-probs, no item with 2).
        """
        if self.compat == "uqlm":
            return round_scores(_uqlm(trace, self.weights, self.on_empty))
        rows = weighted_samples(trace, self.weights, self.rule, self.length_normalize, self.on_empty, self.needs.model_law)
        if self._monte_carlo:
            mass = rows.cluster_log_mass(_first_occurrence(trace, rows) if self.unique else None)
            value = -np.bincount(rows.item, weights=mass[rows.cluster], minlength=trace.n_items) / np.maximum(rows.counts, 1)
        elif self.estimator == "rao":
            share = rows.cluster_shares()
            plogp = share * np.log(np.where(share > 0, share, 1.0))
            value = -np.bincount(rows.item_of_cluster, weights=plogp, minlength=trace.n_items).astype(np.float64)
        else:
            n_clusters = np.bincount(rows.item_of_cluster, minlength=trace.n_items)
            sums = np.bincount(rows.item_of_cluster, weights=rows.cluster_log_mass(None), minlength=trace.n_items)
            value = -sums / np.maximum(n_clusters, 1)
        if self.normalize:
            value = value / np.log(np.maximum(rows.counts, 2))
        return round_scores(np.where(rows.counts >= 2, value, np.nan))


def _uqlm(trace: Trace, weights: Weights, on_empty: OnEmpty) -> NDArray[np.float64]:
    """(n_items,) float64 in [0, 1]; NaN without a greedy answer or with fewer than 2 usable samples."""
    generations(trace, "greedy")
    logweight, own = np.zeros(len(trace.samples)), np.zeros(trace.n_items)
    if weights == "logprob":
        rows = sample_logprobs(trace, on_empty)
        logweight[:] = np.nan
        logweight[rows.row] = rows.logprob / rows.n_tokens
        own = greedy_logprobs(trace, on_empty).mean()
    counts, score = np.zeros(trace.n_items, dtype=np.int64), np.full(trace.n_items, np.nan)
    for i, item in enumerate(judgements(trace).items):
        if item is None:
            continue
        drawn = logweight[trace.samples.offsets[i] : trace.samples.offsets[i + 1]]
        used = np.flatnonzero((item.text_index >= 0) & ~np.isnan(drawn))
        counts[i] = len(used)
        if item.greedy_index < 0 or len(used) < 2 or np.isnan(own[i]):
            continue
        logs = np.concatenate([[own[i]], drawn[used]])
        mass = np.exp(logs - logs.max())
        share = np.bincount(cluster_with_greedy(item, used, "either"), weights=mass / mass.sum())
        score[i] = -(share * np.log(np.where(share > 0, share, 1.0))).sum() / np.log(len(logs))
    require_two(counts)
    return score


def _whole(weights: Weights, length_normalize: bool) -> frozenset[str]:
    """Sums of log-probs are those of whole samples."""
    return frozenset({"sample"}) if weights == "logprob" and not length_normalize else frozenset()


@dataclass(frozen=True)
class MaxClusterProbability:
    """1 - the largest cluster probability: the semantic analogue of 1 - max p; in [0, 1). ``weights``: count shares or summed exp(l_n)."""

    weights: Weights = "count"
    length_normalize: bool = False
    rule: Rule = "strict"
    on_empty: OnEmpty = "raise"

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("weights", self.weights, ("logprob", "count"))
        choice("rule", self.rule, RULES)

    @property
    def needs(self) -> Needs:
        """Two samples and verdicts among them; log-probs for ``weights="logprob"``."""
        columns = {"text"} if self.weights == "count" else {"text", "token_logprobs"}
        whole = _whole(self.weights, self.length_normalize)
        return Needs(samples=2, sample_columns=frozenset(columns), equivalence=frozenset({"samples"}), whole=whole)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 usable samples. Raises as ``SemanticEntropy.score``."""
        rows = weighted_samples(trace, self.weights, self.rule, self.length_normalize, self.on_empty)
        largest = np.zeros(trace.n_items)
        np.maximum.at(largest, rows.item_of_cluster, rows.cluster_shares())
        return round_scores(np.where(rows.counts >= 2, 1.0 - largest, np.nan))


@dataclass(frozen=True)
class WeightedSamples:
    """Usable samples with their weight and cluster, sorted by item, then cluster, then draw.

    item: (n,) int64. row: (n,) int64, position among the sampled rows. cluster: (n,) int64, numbered through the trace. logweight: (n,)
    float64. item_of_cluster: (n_clusters,) int64. counts: (n_items,) int64.
    """

    item: NDArray[np.int64]
    row: NDArray[np.int64]
    cluster: NDArray[np.int64]
    logweight: NDArray[np.float64]
    item_of_cluster: NDArray[np.int64]
    counts: NDArray[np.int64]

    def cluster_shares(self) -> NDArray[np.float64]:
        """(n_clusters,) float64 P(c), summing to 1 within an item; exactly 1 for the only cluster of an item."""
        top = np.full(len(self.counts), -np.inf)
        np.maximum.at(top, self.item, self.logweight)
        mass = np.bincount(self.cluster, weights=np.exp(self.logweight - top[self.item]), minlength=len(self.item_of_cluster))
        total = np.bincount(self.item_of_cluster, weights=mass, minlength=len(self.counts))
        return np.asarray(mass / total[self.item_of_cluster], dtype=np.float64)

    def cluster_log_mass(self, keep: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        """(n_clusters,) float64 log of the summed weights, over the samples kept (each cluster keeps at least one)."""
        cluster, weight = (self.cluster, self.logweight) if keep is None else (self.cluster[keep], self.logweight[keep])
        starts = np.flatnonzero(np.diff(cluster, prepend=-1))
        return np.asarray(np.logaddexp.reduceat(weight, starts) if len(starts) else weight, dtype=np.float64)


def weighted_samples(
    trace: Trace, weights: Weights, rule: Rule, length_normalize: bool, on_empty: OnEmpty, model_law: bool = False
) -> WeightedSamples:
    """Join clusters and log-probs: a sample is used when it has a text and, for ``weights="logprob"``, token log-probs."""
    if weights == "logprob":
        logprobs = sample_logprobs(trace, on_empty, model_law=model_law)
        clusters = sample_clusters(trace, rule)
        row, value = logprobs.row, logprobs.logprob / logprobs.n_tokens if length_normalize else logprobs.logprob
        used = clusters.label[row] >= 0
        row, value = row[used], value[used]
    else:
        clusters = sample_clusters(trace, rule)
        row = np.flatnonzero(clusters.label >= 0)
        value = np.zeros(len(row))
    item, label = clusters.item[row], clusters.label[row]
    order = np.lexsort((label, item))
    row, value, item, label = row[order], value[order], item[order], label[order]
    opens = (np.diff(item, prepend=-1) != 0) | (np.diff(label, prepend=-1) != 0)
    counts = np.bincount(item, minlength=trace.n_items)
    require_two(counts)
    return WeightedSamples(item, row, np.cumsum(opens) - 1, value, item[opens], counts)


def _first_occurrence(trace: Trace, rows: WeightedSamples) -> NDArray[np.bool_]:
    """(n,) bool: the first sample, in draw order, with its text in its item and cluster."""
    texts = trace.samples.table["text"].combine_chunks().dictionary_encode().indices.fill_null(-1)
    code = np.asarray(texts.to_numpy(zero_copy_only=False), dtype=np.int64)[rows.row]
    _, first = np.unique(np.stack([rows.cluster, code]), axis=1, return_index=True)
    keep = np.zeros(len(rows.row), dtype=bool)
    keep[first] = True
    return keep
