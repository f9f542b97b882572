"""Golden cases of discretion: preference tables, wins, priorities, discrepancies and the counts of HH-RLHF."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trueline.metrics.discretion import (
    REGIONS,
    discretion_arbitrariness,
    judge_preference,
    principle_supremacy,
    principle_wins,
    region_shares,
    regions,
    two_order_preference,
)
from trueline.metrics.discretion_discrepancy import discretion_discrepancy
from trueline.metrics.principle_priority import principle_priority

Values = dict[str, Any]
# A row of each region, to make a table of counted rows.
ROWS = {"indifference": [math.nan, math.nan], "conflict": [1.0, -1.0], "consensus": [1.0, math.nan]}


def run(case: str, inputs: Values) -> Values:
    """Return the values of one case; contract errors propagate."""
    i = numbers(inputs)
    if "prob_A_order0" in i:
        orders = [judge_preference(*(i[f"prob_{answer}_order{order}"] for answer in ("A", "B", "NA"))) for order in (0, 1)]
        return {"preference_for_first": two_order_preference(*orders)}
    if "priority_a" in i:
        return {"kendall_distance": discretion_discrepancy(i["priority_a"], i["priority_b"])}
    if "counts" in i:
        table = [ROWS[name] for name, count in i["counts"].items() for _ in range(count)]
        shares = region_shares(table, ci=None)
        return {"percent": [100 * shares[name].value for name in REGIONS]}
    return (_from_wins if "wins" in i else _from_table)(i)


def numbers(value: Any) -> Any:
    """Read "nan", "inf" and "-inf" as numbers."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [numbers(v) for v in value]
    return float(value) if value in ("nan", "inf", "-inf") else value


def _from_table(i: Values) -> Values:
    P, a = i["principle_preferences"], i["annotator_preferences"]
    arbitrary = discretion_arbitrariness(P, a)
    if math.isnan(arbitrary.value) and not arbitrary.reason:
        raise AssertionError("a NaN needs a reason")
    wins = principle_wins(P, a)
    return {
        "region": regions(P).tolist(),
        "discretion_arbitrariness": arbitrary.value,
        "n_consensus_valid": arbitrary.n,
        "wins": wins,
        "principle_supremacy": principle_supremacy(wins) if len(wins) > 1 else [[math.nan]],
        "principle_priority": principle_priority(wins).w,
    }


def _from_wins(i: Values) -> Values:
    found: Values = {"principle_priority": principle_priority(i["wins"], i.get("prior", 0.0)).w}
    found["principle_supremacy"] = principle_supremacy(i["wins"])
    if "wins_reference" in i:
        found["discretion_discrepancy"] = discretion_discrepancy(found["principle_priority"], principle_priority(i["wins_reference"]).w)
    if "n_violations" in i:
        n, against = i["n_consensus_valid"], i["n_violations"]
        a = np.where(np.arange(n) < against, -1, 1)
        found["discretion_arbitrariness"] = discretion_arbitrariness(np.ones((n, 1)), a).value
    return found
