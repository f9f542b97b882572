"""Groups of raters whose preference rates are known on every pair of responses, and with them the exact gap and floor of any reward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trueline.errors import InputError
from trueline.metrics.preferences.floor import worst_case_mixture
from trueline.metrics.preferences.votes import Votes
from trueline.stats.estimate import FloatArray
from trueline.stats.logistic import sigmoid


@dataclass(frozen=True)
class PlantedPreferences:
    """True rates, (n_items, n_groups) float64: how often a rater of each group prefers the first response."""

    rates: FloatArray

    def counts(self, n_raters: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return votes for the first response, and votes: `n_raters` of each group on each item."""
        total = np.full(self.rates.shape, float(n_raters))
        return rng.binomial(n_raters, self.rates).astype(np.float64), total

    def panel(self, n_annotators: int, rng: np.random.Generator, *, spread: float = 0.0, share: float = 1.0) -> Votes:
        """Return the votes of a panel: `n_annotators` of each group, each judging about this share of the items.

        spread: standard deviation on the logit of what is an annotator's own, on all their items alike; rates are then those of a rater
        without any.
        """
        n, g = self.rates.shape
        item, who = (a.ravel() for a in np.meshgrid(np.arange(n), np.arange(g * n_annotators), indexing="ij"))
        kept = rng.random(len(item)) < share
        item, who = item[kept], who[kept]
        own = rng.normal(0.0, spread, g * n_annotators) if spread else np.zeros(g * n_annotators)
        group = who // n_annotators
        odds = np.log(self.rates) - np.log1p(-self.rates)
        choice = rng.random(len(item)) < sigmoid(odds[item, group] + own[who])
        return Votes(item, group, who, choice.astype(np.float64), [str(i) for i in range(n)], [str(j) for j in range(g)])

    def gap2(self, q: FloatArray) -> FloatArray:
        """Return the exact mean squared gap of probabilities, (n_items,), to each group."""
        return np.asarray(((q[:, None] - self.rates) ** 2).mean(axis=0))

    def floor2(self, target: FloatArray | None = None) -> float:
        """Return the least weighted squared gap of any single probability an item; without a target, the least worst one."""
        mixture = worst_case_mixture(self.rates, self.rates**2) if target is None else target / target.sum()
        return float((self.rates**2 @ mixture - (self.rates @ mixture) ** 2).mean())


def planted_preferences(n_items: int, noise: tuple[float, ...], seed: int = 0, scale: float = 1.2) -> PlantedPreferences:
    """Return a first group with rates sigmoid(scale z), z normal, and one more for each noise: normal noise of that sd on its logits.

    Raises ``InputError`` without an item.
    """
    if n_items < 1:
        raise InputError(f"n_items is {n_items}; expected at least 1")
    rng = np.random.default_rng(seed)
    first = scale * rng.normal(size=n_items)
    columns = [first, *(first + rng.normal(0.0, sd, n_items) for sd in noise)]
    return PlantedPreferences(sigmoid(np.column_stack(columns)))
