"""Policies: each wraps a model into a model, so that it is measured like any other."""

from __future__ import annotations

from trueline.policies.emit_markers import EmitMarkers, Shot, with_shots

__all__ = ["EmitMarkers", "Shot", "with_shots"]
