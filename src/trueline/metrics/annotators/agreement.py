"""Do the readers agree? Each reader is left out in turn and held against the aggregate of the others.

Stutz et al., arXiv 2307.02191, section 5. Published code divides by the padded number of readers; here by those who exist.
"""

from __future__ import annotations

import numpy as np

from trueline.metrics.annotators.certainty import DECIMALS
from trueline.metrics.annotators.irn import ranked_mass
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.stats.estimate import FloatArray

_CHUNK = 4096


def reader_agreement(rankings: PartialRankings) -> FloatArray:
    """Return 1 for each reader who names a top class of the others' IRN (any of the tied), else 0: (n_readers,); NaN for a lone reader."""
    mass = ranked_mass(rankings)
    k, n = rankings.num_classes, len(rankings.reader_case)
    met = np.zeros(n, dtype=bool)
    bounds = np.searchsorted(rankings.reader, np.arange(0, n + _CHUNK, _CHUNK))
    for number, start in enumerate(range(0, n, _CHUNK)):
        entry = slice(bounds[number], bounds[number + 1])
        size = min(_CHUNK, n - start)
        cell = (rankings.reader[entry] - start) * k + rankings.label[entry]
        own = np.bincount(cell, 1.0 / rankings.place[entry], minlength=size * k).reshape(size, k)
        others = np.round(mass[rankings.reader_case[start : start + size]] - own, DECIMALS)
        top = (others == others.max(axis=1, keepdims=True)) & (others > 0)
        met[start : start + size] = (top & (own > 0)).any(axis=1)
    alone = rankings.n_readers[rankings.reader_case] < 2
    return np.where(alone, np.nan, met.astype(np.float64))


def leave_one_reader_out_agreement(rankings: PartialRankings) -> FloatArray:
    """Return the share of a case's readers who agree with the others (see `reader_agreement`): (n_cases,), NaN with fewer than two."""
    per_reader = reader_agreement(rankings)
    counts = rankings.n_readers
    # a lone reader is NaN in the sum, and its case is undefined below
    total = np.bincount(rankings.reader_case, per_reader, minlength=rankings.n_cases)
    return np.asarray(np.divide(total, counts, out=np.full(rankings.n_cases, np.nan), where=counts > 1))
