"""Random answer trees: a world of sequences small enough to enumerate, on which sequence uncertainty is known exactly.

A tree is a next-token law at every prefix over the end token and a few others; at the longest length the end token is certain.
The design is that of the first proof of G-NLL (Aichberger et al., arXiv 2412.15176): one concentration for each tree, so that some
trees are peaked and others flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError

EOS = 0
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class AnswerTree:
    """One tree.

    ``laws`` maps each inner prefix (no end token) to its next-token law: (n_tokens,) float64, token 0 ends the sequence. A sequence
    holds at most ``max_len`` tokens, the end token included.
    """

    laws: dict[Tokens, NDArray[np.float64]]
    max_len: int

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary, the end token included."""
        return len(self.laws[()])

    def next_token(self, prefix: Tokens) -> NDArray[np.float64]:
        """(n_tokens,) float64: probabilities of the next token; at the longest length the end token is certain."""
        if len(prefix) >= self.max_len - 1:
            law = np.zeros(self.n_tokens)
            law[EOS] = 1.0
            return law
        return self.laws[tuple(prefix)]

    def sequences(self) -> Iterator[tuple[Tokens, float]]:
        """Every sequence (end token included) with its log-probability in nats; -inf for an impossible one."""
        frontier: list[tuple[Tokens, float]] = [((), 0.0)]
        while frontier:
            prefix, logprob = frontier.pop()
            for token, p in enumerate(self.next_token(prefix)):
                if len(prefix) == self.max_len - 1 and token != EOS:
                    continue
                total = logprob + (math.log(p) if p > 0.0 else -math.inf)
                if token == EOS:
                    yield (*prefix, EOS), total
                else:
                    frontier.append(((*prefix, token), total))

    def entropy(self) -> float:
        """Exact Shannon entropy of the sequence law, nats."""
        return math.fsum(-math.exp(lp) * lp for _, lp in self.sequences() if lp > -math.inf)

    def mode(self) -> tuple[Tokens, float]:
        """The most probable sequence and its log-probability; minus that is the min-entropy. Ties: the lowest token ids."""
        return min(self.sequences(), key=lambda s: (-s[1], s[0]))

    def greedy(self) -> tuple[Tokens, list[float]]:
        """The greedy sequence and its token log-probabilities; ties go to the lowest token id."""
        return self._walk(lambda law: int(np.argmax(law)))

    def greedy_after(self, prefix: Tokens) -> Tokens:
        """The sequence that begins with ``prefix`` and goes on greedily."""
        tokens = list(prefix)
        while tokens[-1] != EOS:
            tokens.append(int(np.argmax(self.next_token(tuple(tokens)))))
        return tuple(tokens)

    def entropies(self, sequence: Tokens) -> NDArray[np.float64]:
        """(T,) float64: entropy in nats of the next-token law before each token of a sequence."""
        laws = [self.next_token(sequence[:t]) for t in range(len(sequence))]
        return np.array([-math.fsum(p * math.log(p) for p in law if p > 0.0) + 0.0 for law in laws])

    def sample(self, rng: np.random.Generator) -> tuple[Tokens, list[float]]:
        """One sequence from the tree's own law and its token log-probabilities."""
        return self._walk(lambda law: int(np.searchsorted(np.cumsum(law)[:-1], rng.random(), side="right")))

    def _walk(self, choose: Any) -> tuple[Tokens, list[float]]:
        tokens: list[int] = []
        logprobs: list[float] = []
        while not tokens or tokens[-1] != EOS:
            law = self.next_token(tuple(tokens))
            token = choose(law)
            tokens.append(token)
            logprobs.append(math.log(law[token]))
        return tuple(tokens), logprobs


