"""Label smoothing that leaves more of the target to classes about which a model, or people, are confident.

Ao et al., arXiv 2301.12589 (MCLS with a model's confidence, HCLS with that of raters). In place of theirs, whose first argument turns the
method off, no class confidence is ordinary label smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.multiclass import check_probabilities
from trueline.metrics.scaling import check_labels
from trueline.stats.estimate import FloatArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ConfidenceLabelSmoothing:
    r"""Mean cross-entropy, in nats, against :math:`[c = y](1 - s) + (s + conf_c / w) / K`, each row scaled to sum 1.

    num_classes: K. smoothing: s in [0, 1); the paper tries .07 to .14. class_confidence: K numbers in [0, 1], see `class_confidence`; None
    is ordinary label smoothing. confidence_weight: w > 0, in the paper 80 to 500; a large w is ordinary label smoothing too.

    Smoothing lowers confidence whether or not it is too high: on clean labels the model becomes under-confident, so check the signed level
    (`miscalibration_score`) of what comes out.
    """

    num_classes: int
    smoothing: float = 0.1
    class_confidence: tuple[float, ...] | None = None
    confidence_weight: float = 100.0

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise InputError(f"num_classes is {self.num_classes}; at least 2 are needed")
        if not 0 <= self.smoothing < 1:
            raise InputError(f"smoothing is {self.smoothing}; expected a share in [0, 1)")
        if not self.confidence_weight > 0:
            raise InputError(f"confidence_weight is {self.confidence_weight}; it must be positive")
        if self.class_confidence is None:
            return
        confidence = np.asarray(self.class_confidence, dtype=np.float64)
        if confidence.shape != (self.num_classes,) or not ((confidence >= 0) & (confidence <= 1)).all():
            raise InputError(f"class_confidence must be {self.num_classes} numbers in [0, 1]; got {confidence}")
        object.__setattr__(self, "class_confidence", tuple(confidence.tolist()))

    def targets(self) -> FloatArray:
        """Return the target of each class as a row, (K, K) float64; rows sum to 1."""
        confidence = np.zeros(self.num_classes) if self.class_confidence is None else np.array(self.class_confidence)
        extra = (self.smoothing + confidence / self.confidence_weight) / self.num_classes
        rows = np.eye(self.num_classes) * (1 - self.smoothing) + extra
        return np.asarray(rows / rows.sum(axis=1, keepdims=True))

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar of the logits' type.

        logits: (n, K) floating; labels: (n,) int64 in 0..K-1. Raises ``InputError`` if they do not fit.
        """
        import torch

        if logits.ndim != 2 or logits.shape[1] != self.num_classes or labels.shape != logits.shape[:1] or not len(labels):
            shapes = f"{tuple(logits.shape)} and {tuple(labels.shape)}"
            raise InputError(f"expected logits (n, {self.num_classes}) and labels (n,), n >= 1; got shapes {shapes}")
        if labels.is_floating_point() or int(labels.min()) < 0 or int(labels.max()) >= self.num_classes:
            raise InputError(
                f"labels must be whole numbers in 0..{self.num_classes - 1}; got {labels.dtype}, {labels.min()}..{labels.max()}"
            )
        targets = torch.as_tensor(self.targets(), dtype=logits.dtype, device=logits.device)[labels]
        return -(targets * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()


def class_confidence(probabilities: ArrayLike, labels: ArrayLike) -> tuple[float, ...]:
    """Return the mean probability of the true class over the items of each class, for `ConfidenceLabelSmoothing`.

    Parameters
    ----------
    probabilities : (n, K) float64
        Rows sum to 1: of a trained model, or the shares of raters who chose each class.
    labels : (n,) int64 in 0..K-1

    Raises
    ------
    InputError
        On bad input, or a class without items.
    """
    p = check_probabilities(probabilities)
    y = check_labels(labels, p)
    counts = np.bincount(y, minlength=p.shape[1])
    if not counts.all():
        raise InputError(f"class {int(np.argmin(counts))} has no items, so its confidence is unknown")
    return tuple((np.bincount(y, p[np.arange(len(y)), y], p.shape[1]) / counts).tolist())
