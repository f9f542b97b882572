"""The estimators of reasoning models: they read what was thought beside what was answered."""

from __future__ import annotations

from typing import Any

from trueline.catalog.entry import Entry

_RACE = "Joint answer and reasoning consistency (RACE), arXiv 2506.04832"
_DRM = "Dimension-level rewards (DRM), arXiv 2510.11457"
_PAGE, _DRM_PAGE = "proofs/race.md", "proofs/drm.md"
_SIGNAL = "race.race:RaceSignal"
_SETTINGS: dict[str, dict[str, Any]] = {f"race_{name}": {"signal_name": name} for name in ("aa", "ca", "cc", "coh")}

# fmt: off
REASONING = tuple(
    Entry(name, "estimator", f"trueline.estimators.{target}", summary, source, cost, color, proof, _SETTINGS.get(name, {}))
    for name, target, summary, source, cost, color, proof in (
        ("race", "race.race:RACE", "answers and reasoning agree: sum of four signals", _RACE, "M D + M N", "black", _PAGE),
        ("race_aa", _SIGNAL, "RACE: entropy of clusters of sampled answers (SINdex)", _RACE, "M D", "black", _PAGE),
        ("race_ca", _SIGNAL, "RACE: entropy of sampled answers after the main steps", _RACE, "M D + M F", "black", _PAGE),
        ("race_cc", _SIGNAL, "RACE: main steps contradicted by sampled reasoning", _RACE, "M D + M N", "black", _PAGE),
        ("race_coh", _SIGNAL, "RACE: share of the reasoning's entities that its steps drop", _RACE, "M D", "black", _PAGE),
        ("drm", "drm.estimator:DRMEstimator", "confidence, relevance, coherence of the reasoning", _DRM, "0", "logprobs", _DRM_PAGE),
    )
)
# fmt: on
