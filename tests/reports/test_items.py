"""Item cards: which items are chosen, and how an answer is coloured."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trueline.reports import items
from trueline.reports.data import read_run
from trueline.reports.sections import Caps


def test_choice_holds_the_ends_of_the_order_without_overlap(make_run: Any) -> None:
    run = make_run(n=40, names=("mean_nll",))
    view = read_run(run)
    score = view.scores["mean_nll"]
    chosen = items.choose(view, Caps())
    assert chosen.certain == list(np.argsort(score, kind="stable")[:6])
    assert chosen.uncertain == list(np.argsort(score, kind="stable")[::-1][:6])
    assert all(view.correct[i] == 0 for i in chosen.certain_wrong)
    assert len(set(chosen.all())) == len(chosen.certain) + len(chosen.uncertain) + len(chosen.certain_wrong)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_few_items_are_not_shown_twice(make_run: Any, n: int) -> None:
    view = read_run(make_run(n=n, names=("mean_nll",)))
    chosen = items.choose(view, Caps())
    assert sorted(chosen.certain + chosen.uncertain) == list(range(n))
    assert len(chosen.certain) >= len(chosen.uncertain)


def test_missing_scores_are_never_chosen(make_run: Any) -> None:
    view = read_run(make_run(n=10, names=("mean_nll",)))
    view.scores["mean_nll"][:8] = np.nan
    assert sorted(items.choose(view, Caps()).all()) == [8, 9]


@pytest.mark.parametrize(
    ("p", "cls"), [(1.0, "p1"), (0.9, "p1"), (0.89, "p2"), (0.6, "p2"), (0.3, "p3"), (0.1, "p4"), (0.09, "p5"), (1e-300, "p5")]
)
def test_token_classes(p: float, cls: str) -> None:
    assert items.token_class(math.log(p)) == cls


def test_tokens_without_a_probability_have_no_colour() -> None:
    assert items.token_class(None) == items.token_class(math.nan) == ""
    assert items.token_class(-math.inf) == "p5"


def test_the_legend_explains_every_class() -> None:
    legend = items.legend()
    assert all(f'tok {name}">{label}' in legend for _, name, label in items.TOKEN_CLASSES)


def test_scan_counts_answers_and_keeps_wanted_rows_alone(make_run: Any) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["finish_reason"] = "length"
        rows[1]["finish_reason"] = None
        rows[2].update(text=None, error="broken")

    found = items.scan(make_run(n=4, changes=change), {"q00001"})
    assert (found.n_answers, found.n_truncated, found.n_unknown) == (23, 1, 1)
    assert set(found.rows) == {"q00001"}
    assert len(found.rows["q00001"]) == 6
    assert found.truncated_share == pytest.approx(1 / 22)


def test_a_card_shows_tokens_samples_verdict_and_references(make_run: Any) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0].update(token_texts=["Ve", "lo\nria", ""], token_logprobs=[-0.01, -1.0, -5.0])
        for row, text in zip(rows[1:6], ["B", "A", "B", " B ", None], strict=True):
            row.update(text=text, error=None if text else "broken")

    run = make_run(n=1, names=("mean_nll",), correct=[False], changes=change)
    view = read_run(run)
    chosen = items.choose(view, Caps())
    made = items.items(view, chosen, items.scan(run, {"q00000"}), Caps())
    assert '<span class="tok p1" title="probability 0.990">Ve</span>' in made
    assert '<span class="tok p3" title="probability 0.368"><span class="faint">\u23ce</span>lo\nria</span>' in made
    assert '<span class="tok p5" title="probability 0.007"><span class="ctl">end</span></span>' in made
    assert "\u2717 wrong" in made
    assert "5 samples, 2 distinct" in made
    assert made.index(">3 \u00d7<") < made.index(">1 \u00d7<")  # most common text first
    assert "failed" in made
    assert ">Veloria</bdi>" in made
    few = items.items(view, chosen, items.scan(run, {"q00000"}), replace(Caps(), samples=1, tokens=1))
    assert "1 further texts, 1 samples, left out" in few
    assert "2 more tokens left out" in few


def test_without_token_texts_the_text_and_the_probabilities_are_there(make_run: Any) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["token_texts"] = None

    run = make_run(n=1, names=("mean_nll",), changes=change)
    view = read_run(run)
    made = items.items(view, items.choose(view, Caps()), items.scan(run, {"q00000"}), Caps())
    assert '<bdi class="quote" dir="auto">Veloria.</bdi>' in made
    assert "the trace holds no token texts" in made
