"""Markers in collections of texts: planted shares are found, clusters count, and what cannot be read is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trueline.audits import Marker, probe_corpus
from trueline.errors import InputError
from trueline.stats.intervals import wilson


def planted(rate_asked: float, rate_told: float, *, n: int = 400, seed: int = 0) -> list[str]:
    """Documents of one question and one statement; a strengthener stands in shares of either."""
    rng = np.random.default_rng(seed)
    lead = {True: "Surely it is", False: "It is"}
    return [f"{lead[rng.random() < rate_asked]} Oslo? {lead[rng.random() < rate_told]} Rome." for _ in range(n)]


def test_planted_shares_are_found() -> None:
    found = probe_corpus(planted(0.3, 0.1))["kinds"]["strengthener"]
    assert found["questions"]["low"] < 0.3 < found["questions"]["high"]
    assert found["others"]["low"] < 0.1 < found["others"]["high"]
    assert found["difference"]["low"] > 0.1
    assert found["asked"]["low"] > 0.5


def test_nothing_is_found_where_nothing_was_planted() -> None:
    clean = sum(
        (d := probe_corpus(planted(0.2, 0.2, seed=seed))["kinds"]["strengthener"]["difference"])["low"] <= 0 <= d["high"]
        for seed in range(20)
    )
    assert clean >= 17


def test_by_hand(tmp_path: Path) -> None:
    text = 'Are you sure? "Is it certainly so?" I think so. Wikipedia reports it. He is not sure. It rains.'
    document = json.loads(json.dumps(probe_corpus([text]), allow_nan=False))
    assert (document["n_sentences"], document["n_questions"]) == (6, 2)
    strong, weak = (document["kinds"][kind] for kind in ("strengthener", "weakener"))
    assert (strong["questions"]["value"], strong["others"]["value"], strong["asked"]["value"]) == (1, 0, 1)
    assert weak["others"]["value"] == 0.75  # the encyclopaedia is a weakener of the list, "not sure" weakens
    assert (strong["questions"]["low"], strong["questions"]["high"]) == pytest.approx((wilson(2, 2).low, wilson(2, 2).high))
    assert document["kinds"]["sourced"]["others"]["value"] == 0.25
    assert document["contrast"]["value"] == 1
    assert any("One document" in w for w in document["warnings"])


def test_sentences_of_one_document_are_alike() -> None:
    texts = ["Surely so? " * 20 + "So. " * 20, "So? " * 20 + "So. " * 20] * 4
    entry = probe_corpus(texts)["kinds"]["strengthener"]["questions"]
    naive = wilson(80, 160)
    assert entry["value"] == 0.5
    assert entry["high"] - entry["low"] > 2 * (naive.high - naive.low)
    assert entry["method"].startswith("cluster wilson")


def test_texts_without_questions_or_markers() -> None:
    document = probe_corpus(["It rains.", "..."])
    assert document["kinds"]["any"]["asked"]["value"] is None
    assert document["kinds"]["any"]["questions"]["reason"] == "there is no question"
    assert document["n_empty"] == 1
    assert document["contrast"]["value"] is None


def test_own_markers_and_a_limit() -> None:
    found = probe_corpus(["Ich glaube ja.", "Nein?"], markers=[Marker("Ich glaube", "weakener")], limit=1)
    assert found["kinds"]["weakener"]["others"]["value"] == 1
    assert found["markers"] == [{"marker": "Ich glaube", "questions": 0, "others": 1}]


def test_bad_input() -> None:
    with pytest.raises(InputError, match="hold no sentence"):
        probe_corpus([" "])
    with pytest.raises(InputError, match="text 1 is int"):
        probe_corpus([3])  # type: ignore[list-item]
    with pytest.raises(InputError, match="limit is 0"):
        probe_corpus(["a"], limit=0)
