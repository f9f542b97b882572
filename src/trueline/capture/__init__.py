"""Capture: from needs to one plan to the fewest model passes to a trace."""

from trueline.capture.needs import PROBES, Needs, union

__all__ = ["PROBES", "Needs", "union"]
