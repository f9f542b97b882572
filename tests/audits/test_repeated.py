"""Reading the repeated answers of a run: verdicts, meaning, what is left out, and copies that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lawmodel import LawModel, make_task
from repeated_answers import planted, row

import trueline as tl
from trueline.audits.repeated import read_repeated
from trueline.errors import InputError


def test_verdicts_of_the_file_and_meaning_by_normal_form(tmp_path: Path) -> None:
    run = planted(tmp_path, [row("a", ["right", "Wrong!", "wrong", "other"]), row("b", ["right", "right", "no", "right"], greedy="no")])
    found = read_repeated(run)
    first, second = found.items
    assert first.correct.tolist() == [1, 0, 0, 0]
    assert first.meaning[1] == first.meaning[2] != first.meaning[3]
    assert first.outcomes[0] == -1
    assert (first.greedy_correct, second.greedy_correct) == (1, 0)
    assert (found.grader, found.judge) == ("given", "normalised")
    assert found.clusters is None


def test_a_grader_judges_every_sample(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "?", "reference": "Paris", "samples": ["It is Paris.", "Rome", "paris"], "temperature": 1.0}]
    found = read_repeated(planted(tmp_path, rows, grader="contains"))
    assert found.items[0].correct.tolist() == [1, 0, 1]
    assert np.isnan(found.items[0].greedy_correct)
    strict = read_repeated(tl.open_run(tmp_path / "run"), grader="exact")
    assert strict.items[0].correct.tolist() == [0, 0, 0]


def test_a_measured_run(tmp_path: Path) -> None:
    run = tl.measure(LawModel(), make_task(20, broken=(3,)), ["self_consistency"], samples=6, out=tmp_path / "run")
    found = read_repeated(run)
    assert len(found.items) == 19
    assert sum(found.left_out.values()) == 1
    assert found.n_items == 20
    for repeated in found.items:
        assert repeated.correct.tolist() == [float(text.strip() == repeated.item.references[0]) for text in repeated.texts]
        assert len(repeated.texts) == 6
    assert found.clusters is not None


def test_items_with_one_sample_are_left_out_and_counted(tmp_path: Path) -> None:
    found = read_repeated(planted(tmp_path, [row("a", ["right"]), row("b", ["x", "right"])]))
    assert [r.item.id for r in found.items] == ["b"]
    assert found.left_out == {"1 usable sample, at least 2 needed": 1}


@pytest.mark.parametrize("temperature", [0.0, None])
def test_greedy_copies_are_refused(tmp_path: Path, temperature: float | None) -> None:
    rows = [row(f"q{i}", ["right"] * 4, temperature=temperature) for i in range(5)]
    with pytest.raises(InputError, match="copies of the greedy answer"):
        read_repeated(planted(tmp_path, rows))


def test_copies_with_a_shared_seed_are_refused_by_their_log_probs(tmp_path: Path) -> None:
    """At temperature 1 an answer of probability one half does not come four times out of four for twenty items."""
    rows = [row(f"q{i}", ["right"] * 4, sample_logprobs=[[np.log(0.5)]] * 4, top_p=1.0) for i in range(20)]
    with pytest.raises(InputError, match="share a seed"):
        read_repeated(planted(tmp_path / "copies", rows))
    sure = [row(f"q{i}", ["right"] * 4, sample_logprobs=[[np.log(0.999)]] * 4, top_p=1.0) for i in range(20)]
    assert len(read_repeated(planted(tmp_path / "sure", sure)).items) == 20
    # a model at temperature 1 may be sure of everything: without log-probs that is no reason to refuse it
    assert len(read_repeated(planted(tmp_path / "silent", [row(f"q{i}", ["right"] * 4) for i in range(20)])).items) == 20


def test_one_item_that_varies_is_enough_to_believe_an_unknown_temperature(tmp_path: Path) -> None:
    rows = [row("a", ["right"] * 3, temperature=None), row("b", ["right", "x", "right"], temperature=None)]
    assert len(read_repeated(planted(tmp_path, rows)).items) == 2


def test_runs_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sampled answers"):
        read_repeated(tl.measure(LawModel(), make_task(4), ["sequence_nll"], samples=0, out=tmp_path / "greedy"))
    with pytest.raises(InputError, match="enough graded samples"):
        read_repeated(planted(tmp_path / "one", [row("a", ["right"]), row("b", ["x"])], grader="exact"))
    answers = [{"id": "a", "question": "?", "samples": ["x", "y"], "correct": True, "temperature": 1.0}]
    with pytest.raises(InputError, match="one answer an item only"):
        read_repeated(planted(tmp_path / "answer", answers))
    with pytest.raises(InputError, match="unknown equivalence"):
        read_repeated(planted(tmp_path / "judge", [row("a", ["x", "y"])]), equivalence="nonsense")
