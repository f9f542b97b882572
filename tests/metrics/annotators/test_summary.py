"""The summary of annotators: by hand, against simulated truth, and what is undefined."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import CI, aurc, auroc, brier, prr
from trueline.metrics.annotators import Annotated, PartialRankings, adjusted_scores, annotator_summary, irn, supported
from trueline.tasks.annotations import Reading, read_annotations

FAST = CI(n_boot=100)


def cases(rng: Any, n: int, votes: int, concentration: float = 0.5) -> tuple[Any, list[list[Reading]]]:
    law = rng.dirichlet(np.full(3, concentration), n)
    return law, [[Reading(((str(rng.choice(3, p=row)),),), f"a{j}") for j in range(votes)] for row in law]


def test_numbers_by_hand() -> None:
    data = Annotated.from_readings([read_annotations(x) for x in (["x", "x", "y"], ["y"], None)])
    found = annotator_summary(data, {"m": [0, 1, 0], "none": [-1, np.nan, 0]}, ci=None)
    assert (found["n_cases"], found["n_annotated"], found["n_single"], found["n_answers"]) == (3, 2, 1, 4)
    m = found["predictions"]["m"]
    assert m["standard"]["value"] == 1
    assert m["votes"]["value"] == pytest.approx((2 / 3 + 1) / 2)
    assert m["votes"]["n_missing"] == 1
    # two against one: the chance that a Beta(2.01, 1.01) exceeds one half
    from scipy.stats import beta

    assert data.certainties()[0, 0] == pytest.approx(beta.sf(0.5, 2.01, 1.01), abs=1e-9)
    assert found["predictions"]["none"]["adjusted"]["value"] == 0
    assert found["agreement"]["value"] == pytest.approx(2 / 3)  # the two x agree with a tie, y does not
    assert json.dumps(found, allow_nan=False)


def test_votes_estimate_agreement_with_a_fresh_annotator_and_certainty_grows_with_trust() -> None:
    rng = np.random.default_rng(0)
    law, annotated = cases(rng, 3000, 3)
    data, guess = Annotated.from_readings(annotated), rng.integers(0, 3, 3000)
    found = annotator_summary(data, {"m": guess}, ci=CI("none"))
    assert found["predictions"]["m"]["votes"]["value"] == pytest.approx(law[np.arange(3000), guess].mean(), abs=0.02)
    sweep = [row["certainty"]["value"] for row in found["sweep"]]
    assert sweep == sorted(sweep)
    assert sum(found["histogram"]) == 3000


def test_a_careless_annotator_is_found() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    skill = {"good": 0.95, "fair": 0.9, "careless": 0.4}
    annotated = [[Reading(((str(t if rng.random() < s else rng.integers(3)),),), a) for a, s in skill.items()] for t in truth]
    found = {p["annotator"]: p["agreement"] for p in annotator_summary(Annotated.from_readings(annotated), ci=FAST)["annotators"]}
    assert found["careless"]["high"] < found["fair"]["low"]
    assert found["good"]["value"] >= found["fair"]["value"] - 0.03


def test_a_better_model_is_told_from_a_worse_one_and_equal_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    law, annotated = cases(rng, 400, 5)
    best, other = law.argmax(axis=1), rng.integers(0, 3, 400)
    gaps = annotator_summary(Annotated.from_readings(annotated), {"a": best, "b": other, "c": best}, ci=FAST)["differences"]
    by_pair = {(g["first"], g["second"]): g for g in gaps}
    assert by_pair["a", "b"]["low"] > 0
    assert by_pair["a", "c"]["value"] == 0
    assert by_pair["b", "c"]["high"] < 0


@pytest.mark.parametrize("ties", [False, True])
def test_certain_annotations_give_the_plain_metrics(ties: bool) -> None:
    rng = np.random.default_rng(3)
    u = rng.random(200).round(1 if ties else 9)
    q = (rng.random(200) > u).astype(float)
    found = adjusted_scores(u, q, 1 - u, ci=FAST)
    for name, metric, truth in (("auroc", auroc, 1 - q), ("aurc", aurc, 1 - q), ("prr", prr, 1 - q)):
        assert found[f"ua_{name}"].value == pytest.approx(metric(u, truth, ci=None).value, abs=1e-12)
    assert found["ua_brier"].value == pytest.approx(brier(1 - u, q, ci=None).value, abs=1e-12)
    assert found["ua_auroc"].n == 200


def test_adjusted_metrics_are_means_over_the_posterior() -> None:
    rng = np.random.default_rng(4)
    q, u, c = rng.random(300), rng.random(300), rng.random(300)
    found = adjusted_scores(u, q, c, ci=CI("none"))
    draws = (rng.random((400, 300)) < q).astype(float)
    for name, expected in (
        ("ua_auroc", [auroc(u, 1 - d, ci=None).value for d in draws]),
        ("ua_aurc", [aurc(u, 1 - d, ci=None).value for d in draws]),
        ("ua_brier", [brier(c, d, ci=None).value for d in draws]),
    ):
        assert found[name].value == pytest.approx(np.mean(expected), abs=0.005)


def test_what_lacks_is_counted_and_what_is_wrong_is_refused() -> None:
    u, q = np.array([0.1, np.nan, 0.3, 0.4]), np.array([1, 0.5, np.nan, 0.2])
    assert adjusted_scores(u, q, ci=FAST)["ua_aurc"].n_missing == 2
    nothing = adjusted_scores(u[:1], q[:1])
    assert all(not e.defined and e.reason for e in nothing.values())
    data = Annotated.from_readings([read_annotations(["x", "y"])])
    for wrong in ([5], [0, 1]):
        with pytest.raises(InputError, match="class numbers below 2"):
            supported(data.certainties(), wrong)
    with pytest.raises(InputError, match="positive and finite"):
        annotator_summary(data, reliability=0)
    with pytest.raises(InputError, match="name 0 different labels"):
        Annotated.from_readings([[]])
    with pytest.raises(InputError, match="1,001 different labels"):
        Annotated.from_readings([[Reading(((str(k),),))] for k in range(1001)])


def test_the_numbers_are_those_of_the_published_aggregation() -> None:
    lists = [[[[0, 3], [2]], [[1], [0]]]]
    data = Annotated.from_readings([read_annotations(case) for case in lists])
    assert irn(data.rankings) == pytest.approx(irn(PartialRankings.from_lists(lists, 4)))
