"""Temperature by class, moved away from the common one by each class's signed miscalibration (MCS-TS).

Ao et al., arXiv 2308.03172. Their code selects by ECE and lets a temperature become negative; here a setting with a temperature of 0.05 or
less is refused, small validation sets are selected by NLL, and levels of small classes are shrunk.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import accuracy
from trueline.metrics.classifiers.miscalibration import Miscalibration, class_levels, miscalibration_score
from trueline.metrics.multiclass import top_label_ece
from trueline.metrics.scaling import check_logits, log_softmax, mean_nll
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray

Normalise = Literal["max", "min_max"] | None
Select = Literal["ece", "nll"]
_BASE = np.arange(50, 200) / 100
_COARSE = np.arange(-40, 40) / 20
_LEAST = 0.05
#: Below this many items of a class its level is drawn towards that of all items; below so many in all, ECE overfits.
FEW_OF_CLASS, FEW_FOR_ECE = 20, 1000


@dataclass(frozen=True)
class ClasswiseTemperature:
    """Settings of class-wise temperature scaling.

    normalise: what is done with the class levels after winsorising: divide by the largest ("max"; by the largest absolute value where no
    class is over-confident), map to [0, 1] ("min_max"), or nothing (None). select: what the two searches minimise, "ece" (the paper's) or
    "nll" (the sounder one, and what fewer than 1000 items get). keep_argmax: scale a whole row by the temperature of its predicted class,
    so that no prediction changes; otherwise each column by its own.
    """

    normalise: Normalise = "max"
    select: Select = "ece"
    n_bins: int = 15
    keep_argmax: bool = False

    def __post_init__(self) -> None:
        if self.select not in ("ece", "nll"):
            raise InputError(f"select is {self.select!r}; expected 'ece' or 'nll'")
        _check_normalise(self.normalise)

    def fit(self, logits: ArrayLike, labels: ArrayLike) -> FittedClasswiseTemperature:
        r"""Find T_0, then :math:`T_c = T_0 (1 + \gamma \, norm_c)` on validation items.

        Parameters
        ----------
        logits : (n, K) float64
            Logits, not probabilities, of items that the model was not trained on.
        labels : (n,) int64 in 0..K-1

        Raises
        ------
        InputError
            On bad input, naming the first index.

        Warns
        -----
        UserWarning
            With fewer than 1000 items and ``select="ece"``: NLL is used.
        """
        z, y = check_logits(logits, labels)
        select = self.select
        if select == "ece" and len(y) < FEW_FOR_ECE:
            warnings.warn(f"{len(y)} items are too few to search by ECE ({FEW_FOR_ECE} are needed); NLL is used", stacklevel=2)
            select = "nll"

        def loss(scaled: FloatArray) -> float:
            return mean_nll(scaled, y) if select == "nll" else top_label_ece(_softmax(scaled), y, n_bins=self.n_bins, ci=None).value

        base = float(_least(lambda t: loss(z / t), _BASE))
        levels = _shrunk_levels(_softmax(z / base), y)
        norm = np.nan_to_num(normalised_levels(levels, self.normalise))  # a class without items keeps T_0

        def at(gamma: float) -> float:
            t = base * (1 + gamma * norm)
            return loss(scaled_logits(z, t, keep_argmax=self.keep_argmax)) if t.min() > _LEAST else np.inf

        gamma = float(_least(at, _COARSE))
        gamma = float(_least(at, np.clip(round(gamma * 1000) + np.arange(-50, 51), -2000, 1999) / 1000))
        return FittedClasswiseTemperature(base, gamma, base * (1 + gamma * norm), levels, norm, select, self.n_bins, self.keep_argmax)


@dataclass(frozen=True, eq=False)
class FittedClasswiseTemperature:
    """A fitted recalibrator.

    Attributes
    ----------
    base : float
        The common temperature T_0.
    gamma : float
    temperatures : (K,) float64
        T_c, all above 0.05.
    levels, normalised : (K,) float64
        Signed level of each class at T_0 on validation items (NaN without items), and what became of it.
    selected_by : {"ece", "nll"}
    n_bins : int
    keep_argmax : bool
    """

    base: float
    gamma: float
    temperatures: FloatArray
    levels: FloatArray
    normalised: FloatArray
    selected_by: Select
    n_bins: int
    keep_argmax: bool

    def predict(self, logits: ArrayLike) -> FloatArray:
        """Return (n, K) probabilities."""
        return _softmax(scaled_logits(logits, self.temperatures, keep_argmax=self.keep_argmax))

    def scaled(self, logits: ArrayLike) -> dict[str, FloatArray]:
        """Return the (n, K) probabilities of "unscaled" logits, of the common "temperature" and of "classwise" ones."""
        z = np.asarray(logits, dtype=np.float64)
        return {"unscaled": _softmax(z), "temperature": _softmax(z / self.base), "classwise": self.predict(z)}

    def report(
        self, logits: ArrayLike, labels: ArrayLike, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto"
    ) -> dict[str, ScaledResult]:
        """Return accuracy and miscalibration of "unscaled" logits, of the common "temperature" and of "classwise" ones, on other items.

        The search lowers the overall ECE alone: the levels of the classes may grow, and column-wise scaling may change predictions. So look
        at ``miscalibration.gap`` and ``accuracy`` beside the ECE.
        """
        z, y = check_logits(logits, labels)
        rows = self.scaled(z)
        return {
            name: ScaledResult(
                accuracy(p.argmax(axis=1), y, clusters=clusters, ci=ci), miscalibration_score(p, y, self.n_bins, clusters=clusters, ci=ci)
            )
            for name, p in rows.items()
        }


@dataclass(frozen=True)
class ScaledResult:
    """Accuracy and miscalibration under one scaling."""

    accuracy: Estimate
    miscalibration: Miscalibration


def scaled_logits(logits: ArrayLike, temperatures: ArrayLike, *, keep_argmax: bool = False) -> FloatArray:
    """Divide column k by T_k, or a whole row by the T of its largest logit.

    logits: (n, K) float64; temperatures: (K,) float64 > 0.

    Raises
    ------
    InputError
        If the shapes do not fit, a logit is not finite or a temperature is not above 0.
    """
    z, t = np.asarray(logits, dtype=np.float64), np.asarray(temperatures, dtype=np.float64)
    if z.ndim != 2 or t.shape != z.shape[1:]:
        raise InputError(f"expected logits (n, K) and K temperatures; got shapes {z.shape} and {t.shape}")
    if not (t > 0).all():
        raise InputError(f"temperatures must be above 0; the least is {t.min():g}")
    bad = np.flatnonzero(~np.isfinite(z).all(axis=1))
    if len(bad):
        raise InputError(f"row {bad[0]} holds a number that is not finite")
    return np.asarray(z / t[z.argmax(axis=1)][:, None] if keep_argmax else z / t)


def normalised_levels(levels: ArrayLike, normalise: Normalise = "max") -> FloatArray:
    """Winsorise class levels at 1.5 interquartile ranges from the quartiles (midpoint rule), then normalise them.

    levels: (K,) float64, NaN stays NaN; two levels are not winsorised, since the rule would make them equal. normalise: as in
    `ClasswiseTemperature`; equal levels become 0 under "min_max", as do levels that are all 0 under "max".

    Raises
    ------
    InputError
        If no level is known, or `normalise` is not.
    """
    _check_normalise(normalise)
    x = np.asarray(levels, dtype=np.float64)
    known = x[~np.isnan(x)]
    if x.ndim != 1 or not len(known):
        raise InputError(f"expected a vector of levels, one at least known; got {x}")
    if len(known) > 2:  # the midpoint rule puts both quartiles of two levels between them
        q1, q3 = np.quantile(known, [0.25, 0.75], method="midpoint")
        x = np.clip(x, q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1))
    low, high = np.nanmin(x), np.nanmax(x)
    if normalise is None:
        return x
    shift, scale = (low, high - low) if normalise == "min_max" else (0.0, high if high > 0 else -low)
    return np.asarray((x - shift) / (scale if scale > 0 else np.inf))


def _check_normalise(normalise: Normalise) -> None:
    if normalise not in ("max", "min_max", None):
        raise InputError(f"normalise is {normalise!r}; expected 'max', 'min_max' or None")


def _shrunk_levels(p: FloatArray, y: IntArray) -> FloatArray:
    n = np.bincount(y, minlength=p.shape[1])
    share = np.where(n < FEW_OF_CLASS, n / (n + FEW_OF_CLASS), 1.0)
    overall = float((p.max(axis=1) - (p.argmax(axis=1) == y)).mean())
    return np.asarray(share * class_levels(p, y) + (1 - share) * overall)


def _softmax(z: FloatArray) -> FloatArray:
    return np.exp(log_softmax(z))


def _least(loss: Callable[[float], float], grid: FloatArray) -> float:
    """The grid value of least loss, the first at a tie."""
    return float(grid[int(np.argmin([loss(float(x)) for x in grid]))])
