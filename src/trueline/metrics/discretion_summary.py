"""All that a preference table says about discretion, in one record: regions, annotators, priorities and their discrepancies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError, nearest
from trueline.metrics._call import CIArgument
from trueline.metrics.discretion import (
    annotator_preferences,
    discretion_arbitrariness,
    effective_principles,
    preference_table,
    principle_agreement,
    principle_supremacy,
    principle_wins,
    region_shares,
    voices,
)
from trueline.metrics.discretion_discrepancy import compare_discretion
from trueline.metrics.principle_priority import principle_priority
from trueline.stats.engine import as_ci
from trueline.stats.estimate import FloatArray

# Below this many unrelated principles for each one listed, copies of one principle rule the conflicts.
_REDUNDANT = 0.5
_AGREEING = (1, 2, 3)


def discretion_summary(
    P: ArrayLike,
    annotators: Mapping[str, ArrayLike],
    principles: Sequence[str],
    *,
    oracle: str | None = None,
    prior: float = 0.0,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> dict[str, Any]:
    """Return regions, arbitrariness, wins, supremacy, priorities and discrepancies as one JSON-ready record (NaN and infinities as floats).

    Parameters
    ----------
    P : (n, k) float64
        Preference table, as in `discretion_arbitrariness`; k of at least 2.
    annotators : mapping of name to (n,) float64
        Preferences +1, -1; 0 and NaN are none.
    principles : k names
    oracle : str, optional
        The annotator that also judged the principles: its arbitrariness is near 0 by construction, and the record says so.
    prior : float
        As in `principle_priority`.
    weights, clusters, ci
        As in `discretion_arbitrariness`; a discrepancy takes its interval from replicates whatever theory there is for shares.

    Raises
    ------
    InputError
        As `discretion_arbitrariness` and `principle_priority`; names that do not fit the table; no annotator; an unknown `oracle`.
    """
    table = preference_table(P)
    _check_names(table, annotators, principles, oracle)
    shared: dict[str, Any] = {"weights": weights, "clusters": clusters, "ci": ci}
    said = voices(table, clusters=clusters, ci=ci)
    preferences = {name: annotator_preferences(a, len(table), name) for name, a in annotators.items()}
    document: dict[str, Any] = {
        "n": len(table),
        "level": as_ci(ci).level,
        "principles": list(principles),
        "regions": {name: e.to_json() for name, e in region_shares(table, **shared).items()},
        "cells": {"first": said.first, "second": said.second, "position": said.position, "silent": said.silent},
        "flip_rate": said.flip_rate.to_json(),
        "spoken": said.spoken.tolist(),
        "effective_principles": effective_principles(table),
        "agreement": principle_agreement(table).tolist(),
        "annotators": {name: _annotator(table, a, prior, shared) for name, a in preferences.items()},
        "discrepancies": [],
    }
    for one, other in combinations(preferences, 2):
        found = compare_discretion(table, preferences[one], preferences[other], prior=prior, **shared)
        document["discrepancies"].append({"a": one, "b": other, "n_principles": found.n_principles, **found.estimate.to_json()})
    document["warnings"] = _warnings(document, oracle)
    return document


def _check_names(table: FloatArray, annotators: Mapping[str, ArrayLike], principles: Sequence[str], oracle: str | None) -> None:
    if table.shape[1] < 2:
        raise InputError(f"only the principle {', '.join(map(repr, principles))} is given; conflicts need at least two")
    if len(principles) != table.shape[1]:
        raise InputError(f"{len(principles)} names for {table.shape[1]} principles; give one a column of P")
    if not annotators:
        raise InputError("no annotator is given; name at least one")
    if oracle is not None and oracle not in annotators:
        raise InputError(f"the oracle {oracle!r} is none of the annotators {', '.join(map(repr, annotators))}{nearest(oracle, annotators)}")


def _annotator(table: FloatArray, a: FloatArray, prior: float, shared: Mapping[str, Any]) -> dict[str, Any]:
    wins = principle_wins(table, a, shared["weights"])
    fit = principle_priority(wins, prior)
    return {
        "n_usable": int(np.isfinite(a).sum()),
        "arbitrariness": {str(m): discretion_arbitrariness(table, a, min_agree=m, **shared).to_json() for m in _AGREEING},
        "wins": wins.tolist(),
        "supremacy": principle_supremacy(wins).tolist(),
        "priority": {"w": fit.w.tolist(), "se": fit.se.tolist(), "status": list(fit.status), "message": fit.message},
    }


def _warnings(document: Mapping[str, Any], oracle: str | None) -> list[str]:
    found = []
    if oracle is not None:
        found.append(f"{oracle} also judged the principles: its arbitrariness is near 0 by construction and says nothing about it.")
    cells, k = document["cells"], len(document["principles"])
    if cells["position"]:
        found.append(f"{cells['position']} judgements followed the position of the responses; they count as no preference.")
    if (effective := document["effective_principles"]) < _REDUNDANT * k:
        found.append(
            f"The {k} principles amount to about {effective:.1f} unrelated ones: near-copies speak several times in every conflict."
        )
    silent = [name for name, count in zip(document["principles"], document["spoken"], strict=True) if not count]
    if silent:
        found.append(f"Never relevant: {', '.join(silent)}.")
    for name, entry in document["annotators"].items():
        counts = {s: entry["priority"]["status"].count(s) for s in ("always_wins", "always_loses", "no_games", "other_component")}
        words = [f"{count} {s.replace('_', ' ')}" for s, count in counts.items() if count]
        if words:
            found.append(f"{name}: principles without a finite priority: {', '.join(words)}; a prior above 0 helps those that meet others.")
    return found