def random_tree(rng: np.random.Generator, *, n_words: int = 4, max_len: int = 4) -> AnswerTree:
    """A tree whose inner laws are Dirichlet(c, ..., c) with one concentration c = 10^U(-1.6, 0.5).

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_words : int
        Tokens beside the end token.
    max_len : int
        Longest sequence, the end token included.
    """
    if n_words < 1 or max_len < 1:
        raise InputError(f"a tree needs n_words >= 1 and max_len >= 1, got {n_words} and {max_len}")
    concentration = 10.0 ** rng.uniform(-1.6, 0.5)
    laws: dict[Tokens, NDArray[np.float64]] = {}
    level: list[Tokens] = [()]
    for _ in range(max(1, max_len - 1)):
        for prefix in level:
            laws[prefix] = rng.dirichlet(np.full(n_words + 1, concentration))
        level = [(*prefix, word) for prefix in level for word in range(1, n_words + 1)]
    return AnswerTree(laws, max_len)


@dataclass(frozen=True)
class TreeWorld:
    """Trees with a greedy sequence, samples and a truth each.

    ``wrong``: (n_trees,) bool, the greedy sequence is not the truth.
    """

    trees: tuple[AnswerTree, ...]
    greedy: tuple[tuple[Tokens, list[float]], ...]
    samples: tuple[tuple[tuple[Tokens, list[float]], ...], ...]
    truth: tuple[Tokens, ...]
    wrong: NDArray[np.bool_]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Trace records of the greedy sequence and the samples of every tree, for ``traces.make_trace``."""
        for i, (greedy, samples) in enumerate(zip(self.greedy, self.samples, strict=True)):
            yield _row(i, "greedy", *greedy, token_entropy=self.trees[i].entropies(greedy[0]).tolist())
            for sample in samples:
                yield _row(i, "sample", *sample, temperature=1.0, top_p=1.0, top_k=0)

    def perturbed_rows(self, points: Mapping[str, Callable[[NDArray[np.float64]], int]]) -> Iterator[dict[str, Any]]:
        """Trace records of perturbed greedy sequences. points: kind of row -> function of the token entropies (T,) that names a token.

        The token is replaced by every other one, and the tree goes on greedily. At the longest length the end token has no alternative:
        nothing changes, which two copies of the greedy sequence say.
        """
        for i, (tree, (greedy, _)) in enumerate(zip(self.trees, self.greedy, strict=True)):
            entropies = tree.entropies(greedy)
            for kind, point in points.items():
                at = point(entropies)
                others = [t for t in range(tree.n_tokens) if t != greedy[at]] if at < tree.max_len - 1 else []
                for sequence in [tree.greedy_after((*greedy[:at], t)) for t in others] or [greedy, greedy]:
                    yield {"item_id": f"tree/{i}", "kind": kind, "text": " ".join(map(str, sequence)), "perturbed_at": at}


def tree_world(
    n_trees: int, n_samples: int, rng: np.random.Generator, *, own_law: float = 0.9, n_words: int = 4, max_len: int = 4
) -> TreeWorld:
    """Random trees whose truth is drawn from the tree's own law with probability ``own_law``, else uniformly over all sequences.

    Raises
    ------
    InputError
        For a negative count or ``own_law`` outside [0, 1].
    """
    if n_trees < 1 or n_samples < 0 or not 0.0 <= own_law <= 1.0:
        raise InputError(f"got n_trees={n_trees}, n_samples={n_samples}, own_law={own_law}; expected >= 1, >= 0, in [0, 1]")
    trees = tuple(random_tree(rng, n_words=n_words, max_len=max_len) for _ in range(n_trees))
    truth = []
    for tree in trees:
        if rng.random() < own_law:
            truth.append(tree.sample(rng)[0])
        else:
            every = sorted(sequence for sequence, _ in tree.sequences())
            truth.append(every[int(rng.integers(len(every)))])
    greedy = tuple(tree.greedy() for tree in trees)
    samples = tuple(tuple(tree.sample(rng) for _ in range(n_samples)) for tree in trees)
    wrong = np.array([g != t for (g, _), t in zip(greedy, truth, strict=True)])
    return TreeWorld(trees, greedy, samples, tuple(truth), wrong)


def _row(index: int, kind: str, tokens: Tokens, logprobs: list[float], **law: Any) -> dict[str, Any]:
    return {
        "item_id": f"tree/{index}",
        "kind": kind,
        "text": " ".join(map(str, tokens)),
        "tokens": list(tokens),
        "token_logprobs": list(logprobs),
        "logprob_law": "model",
        "finish_reason": "eos",
        **law,
    }
