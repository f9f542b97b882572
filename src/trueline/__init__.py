"""trueline: measure a model, validate the measure, audit, act, measure again."""

from __future__ import annotations

__version__ = "0.1.0"
