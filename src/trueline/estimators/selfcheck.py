"""SelfCheckGPT: is a sentence of the answer supported by other samples? (Manakul, Liusie, Gales, arXiv 2303.08896)"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import choice, generations, pair_verdicts, require_two, round_scores, similarities
from trueline.estimators.pairs import answer_texts
from trueline.tasks.sentences import sentences
from trueline.traces.trace import Trace

_TEXT = frozenset({"text"})


_NEEDS = Needs(greedy=_TEXT, samples=2, sample_columns=_TEXT)


def _checked(trace: Trace) -> Iterator[tuple[int, str, list[str], list[str]]]:
    """(item, greedy answer, its sentences, samples) of items that have a sentence and two samples."""
    generations(trace, "greedy").require("text")
    generations(trace, "sample").require("text")
    answers = list(answer_texts(trace))
    require_two(np.array([len(samples) for _, samples in answers]))
    for i, (greedy, samples) in enumerate(answers):
        parts = sentences(greedy) if greedy is not None else []
        if greedy is not None and parts and len(samples) >= 2:
            yield i, greedy, parts, samples


@dataclass(frozen=True)
class SelfCheckNLI:
    """Mean over sentences and samples of P(contradict) / (P(contradict) + P(entail)), premise the sentence; in [0, 1]."""

    @property
    def needs(self) -> Needs:
        """The greedy answer, two samples, and the verdicts of its sentences against them."""
        return _NEEDS | Needs(equivalence=frozenset({"sentences"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an answer without a sentence or fewer than 2 samples. Raises ``MissingTraceField``."""
        verdicts = pair_verdicts(trace, "sentences")
        scores = np.full(trace.n_items, np.nan)
        for i, _, parts, samples in _checked(trace):
            found = verdicts[i]
            if found is not None:
                scores[i] = selfcheck_nli(found.reshape(len(parts), len(samples), 3)).mean()
        return round_scores(scores)


