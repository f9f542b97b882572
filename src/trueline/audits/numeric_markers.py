"""Numbers as markers: "I am x% sure it is" before the answer, and how accuracy follows the stated level.

Zhou, Jurafsky and Hashimoto 2023 (arXiv 2302.13439).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trueline.audits.marker_audit import MarkerAudit
from trueline.audits.marker_summary import COMPARED, mean_estimate
from trueline.capturing import Progress
from trueline.errors import InputError
from trueline.metrics.marker_contrasts import class_contrast
from trueline.models.base import Model
from trueline.stats.estimate import FloatArray
from trueline.tasks.markers import Marker


@dataclass(frozen=True)
class NumericMarkerAudit(MarkerAudit):
    """Put a stated level of certainty in front of the answer of every item. Settings as in `MarkerAudit`, but for `markers`.

    levels : whole numbers from 0 to 100, three or more with 0 and 100 among them. phrase : ``{x}`` is replaced by the level.
    """

    levels: Sequence[int] = tuple(range(0, 101, 10))
    phrase: str = "I am {x}% sure it is"

    def __post_init__(self) -> None:
        """Refuse levels that are none."""
        super().__post_init__()
        levels = list(self.levels)
        if len(set(levels)) < max(len(levels), 3) or not all(0 <= x <= 100 for x in levels) or not {0, 100} <= set(levels):
            raise InputError(f"levels are {levels}; expected three or more different ones from 0 to 100, with 0 and 100 among them")
        if "{x}" not in self.phrase:
            raise InputError(f"phrase is {self.phrase!r}; it must hold {{x}}, where the level stands")

    def run(self, model: Model, *, out: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Any:
        """Return a JSON-safe record: ``levels`` (each with its metrics), ``slope`` and ``extremes`` by metric.

        ``slope``: rise of the metric from level 0 to 100 by least squares within each item, mean over items. ``extremes``: mean at 0
        and 100 less the mean between.
        """
        levels = sorted(self.levels)
        phrases = [Marker(self.phrase.replace("{x}", str(x)), first_person=True) for x in levels]
        settings = {name: getattr(self, name) for name in MarkerAudit.__dataclass_fields__}
        found = replace(MarkerAudit(**settings), markers=phrases, fluency=False).run(model, out=out, progress=progress)
        tables = {name: found.answers.values[name] for name in COMPARED if name in found.answers.values}
        x = np.array(levels, dtype=np.float64) / 100
        middle = (x - x.mean()) / float(((x - x.mean()) ** 2).sum())
        ends = np.isin(levels, (0, 100))

        def rises(weigh: Any) -> dict[str, Any]:
            shared: dict[str, Any] = {"clusters": found.probes.clusters, "level": self.ci.level, "n_boot": 2}
            return {name: class_contrast(weigh(t), np.zeros(len(t)), **shared).estimate.to_json() for name, t in tables.items()}

        def extremes(table: FloatArray) -> FloatArray:
            return np.asarray(table[:, ends].mean(axis=1) - table[:, ~ends].mean(axis=1))

        rows = [
            {"level": level, "metrics": {name: mean_estimate(t[:, k], found.probes, self.ci).to_json() for name, t in tables.items()}}
            for k, level in enumerate(levels)
        ]
        return {
            "audit": "numeric_markers",
            "model": model.uri,
            "task": found.document["task"],
            "n_items": found.document["n_items"],
            "levels": rows,
            "slope": rises(lambda table: table @ middle),
            "extremes": rises(extremes),
            "failed_prompts": found.document["failed_prompts"],
            "warnings": found.document["warnings"],
        }
