"""The answers of a run against annotators who disagree: which label each answer is, and how far the annotations support it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.stats.estimate import Estimate
from trueline.tasks.annotations import from_json
from trueline.tasks.normalise import contains_words, normalise

if TYPE_CHECKING:
    from trueline.metrics.annotators import Annotated
    from trueline.run import Run
    from trueline.validation import Truth

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Annotators:
    """Annotations of a run's graded items, and the class of each answer: (n_items,), -1 no annotator's label, NaN no answer.

    ``problem`` says why there is nothing to compute; ``data`` is None then.
    """

    data: Annotated | None
    answer: Floats
    problem: str | None = None

    def document(self, truth: Truth, *, level: float, n_boot: int, seed: int) -> dict[str, Any]:
        """The part ``annotators`` of ``metrics.json``."""
        from trueline.metrics import CI
        from trueline.metrics.annotators import annotator_summary

        if self.data is None:
            return {"problem": self.problem}
        ci = CI(level=level, n_boot=n_boot, seed=seed)
        return annotator_summary(self.data, {"answer": self.answer}, clusters=truth.clusters, ci=ci)

    def adjusted(self, scores: Floats, truth: Truth, *, level: float, n_boot: int, seed: int) -> dict[str, Estimate]:
        """Uncertainty-adjusted metrics of one score; the confidence is the one fitted to the plain verdicts."""
        from trueline.metrics import CI
        from trueline.metrics.annotators import adjusted_scores, supported
        from trueline.metrics.confidence import calibrated_confidence

        if self.data is None:
            return {}
        usable = np.isfinite(truth.correct) & ~np.isnan(scores)
        confidence: Floats | None = np.full(len(scores), np.nan)
        clusters = None if truth.clusters is None else truth.clusters[usable]
        try:
            confidence[usable] = calibrated_confidence(scores[usable], truth.correct[usable], clusters, seed)  # type: ignore[index]
        except InputError:  # too few items for a fit; `validate_scores` reports it with its reason
            confidence = None
        ci = CI(level=level, n_boot=n_boot, seed=seed)
        held = supported(self.data.certainties(), self.answer)
        return adjusted_scores(np.where(usable, scores, np.nan), held, confidence, clusters=truth.clusters, ci=ci)


def read_annotators(run: Run, truth: Truth) -> Annotators | None:
    """The annotations of a run, aligned with its graded items; None where no item has any."""
    from trueline.metrics.annotators import Annotated

    if "annotations" not in run.directory.column_names("items.parquet"):
        return None
    items = run.item_columns(("item_id", "annotations"))
    stored = dict(zip(items["item_id"].to_list(), items["annotations"].to_list(), strict=True))
    cases = [from_json(stored.get(item)) for item in truth.item_ids]
    if not any(cases):
        return None
    grades = run.grades.unique("item_id", keep="first", maintain_order=True)
    said = dict(zip(grades["item_id"].to_list(), grades["answer"].to_list(), strict=True))
    try:
        data = Annotated.from_readings(cases)
    except InputError as error:  # free text has no classes: the document says so
        return Annotators(None, np.full(len(cases), np.nan), str(error))
    return Annotators(data, np.array([_class(said.get(item), data.classes) for item in truth.item_ids]))


def _class(answer: str | None, classes: Sequence[str]) -> float:
    """Number of the label an answer is, by its normal form, or of the one label that it names in whole words."""
    if answer is None:
        return float("nan")
    forms, form = [normalise(label) for label in classes], normalise(answer)
    equal = [k for k, label in enumerate(forms) if label == form]
    within = equal or [k for k, label in enumerate(forms) if contains_words(form, label)]
    return float(within[0]) if len(within) == 1 else -1.0