@dataclass(frozen=True)
class SelfCheckSimilarity:
    """1 - the mean over sentences and samples of the similarity to the sample's most similar sentence; in [0, 1].

    With ``similarity=bertscore:PATH`` it is SelfCheck-BERTScore.
    """

    @property
    def needs(self) -> Needs:
        """The greedy answer, two samples, and the similarities of their sentences."""
        return _NEEDS | Needs(similarity=frozenset({"sentences"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an answer without a sentence or fewer than 2 samples. Raises ``MissingTraceField``."""
        values = similarities(trace, "sentences")
        scores = np.full(trace.n_items, np.nan)
        for i, _, parts, samples in _checked(trace):
            found = values[i]
            if found is not None:
                counts = [len(sentences(sample)) or 1 for sample in samples]
                best = np.maximum.reduceat(found, np.concatenate([[0], np.cumsum(counts * len(parts))[:-1]]))
                scores[i] = 1.0 - best.mean()
        return round_scores(scores)


@dataclass(frozen=True)
class SelfCheckNgram:
    """Surprise of the answer's words under an n-gram model of answer and samples, in nats; the mean over its sentences.

    reduce: the mean or the largest over the words of a sentence.
    """

    n: int = 1
    reduce: Literal["mean", "max"] = "max"

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("reduce", self.reduce, ("mean", "max"))
        if self.n < 1:
            raise InputError(f"n={self.n} must be at least 1")

    @property
    def needs(self) -> Needs:
        """The greedy answer and two samples."""
        return _NEEDS

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an answer without a sentence or fewer than 2 samples. Raises ``MissingTraceField``."""
        scores = np.full(trace.n_items, np.nan)
        for i, greedy, parts, samples in _checked(trace):
            if self.n > 1:  # start marks stand before sentences, so sentences are the texts that are counted
                found = selfcheck_ngram(parts[0], [*parts[1:], *(p for s in samples for p in sentences(s))], parts, self.n)
            else:
                found = selfcheck_ngram(greedy, samples, parts)
            scores[i] = found.passage_average if self.reduce == "mean" else found.passage_maximum
        return round_scores(scores)


@dataclass(frozen=True)
class SelfCheckPrompt:
    """The model is asked whether each sample supports each sentence: yes 0, no 1, else 0.5; the mean, in [0, 1]."""

    @property
    def needs(self) -> Needs:
        """The probe, which needs the greedy answer and two samples."""
        return _NEEDS | Needs(probes=frozenset({"selfcheck_prompt"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN where nothing could be asked. A reply that failed is left out. Raises ``MissingTraceField``."""
        rows = generations(trace, "selfcheck_prompt")
        asked = {i for i, *_ in _checked(trace)}
        scores = np.full(trace.n_items, np.nan)
        for i in asked:
            replies = [text for text in rows.texts[rows.offsets[i] : rows.offsets[i + 1]] if text is not None]
            if replies:
                scores[i] = selfcheck_prompt([replies])[0]
        return round_scores(scores)


def selfcheck_nli(verdicts: ArrayLike) -> NDArray[np.float64]:
    """Mean over samples of P(contradict) / (P(contradict) + P(entail)): (n_sentences,) float64 in [0, 1].

    verdicts: (n_sentences, M, 3) float64, premise the sentence, hypothesis the sample. The passage's score is the mean over sentences.
    Raises ``InputError`` for shapes, no sample or NaN.
    """
    probs = np.asarray(verdicts, dtype=np.float64)
    if probs.ndim != 3 or probs.shape[2] != 3 or not probs.shape[1] or np.isnan(probs).any():
        raise InputError(f"verdicts of shape {probs.shape}; expected (n_sentences, M, 3) with M >= 1 and no NaN")
    entail, contradict = probs[..., 0], probs[..., 2]
    total = entail + contradict
    # a wholly neutral verdict says as much for as against
    return np.asarray(np.where(total > 0, contradict / np.where(total > 0, total, 1.0), 0.5).mean(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class NgramScores:
    """Per sentence, in nats: (n_sentences,) float64 ``average`` and ``maximum`` of -log p over its words; ``passage_*`` for the whole."""

    average: NDArray[np.float64]
    maximum: NDArray[np.float64]

    @property
    def passage_average(self) -> float:
        """Mean of the sentences' averages."""
        return float(self.average.mean())

    @property
    def passage_maximum(self) -> float:
        """Mean of the sentences' maxima."""
        return float(self.maximum.mean())


def selfcheck_ngram(passage: str, samples: Sequence[str], sentences: Sequence[str], n: int = 1) -> NgramScores:
    """Surprise of each sentence's words under an n-gram model of passage and samples, without smoothing.

    n = 1: relative counts of words; n > 1: count(n-gram) / count(its first n - 1 words), n - 1 start marks before each text. Words are
    split at white space and lower-cased. A word the texts lack makes the score infinite.
    Raises ``InputError`` for an empty sentence or n < 1.
    """
    if n < 1 or not sentences or any(not sentence.split() for sentence in sentences):
        raise InputError(f"n={n} must be at least 1 and every sentence must have a word")
    grams: Counter[tuple[str, ...]] = Counter()
    for text in (passage, *samples):
        grams.update(_grams(text, n))
    contexts: Counter[tuple[str, ...]] = Counter()
    for gram, count in grams.items():
        contexts[gram[:-1]] += count
    surprise = [[_surprise(grams[gram], contexts[gram[:-1]]) for gram in _grams(sentence, n)] for sentence in sentences]
    return NgramScores(np.array([np.mean(s) for s in surprise]), np.array([np.max(s) for s in surprise]))


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = [""] * (n - 1) + text.lower().split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _surprise(count: int, of: int) -> float:
    return float(-np.log(count / of)) + 0.0 if count else float("inf")


def selfcheck_prompt(replies: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Replies to "does the sample support the sentence?": yes 0, no 1, else 0.5; mean over samples: (n_sentences,) float64 in [0, 1]."""
    if not replies or any(len(row) == 0 for row in replies):
        raise InputError("every sentence needs at least one reply")
    return np.array([np.mean([_support(reply) for reply in row]) for row in replies])


def _support(reply: str) -> float:
    word = re.match(r"\W*(yes|no)\b", reply.lower())
    return 0.5 if word is None else float(word[1] == "no")
