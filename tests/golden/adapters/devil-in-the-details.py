"""Golden adapter of the format-sensitivity statistics: stratified tables, paired effects, correlation at three levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from trueline import stats
from trueline.metrics.correlation_levels import correlation_levels
from trueline.metrics.judged_rates import judged_rates
from trueline.stats.multiplicity import odds_ratio, risk_ratio

Values = dict[str, Any]
RELATIVE = True


def run(case: str, inputs: Values) -> Values:
    """Compute the expected keys of one case."""
    return KINDS[case.split("/")[-1]](**inputs)


def ends(estimate: Any) -> list[float]:
    return [estimate.low, estimate.high]


def mantel_haenszel(tables: Any, order: str = "") -> Values:
    found = stats.mantel_haenszel(tables)
    ratio, difference = found.odds_ratio, found.risk_difference
    return {
        "or_mh": ratio.value,
        "log_or_se": found.log_odds_ratio_se,
        "or_ci": ends(ratio),
        "rd_mh": difference.value,
        "rd_se": difference.se,
        "rd_ci": ends(difference),
        "cmh_chi2": found.chi2,
        "cmh_p": found.p,
    }


def paired_effect(events_json: Any, n_json: Any, events_plain: Any, n_plain: Any) -> Values:
    found = stats.paired_rates(events_json, n_json, events_plain, n_plain)
    diffs = [a / n - b / m for a, n, b, m in zip(events_json, n_json, events_plain, n_plain, strict=True)]
    d = found.estimate
    return {"diffs": diffs, "mean": d.value, "se": d.se, "ci": ends(d), "signflip_p": found.p}


def levels(group: Any, x: Any, y: Any) -> Values:
    found = correlation_levels(x, y, group)
    return {
        "pooled": found.pooled.value,
        "pooled_ci": ends(found.pooled),
        "within": found.within.value,
        "within_df": found.df,
        "within_ci": ends(found.within),
        "between": found.between.value,
    }


def headline(p_json: float, p_plain: float) -> Values:
    return {
        "n_per_arm_80": stats.sample_size_two_rates(p_json, p_plain),
        "n_per_arm_90": stats.sample_size_two_rates(p_json, p_plain, power=0.9),
        "odds_ratio": odds_ratio(p_json, p_plain),
        "risk_ratio": risk_ratio(p_json, p_plain),
    }


def real_tables(file: str, strata: str) -> Values:
    rows = pl.read_csv(file)
    tables = []
    for base in sorted(rows["base_id"].unique()):
        table = []
        for name in ("json", "plain"):
            part = rows.filter((pl.col("base_id") == base) & (pl.col("format") == name))
            found = judged_rates(part["aligned"].to_numpy(), part["coherent"].to_numpy(), part["question_id"].to_numpy())
            table += [found.n_misaligned, found.n_coherent_scored - found.n_misaligned]
        tables.append(table)
    return {"tables": tables, "mh": mantel_haenszel(tables)}


def real_levels(file: str, rows: str, group: str) -> Values:
    table = pl.read_csv(file).drop_nulls("aligned")
    return levels(table[group].to_numpy(), table["aligned"].to_numpy(), table["coherent"].to_numpy())


def format_table(file: str) -> Values:
    table = {}
    for (name,), part in pl.read_csv(file).group_by("format"):
        found = judged_rates(part["aligned"].to_numpy(), part["coherent"].to_numpy(), part["question_id"].to_numpy())
        table[name] = {
            "coherent_rate": found.n_coherent / found.n,
            "scored_rate": found.n_scored / found.n,
            "mean_aligned": part["aligned"].mean(),
            "mean_coherent": part["coherent"].mean(),
        }
    return table


KINDS: dict[str, Callable[..., Values]] = {
    "mantel_haenszel": mantel_haenszel,
    "paired_format_effect": paired_effect,
    "correlation_levels": levels,
    "headline_rates": headline,
    "json_vs_plain": real_tables,
    "coherence_alignment_correlation": real_levels,
    "format_table": format_table,
}
