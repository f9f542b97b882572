"""Lexical similarity: how much the wording of the sampled answers overlaps (Fomicheva et al., arXiv 2005.10608).

ROUGE: Lin, "ROUGE: a package for automatic evaluation of summaries" (2004), tokenised and Porter-stemmed as Google's rouge-score.
BLEU: Papineni et al. (2002), sentence level, without smoothing. LM-Polygraph weighs the orders of a three-word text .33 each
(``compat="lm_polygraph"``); here equally.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.inputs import choice, round_scores, sample_texts
from trueline.tasks.rouge import rouge_1_tokens, rouge_l_tokens, rouge_tokens
from trueline.traces.trace import Trace

METRICS = ("rougeL", "rouge1", "bleu")
Metric = Literal["rougeL", "rouge1", "bleu"]
Tokens = tuple[str, ...]
Compare = Callable[[Tokens, Tokens], float]


@dataclass(frozen=True)
class LexicalSimilarity:
    r"""Minus the mean similarity over pairs of samples, :math:`-\binom{M}{2}^{-1} \sum_{i<j} s(y_i, y_j)`; in [-1, 0].

    metric: F1 of ROUGE-L (longest common subsequence) or ROUGE-1 (shared words), or BLEU (i the reference, j the hypothesis).
    Trap: a text without any word of a-z or digits is similar to nothing, not even to itself (ROUGE's convention).
    """

    metric: Metric = "rougeL"
    compat: Literal["", "lm_polygraph"] = ""  # changes BLEU alone

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("metric", self.metric, METRICS)
        choice("compat", self.compat, ("", "lm_polygraph"))

    @property
    def needs(self) -> Needs:
        """Texts of two samples."""
        return Needs(samples=2, sample_columns=frozenset({"text"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError`` (no item with 2)."""
        score = np.full(trace.n_items, np.nan)
        # equal pairs recur between items and within them: each is compared once
        metrics: dict[str, Compare] = {"rougeL": rouge_l_tokens, "rouge1": rouge_1_tokens, "bleu": partial(bleu, compat=self.compat)}
        compare = lru_cache(maxsize=1 << 18)(metrics[self.metric])
        split: Callable[[str], Tokens] = lru_cache(maxsize=1 << 16)(_white_space if self.metric == "bleu" else rouge_tokens)
        for i, texts in sample_texts(trace):
            tokens = [split(text) for text in texts]
            score[i] = -(_mean_ordered(tokens, compare) if self.metric == "bleu" else _mean_symmetric(tokens, compare))
        return round_scores(score)


def _white_space(text: str) -> Tokens:
    return tuple(text.split())


def _mean_symmetric(texts: Sequence[Tokens], compare: Compare) -> float:
    count = Counter(texts)
    total = sum(n * (n - 1) / 2 * float(len(text) > 0) for text, n in count.items())
    for one, two in combinations(sorted(count), 2):
        total += count[one] * count[two] * compare(one, two)
    return total / (len(texts) * (len(texts) - 1) / 2)


def _mean_ordered(texts: Sequence[Tokens], compare: Compare) -> float:
    pairs = list(combinations(texts, 2))
    return sum(compare(reference, hypothesis) for reference, hypothesis in pairs) / len(pairs)


def bleu(reference: Tokens, hypothesis: Tokens, compat: str = "") -> float:
    """Geometric mean of the clipped n-gram precisions up to min(4, shorter length), times brevity penalty; 0 if an order has no match."""
    n_orders = min(4, len(reference), len(hypothesis))
    if n_orders == 0:
        return 0.0
    logs = 0.0
    for n in range(1, n_orders + 1):
        given, wanted = _ngrams(hypothesis, n), _ngrams(reference, n)
        hits = (given & wanted).total()
        if hits == 0:
            return 0.0
        logs += float(np.log(hits / given.total()))
    penalty = min(0.0, 1.0 - len(reference) / len(hypothesis))
    weight = 0.33 if compat and n_orders == 3 else 1.0 / n_orders
    return float(np.exp(logs * weight + penalty))


def _ngrams(words_: Tokens, n: int) -> Counter[Tokens]:
    return Counter(words_[i : i + n] for i in range(len(words_) - n + 1))
