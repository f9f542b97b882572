"""A language model as a scikit-learn classifier of the rows of a table."""

from __future__ import annotations

from functools import lru_cache
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from trueline.errors import InputError, ModelError
from trueline.metrics.risk.threshold import Criterion, fit_threshold
from trueline.models.base import Model
from trueline.stats.estimate import FloatArray
from trueline.tabular.cache import AnswerCache
from trueline.tabular.prompting import PromptStyle
from trueline.tabular.scoring import RiskScores, risk_scores
from trueline.tabular.table import as_table
from trueline.tabular.task import TabularRiskTask, features_table


class RiskClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model's answers as the probabilities of a classifier.

    It predicts without a fit, by `threshold`; `fit` finds a threshold from a few labelled rows (the paper takes 100) and changes no weight.
    `clone` shares model and task.

    Parameters
    ----------
    model : Model or str
        A model, or its URI, such as ``hf:PATH`` or ``openai:NAME``.
    task : TabularRiskTask
        How rows read and what is asked; its own rows are only used as worked examples.
    order_average : bool
        Ask a choice in every order of its options.
    threshold : float
        Scores at or above it are predicted 1, until `fit` finds another.
    style : PromptStyle, optional
    cache : path, optional
        File of answers; what was asked once is not asked again.
    truncate : bool
        As in `risk_scores`.

    Attributes
    ----------
    classes_ : (2,) array of 0 and 1
    threshold_ : float
        Set by `fit`.

    Examples
    --------
    >>> from trueline.knownworld.planted_table import PlantedRisk, planted_table
    >>> table = planted_table(n=400, seed=0)
    >>> classifier = RiskClassifier(PlantedRisk(), table.task)
    >>> X = table.task.df.take(table.task.rows("test"))
    >>> classifier.predict_proba(X).shape
    (40, 2)
    """

    def __init__(
        self,
        model: Model | str,
        task: TabularRiskTask,
        order_average: bool = True,
        threshold: float = 0.5,
        style: PromptStyle | None = None,
        cache: str | PathLike[str] | None = None,
        truncate: bool = False,
    ) -> None:
        self.model = model
        self.task = task
        self.order_average = order_average
        self.threshold = threshold
        self.style = style
        self.cache = cache
        self.truncate = truncate

    def fit(
        self, X: Any, y: ArrayLike, *, false_pos_cost: float = 1.0, false_neg_cost: float = 1.0, criterion: Criterion = "balanced"
    ) -> RiskClassifier:
        """Find the threshold of least cost on some labelled rows (`trueline.metrics.risk.fit_threshold`).

        X : table with the task's columns, or an array in their order. y : (n,) in {0, 1}.
        """
        labels = _labels(y)
        scores = self.risk_scores(X)
        if len(scores.scores) != len(labels):
            raise InputError(f"X has {len(scores.scores)} rows but y has {len(labels)}")
        found = fit_threshold(_complete(scores), labels, false_pos_cost=false_pos_cost, false_neg_cost=false_neg_cost, criterion=criterion)
        self.threshold_ = found.threshold
        self.fit_result_ = found
        self.n_features_in_ = len(self.task.features)
        if hasattr(X, "columns"):
            self.feature_names_in_ = np.array([column.name for column in self.task.features], dtype=object)
        return self

    def risk_scores(self, X: Any) -> RiskScores:
        """Scores with their order sensitivity, mass and failures."""
        table = features_table(self.task, as_table(X, [column.name for column in self.task.features]))
        model = _load(self.model) if isinstance(self.model, str) else self.model
        with AnswerCache(None if self.cache is None else str(self.cache)) as cache:
            return risk_scores(
                model, self.task, table, order_average=self.order_average, style=self.style, cache=cache, truncate=self.truncate
            )

    def predict_proba(self, X: Any) -> FloatArray:
        """(n, 2) float64 probabilities of 0 and 1. Raises ``ModelError`` when a row has no answer."""
        p = _complete(self.risk_scores(X))
        return np.column_stack([1 - p, p])

    def predict(self, X: Any) -> NDArray[np.int64]:
        """(n,) predictions: 1 where the score is at or above the threshold."""
        cut = getattr(self, "threshold_", self.threshold)
        return (self.predict_proba(X)[:, 1] >= cut).astype(np.int64)

    @property
    def classes_(self) -> NDArray[np.int64]:
        """0 and 1."""
        return np.array([0, 1])

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> RiskClassifier:
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.requires_fit = False
        tags.input_tags.string = tags.input_tags.categorical = tags.input_tags.allow_nan = True
        return tags


@lru_cache(maxsize=2)
def _load(uri: str) -> Model:
    from trueline.models.loading import load_model

    return load_model(uri)


def _labels(y: ArrayLike) -> FloatArray:
    values = np.asarray(y, dtype=np.float64)
    if values.ndim != 1 or not np.isin(values, (0.0, 1.0)).all():
        raise InputError("y must be one-dimensional, with labels 0 and 1")
    return values


def _complete(found: RiskScores) -> FloatArray:
    if found.failed:
        raise ModelError(f"{found.failed} of {len(found.scores)} rows have no answer: {'; '.join(found.errors[:3])}")
    return found.scores
