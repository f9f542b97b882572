"""From a trace to similarities: every distinct pair once in a run, and once over all runs with one cache file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.estimators.equivalence.base import Verdicts
from trueline.estimators.equivalence.cache import PairCache
from trueline.estimators.pairs import COMPARED, Pair, flat_pairs
from trueline.estimators.similarity.base import Compared, Similarity
from trueline.traces.judgements import Similarities
from trueline.traces.trace import Trace


class SimilarityCache:
    """Similarities on disk, in the file format of verdicts: the value stands where P(entail) stands."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Open or create. Raises ``InputError`` when the file is not such a cache."""
        self._pairs = PairCache(path)

    def __enter__(self) -> SimilarityCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._pairs.close()

    def __len__(self) -> int:
        return len(self._pairs)

    def get(self, fingerprint: str, pairs: Sequence[Pair]) -> dict[Pair, tuple[float, bool]]:
        """The stored values among ``pairs``: pair -> (similarity, truncated)."""
        return {pair: (row[0], row[3]) for pair, row in self._pairs.get(fingerprint, pairs).items()}

    def put(self, fingerprint: str, pairs: Sequence[Pair], compared: Compared) -> None:
        """Store similarities, durably. Raises ``StorageError`` when the file cannot be written."""
        probs = np.zeros((len(pairs), 3))
        probs[:, 0] = compared.values
        self._pairs.put(fingerprint, pairs, Verdicts(probs, compared.truncated))


def compare_trace(
    trace: Trace, similarity: Similarity, cache: SimilarityCache | Path | str | None = None, *, wanted: Iterable[str]
) -> Similarities:
    """Similarities between the texts that ``wanted`` names (``Needs.similarity``); attach them with ``trace.with_similarities``.

    Raises ``InputError`` for an unknown name or a similarity outside [0, 1], ``ModelError`` when a checkpoint cannot be used.
    """
    names = sorted(set(wanted))
    for name in names:
        if name not in COMPARED:
            raise InputError(f"no pairs are called {name!r}; known: {', '.join(COMPARED)}")
    if isinstance(cache, SimilarityCache):
        return _compare(trace, similarity, cache, names)
    with SimilarityCache(cache) as opened:
        return _compare(trace, similarity, opened, names)


def _compare(trace: Trace, similarity: Similarity, cache: SimilarityCache, names: Sequence[str]) -> Similarities:
    pairs = {name: flat_pairs(trace, name, COMPARED) for name in names}
    index: dict[Pair, int] = {}
    for items in pairs.values():
        for found in items:
            for a, b in found or ():
                if a != b:
                    index.setdefault(_ordered(a, b), len(index))
    compared, n_asked = _ask(similarity, list(index), cache)
    table = np.concatenate([compared.values, [1.0]])  # -1: equal texts
    values = {
        name: tuple(None if found is None else table[[-1 if a == b else index[_ordered(a, b)] for a, b in found]] for found in items)
        for name, items in pairs.items()
    }
    settings: dict[str, object] = {
        "fingerprint": similarity.fingerprint(),
        "pairs": len(index),
        "asked": n_asked,
        "truncated": int(compared.truncated.sum()),
    }
    return Similarities(similarity.name, values, settings)


def _ordered(a: str, b: str) -> Pair:
    """One order for both, so that a pair is never compared the other way round as well."""
    return (a, b) if a <= b else (b, a)


def _ask(similarity: Similarity, pairs: Sequence[Pair], cache: SimilarityCache) -> tuple[Compared, int]:
    fingerprint = similarity.fingerprint()
    known = cache.get(fingerprint, pairs) if similarity.kept else {}
    values: NDArray[np.float64] = np.full(len(pairs), np.nan)
    truncated = np.zeros(len(pairs), dtype=bool)
    for k, pair in enumerate(pairs):
        if pair in known:
            values[k], truncated[k] = known[pair]
    # similar lengths together: little padding
    todo = sorted((k for k, pair in enumerate(pairs) if pair not in known), key=lambda k: len(pairs[k][0]) + len(pairs[k][1]))
    for start in range(0, len(todo), similarity.batch_size):
        batch = todo[start : start + similarity.batch_size]
        asked = [pairs[k] for k in batch]
        found = similarity.compare(asked)
        if found.values.shape != (len(batch),) or not ((found.values >= 0) & (found.values <= 1)).all():
            raise InputError(f"the similarity {similarity.name} returned values of shape {found.values.shape} or outside [0, 1]")
        if similarity.kept:
            cache.put(fingerprint, asked, found)
        values[batch], truncated[batch] = found.values, found.truncated
    return Compared(values, truncated), len(todo)
