"""Estimators: from a trace to one uncertainty per item; higher = less certain."""

from trueline.estimators.base import Estimator

__all__ = ["Estimator"]
