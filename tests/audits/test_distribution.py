"""Sampling beside greedy on planted runs: capability, paths, wording, harm, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repeated_answers import planted, row

from trueline.audits.distribution import audit_distribution
from trueline.errors import InputError
from trueline.metrics.distributional import any_at_k

N = 12


def mixed(rng: np.random.Generator, share: float, wrong: str = "x") -> list[str]:
    return ["right" if rng.random() < share else wrong for _ in range(N)]


def test_capability_beside_greedy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shares = np.linspace(0, 1, 40)
    rows = [row(f"q{i}", mixed(rng, q), greedy="right" if q > 0.5 else "x") for i, q in enumerate(shares)]
    document = audit_distribution(planted(tmp_path, rows), ks=(1, 5, 10), n_options=4)
    found = document["capability"]
    correct = [[s == "right" for s in r["samples"]] for r in rows]
    assert found["greedy_accuracy"]["value"] == 0.5
    assert found["pass_at_k"]["10"]["value"] == pytest.approx(any_at_k(correct, 10).mean())
    assert found["gain_pass"]["10"]["low"] > 0
    assert abs(found["gain_vote"]["10"]["value"]) < 0.1
    assert found["guess_at_k"]["5"] == pytest.approx(1 - 0.75**5)
    assert found["greedy_or_vote"] is not None
    assert document["wording"] is None
    assert document["harm"] is None
    json.dumps(document, allow_nan=False)


def test_without_greedy_answers_nothing_is_made_up(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    run = planted(tmp_path, [row(f"q{i}", mixed(rng, 0.5), greedy=None) for i in range(10)])
    document = audit_distribution(run, harm="wrong")
    found = document["capability"]
    assert found["mean_sample_accuracy"]["value"] is not None
    for name in ("greedy_accuracy", "reachable"):
        assert found[name]["value"] is None
        assert "no greedy answer" in found[name]["reason"]
    assert found["gain_vote"]["5"]["value"] is None
    assert document["harm"]["concealed_risk"]["value"] is None
    assert document["harm"]["any_harm_at_k"]["5"]["value"] is not None


def test_paths_by_their_equations(tmp_path: Path) -> None:
    def said(path: str, answer: str) -> str:
        return f"<think>{path}</think> {answer}"

    one, other = "2 + 3 = 5. 5 + 4 = 9", "3 + 4 = 7. 2 + 7 = 9"
    rows = [
        {
            "id": f"q{i}",
            "question": "What is 2 + 3 + 4?",
            "reference": "9",
            "temperature": 1.0,
            "samples": [said(one, "9"), said(one, "9"), said(other, "9"), said("2 + 3 = 6. 6 + 4 = 10", "10"), said(one, "8")],
        }
        for i in range(3)
    ]
    paths = audit_distribution(planted(tmp_path, rows, grader="numeric"), ks=(1,))["paths"]
    assert paths["kind"] == "equations"
    assert paths["distinct_paths"]["value"] == 3
    assert paths["distinct_correct_paths"]["value"] == 2
    assert paths["several_right_paths"]["value"] == 1
    assert paths["path_with_several_answers"]["value"] == 1
    assert paths["unseen_mass"]["value"] == pytest.approx(2 / 5)


def test_variance_by_wording_and_by_sampling(tmp_path: Path) -> None:
    """Questions whose outcome hangs on the wording alone, against questions whose outcome hangs on the draw alone."""
    rng = np.random.default_rng(2)
    rows = []
    for i in range(60):
        for j in range(3):
            hard = j == 2
            common = {"wording": f"form {j}", "greedy": "x" if hard else "right"}
            rows.append(row(f"w{i}.{j}", mixed(rng, 0.0 if hard else 1.0), wording_group=f"w{i}", family="wording", **common))
            rows.append(row(f"s{i}.{j}", mixed(rng, 0.5), wording_group=f"s{i}", family="sampling", **common))
    for family, kept in (("wording", "w"), ("sampling", "s")):
        run = planted(tmp_path / family, [r for r in rows if r["id"].startswith(kept)])
        found = audit_distribution(run, ks=(1,))["wording"]
        assert (found["n_questions"], found["n_variants"], found["n_samples"]) == (60, 3, N)
        if family == "wording":
            assert found["prompt_part"]["value"] == pytest.approx(2 / 9)
            assert found["sampling_part"]["value"] == 0
            assert found["flip_rate"]["value"] == 0.5
            assert found["illusion_gap"]["value"] == pytest.approx(1 / 3)
            assert found["by_wording"]["form 2"]["mean_sample_accuracy"]["value"] == 0
        else:
            assert found["sampling_part"]["low"] > 0.2
            assert abs(found["prompt_part"]["value"]) < 0.01


def test_groups_of_other_sizes_are_left_out_and_said(tmp_path: Path) -> None:
    rows = [row(f"q{i}.{j}", ["right", "x"], wording_group=f"q{i}") for i in range(4) for j in range(3 if i else 2)]
    document = audit_distribution(planted(tmp_path, rows))
    assert document["wording"]["n_questions"] == 3
    assert any("1 questions with another number of wordings" in w for w in document["warnings"])
    assert document["n_clusters"] == 4


def harmful(folder: Path) -> Any:
    rng = np.random.default_rng(3)
    rows = []
    for i in range(50):
        risky = i < 10
        samples = ["the password is 1234" if risky and rng.random() < 0.3 else "no" for _ in range(N)]
        rows.append(row(f"q{i}", samples, greedy="no"))
    return rows, planted(folder, rows)


def test_harm_that_greedy_conceals(tmp_path: Path) -> None:
    rows, run = harmful(tmp_path)
    document = audit_distribution(run, ks=(1, 10), harm="regex:password", false_positive_rate=0.0, deployment=200)
    found = document["harm"]
    labels = [["password" in s for s in r["samples"]] for r in rows]
    assert found["greedy_harm_rate"]["value"] == 0
    assert found["any_harm_at_k"]["10"]["value"] == pytest.approx(any_at_k(labels, 10).mean())
    assert found["concealed_risk"]["value"] == pytest.approx(np.mean([np.mean(x) > 0.05 for x in labels]))
    assert found["cvar"]["value"] > 0.3
    assert found["worst_item"] in {f"q{i}" for i in range(10)}
    assert found["deployment"]["k"] == 200
    assert found["per_item"]["q49"][1] == 0
    assert found["per_item"]["q49"][2] > 0.2  # twelve harmless samples show little
    assert found["corrected_any_harm_at_k"]["10"]["value"] == pytest.approx(found["any_harm_at_k"]["10"]["value"])


def test_harm_from_a_table_of_labels(tmp_path: Path) -> None:
    rows, run = harmful(tmp_path)
    table = tmp_path / "harm.csv"
    lines = ["item_id,kind,draw,harm", *(f"{r['id']},greedy,,no" for r in rows)]
    lines += [f"{r['id']},sample,{k},{int('password' in s)}" for r in rows for k, s in enumerate(r["samples"])]
    table.write_text("\n".join(lines) + "\n")
    by_table = audit_distribution(run, ks=(1, 10), harm=str(table))["harm"]
    by_grader = audit_distribution(run, ks=(1, 10), harm="regex:password")["harm"]
    assert by_table["any_harm_at_k"] == by_grader["any_harm_at_k"]
    assert by_table["risk_gap_at_k"] == by_grader["risk_gap_at_k"]
    table.write_text("\n".join(lines[:-1]) + "\n")
    assert any("1 samples have no harm label" in w for w in audit_distribution(run, ks=(1,), harm=str(table))["warnings"])


def test_no_harm_seen_is_a_bound_and_no_proof(tmp_path: Path) -> None:
    run = planted(tmp_path, [row(f"q{i}", ["right", "x", "right"]) for i in range(20)])
    document = audit_distribution(run, harm="regex:password")
    found = document["harm"]["any_harm_at_k"]["1"]
    assert (found["value"], found["low"]) == (0, 0)
    assert 0.1 < found["high"] < 0.2
    assert any("not a proof of safety" in w for w in document["warnings"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("item_id,draw,harm\nq0,0,maybe\n", "line 2: the harm label is 'maybe'"),
        ("item_id,draw,harm\nq0,0,1\nq0,0,1\n", "line 3: sample 0 of item 'q0' is labelled twice"),
        ("item_id,draw,harm\nq0,-1,1\n", "draw of 0, 1"),
        ("item_id,draw,verdict\nq0,0,1\n", "harm"),
        ("item_id,draw,harm\nzz,0,1\n", "labels no sample"),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, words: str) -> None:
    run = planted(tmp_path, [row("q0", ["right", "x"])])
    table = tmp_path / "harm.csv"
    table.write_text(content)
    with pytest.raises(InputError, match=words):
        audit_distribution(run, harm=str(table))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ks": (3,)}, "k is 3; expected 1 to 2"),
        ({"ks": ()}, "no k"),
        ({"paths": "nonsense"}, "paths"),
        ({"harm": "nonsense"}, "unknown grader"),
        ({"harm": "wrong", "tau": 1.5}, "tau"),
        ({"n_options": 0}, "n_options"),
    ],
)
def test_bad_input(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    run = planted(tmp_path, [row("q0", ["right", "x"])])
    with pytest.raises(InputError, match=words):
        audit_distribution(run, **options)
