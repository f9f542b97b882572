"""The table of missing values: every cause is counted apart, and nothing that is there is called missing."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import polars as pl
import pytest

from trueline.reports.data import read_run
from trueline.reports.missing import failures, missing_values
from trueline.reports.sections import Caps
from trueline.run import open_run


def words(html: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", str(html)))


def test_scores_and_verdicts_that_lack_are_counted_apart(make_run: Any) -> None:
    run = make_run(n=40, correct=[None] * 5 + [bool(i % 3) for i in range(35)], validated=False)
    frame = run.scores.with_columns(pl.Series("mean_nll", np.where(np.arange(40) < 3, np.nan, run.scores["mean_nll"].to_numpy())))
    frame.write_parquet(run.path / "scores.parquet")
    info = run.score_info
    info["mean_nll"] |= {"n_missing": 3, "reasons": {"empty <answer>": 2, "other": 1}}
    (run.path / "scores.json").write_text(json.dumps(info), encoding="utf-8")
    open_run(run.path).validate(n_boot=50)
    text = words(missing_values(read_run(open_run(run.path)), Caps()))
    assert "mean_nll 40 3 2 35 35 empty &lt;answer&gt; (2); other (1)" in text
    assert re.search(r"(semantic_entropy|verbalized_1s) , (semantic_entropy|verbalized_1s) 40 0 5 35 35 \u2013", text)


def test_a_whole_run_says_so_and_shows_its_counts(make_run: Any) -> None:
    text = words(failures(read_run(make_run(n=20)), Caps()))
    assert "Nothing failed: all 20 items" in text
    assert re.search(r"mean_nll.* 20 0 0 20 20", text)


@pytest.mark.parametrize(("scored", "said"), [(False, "No estimator has scored"), (True, "20 20 0 0")])
def test_a_run_without_scores_or_verdicts(make_run: Any, scored: bool, said: str) -> None:
    run = make_run(n=20, scored=scored, correct=[None] * 20) if scored else make_run(n=20, scored=False)
    text = words(failures(read_run(run), Caps()))
    assert "Nothing failed" not in text
    assert (said in text) or ("Missing values" in text and "20 0 20 0" in text)
