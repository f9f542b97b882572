"""Perception: uncertainty of models of images, texts and other inputs that answer with class scores."""

from __future__ import annotations

from trueline.perception.failure_scores import energy, failure_scores, max_logit, max_softmax, softmax_entropy, softmax_margin

__all__ = ["energy", "failure_scores", "max_logit", "max_softmax", "softmax_entropy", "softmax_margin"]
