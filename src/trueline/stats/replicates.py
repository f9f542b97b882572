"""Replicate values of metrics, by the cheapest draw that is good enough: on cells, on whole rows, or from a bag of little bootstraps.

Little bootstraps (for very many rows): Kleiner et al. 2014.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trueline.stats.cells import Cells
from trueline.stats.draws import draws, generators, may_lose_a_class, redraw
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import SortedSample

if TYPE_CHECKING:
    from trueline.stats.engine import CI, Metric

_LONG = 10_000
_LITTLE_SUBSETS, _LITTLE_EXPONENT = 20, 0.7
# Cells serve from this many rows on, where they are a quarter of them at most, and where on draws of whole rows they miss the value by
# less than this share of its spread. The miss is noise of its own, so that a tenth changes the spread by half a per cent; 1000 replicates
# know it to 2 %.
_CELLS_FROM, _CELLS_SHARE = 4_000, 0.25
_CELLS_CHECKS, _CELLS_ERROR = 8, 0.1


@dataclass(frozen=True, eq=False)
class Replicates:
    """(n_boot,) values of one metric, what was drawn, and the cells they were computed on."""

    values: FloatArray
    unit: str
    cells: Cells | None = None


# A metric and the cells on which it is computed, None for the rows themselves.
View = tuple["Metric", Cells | None]


def point(metric: Metric, sample: SortedSample) -> float:
    """Return the value of a metric on the sample itself, before its link."""
    return float(metric.value(sample, sample.weights[None, :])[0])


def replicate(sample: SortedSample, metrics: Sequence[Metric], ci: CI) -> dict[str, FloatArray]:
    """Return (n_boot,) replicate values of each metric; all metrics drawn on the same rows or cells see the same weights."""
    return {name: found.values for name, found in replicates(sample, metrics, ci).items()}


def replicates(sample: SortedSample, metrics: Sequence[Metric], ci: CI) -> dict[str, Replicates]:
    """Return the replicates of each metric; they do not depend on which other metrics are asked for."""
    unit = f"{'stratified ' if sample.stratum is not None else ''}{'cluster ' if sample.cluster is not None else ''}replicates"
    found = _on_cells(sample, metrics, ci, unit)
    rest = [m for m in metrics if m.name not in found]
    little = [m for m in rest if sample.cluster is None and sample.stratum is None and sample.n_rows > m.little_from]
    if little:
        found |= {
            name: Replicates(values, "little-bootstrap replicates") for name, values in _little_bootstraps(sample, little, ci).items()
        }
    rows = [(m, None) for m in rest if m not in little]
    if rows:
        found |= {name: Replicates(values, unit) for name, values in _drawn(sample, rows, ci, ci.n_boot).items()}
    return found


def _on_cells(sample: SortedSample, metrics: Sequence[Metric], ci: CI, unit: str) -> dict[str, Replicates]:
    """Replicates of the metrics that cells serve, moved from the cells' own value to the full value."""
    if sample.n_rows <= _CELLS_FROM:
        return {}
    made = [(m, m.cells(sample)) for m in metrics if m.cells is not None]
    views = [(m, cells) for m, cells in made if cells is not None and cells.sample.n_rows <= _CELLS_SHARE * sample.n_rows]
    if not views:
        return {}
    if sample.cluster is None and sample.stratum is None and np.array_equal(sample.weights, sample.multiplicity):
        values: dict[str, FloatArray] = {}
        for one in {id(cells): cells for _, cells in views}.values():
            values |= _drawn(one.sample, [(m, None) for m, cells in views if cells is one], ci, ci.n_boot)
    else:
        values = _drawn(sample, views, ci, ci.n_boot)
    good = _close_enough(sample, views, ci, values)
    shift = {m.name: point(m, sample) - point(m, cells.sample) for m, cells in views if m.name in good}
    return {m.name: Replicates(values[m.name] + shift[m.name], unit, cells) for m, cells in views if m.name in good}


def _close_enough(sample: SortedSample, views: Sequence[tuple[Metric, Cells]], ci: CI, values: dict[str, FloatArray]) -> set[str]:
    """Names of the metrics whose value on cells follows that on rows, over a few draws of rows."""
    rows = _drawn(sample, [(m, None) for m, _ in views], ci, _CELLS_CHECKS)
    cells = _drawn(sample, views, ci, _CELLS_CHECKS)
    # NaN compares as false: a metric undefined in a draw keeps to the rows.
    return {m.name for m, _ in views if np.std(rows[m.name] - cells[m.name]) <= _CELLS_ERROR * np.std(values[m.name])}


def _drawn(sample: SortedSample, views: Sequence[View], ci: CI, n_boot: int) -> dict[str, FloatArray]:
    rng, spare = generators(ci.seed)
    return _run(sample, views, draws(sample, ci.kind == "bayesian", rng, n_boot, sample.n), spare, ci, sample.n)


def _run(
    sample: SortedSample, views: Sequence[View], weights: Iterator[FloatArray], spare: np.random.Generator, ci: CI, total: int
) -> dict[str, FloatArray]:
    if sample.n_rows > _LONG:
        # glibc hands every block above its threshold back to the system at once, and a replicate would fault its pages in again; the
        # threshold follows the largest block freed. This one is never touched, so it costs nothing (measured: 2 to 3 times faster).
        np.empty(1 << 21)
    parts: dict[str, list[FloatArray]] = {m.name: [] for m, _ in views}
    both = any(m.both_classes for m, _ in views) and sample.binary and may_lose_a_class(sample)
    for drawn in weights:
        mixed = redraw(sample, drawn, ci.kind == "bayesian", spare, total) if both else drawn
        summed: dict[tuple[int, bool], FloatArray] = {}
        for m, cells in views:
            own = mixed if m.both_classes else drawn
            if cells is not None:
                key = id(cells), own is drawn
                if key not in summed:
                    summed[key] = cells.weights(own)
                own = summed[key]
            parts[m.name].append((m.rough or m.value)(sample if cells is None else cells.sample, own))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _little_bootstraps(sample: SortedSample, metrics: Sequence[Metric], ci: CI) -> dict[str, FloatArray]:
    """Replicates from subsets of n^0.7 rows whose counts sum to n, moved from each subset's own value to the full value."""
    rng, spare = generators(ci.seed)
    size = int(sample.n_rows**_LITTLE_EXPONENT)
    share = np.diff(np.linspace(0, ci.n_boot, _LITTLE_SUBSETS + 1).round().astype(int))
    full = {m.name: point(m, sample) for m in metrics}
    parts: dict[str, list[FloatArray]] = {m.name: [] for m in metrics}
    for n_boot in share[share > 0]:
        subset = sample.take(np.sort(rng.choice(sample.n_rows, size, replace=False)))
        weights = draws(subset, ci.kind == "bayesian", rng, int(n_boot), sample.n)
        values = _run(subset, [(m, None) for m in metrics], weights, spare, ci, sample.n)
        for m in metrics:
            scaled = subset.weights * (sample.weights.sum() / subset.weights.sum())
            centre = float((m.rough or m.value)(subset, scaled[None, :])[0])
            parts[m.name].append(values[m.name] - centre + full[m.name])
    return {name: np.concatenate(values) for name, values in parts.items()}
