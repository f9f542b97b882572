from __future__ import annotations

import pytest

from trueline.errors import InputError
from trueline.estimators.equivalence import NLI, Exact, LLMJudge, Normalised, Oracle
from trueline.estimators.loading import estimator_entries, load_equivalence, load_estimator, load_estimators, parse_spec, split_specs
from trueline.estimators.semantic_entropy import SemanticEntropy
from trueline.estimators.sequence_nll import SequenceNLL


def test_names_and_options() -> None:
    assert load_estimator("mean_nll") == ("mean_nll", SequenceNLL(length_normalize=True))
    name, estimator = load_estimator(" semantic_entropy( estimator = monte_carlo , unique=True)")
    assert name == "semantic_entropy(estimator=monte_carlo,unique=true)"
    assert estimator == SemanticEntropy(estimator="monte_carlo", unique=True)
    assert load_estimator(name) == (name, estimator)


def test_all_and_lists() -> None:
    every = load_estimators("all")
    assert list(every) == list(estimator_entries())
    assert list(load_estimators("sequence_nll, kernel_language_entropy(t=1,nu=2.0),sequence_nll")) == [
        "sequence_nll",
        "kernel_language_entropy(t=1,nu=2.0)",
    ]
    assert split_specs("a(b=1,c=2),d") == ["a(b=1,c=2)", "d"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("semantic_entrop", "did you mean semantic_entropy"),
        ("semantic_entropy(estimators=rao)", "did you mean estimator"),
        ("semantic_entropy(estimator=mean)", "rao, monte_carlo, cluster_mean"),
        ("semantic_entropy(unique=1)", "expected bool"),
        ("sequence_nll(length_normalize=yes)", "expected bool"),
        ("topk_entropy(k=2.5)", "expected int"),
        ("sequence_nll(length_normalize)", "option=value"),
        ("sequence_nll(", "form name"),
        ("", "form name"),
    ],
)
def test_bad_specs(spec, message) -> None:
    with pytest.raises(InputError, match=message):
        load_estimator(spec)


def test_nothing_named() -> None:
    with pytest.raises(InputError, match="no estimator was named"):
        load_estimators(" , ")


def test_equivalences() -> None:
    assert load_equivalence("exact") == Exact()
    assert load_equivalence("normalised") == Normalised()
    assert load_equivalence("normalised(numbers=false)") == load_equivalence("normalised", numbers=False) == Normalised(numbers=False)
    oracle = load_equivalence("oracle", canonical=lambda _, text: text.upper())
    assert isinstance(oracle, Oracle)
    assert oracle.key("a", "x") == "X"
    assert load_equivalence("nli:/some/dir:x") == NLI("/some/dir:x")
    spec = "nli(prefix_question=false,labels=c):/d"
    assert load_equivalence(spec) == NLI("/d", labels="c", prefix_question=False)
    assert load_equivalence("nli:/d", self_pairs=True, batch_size=8) == NLI("/d", self_pairs=True, batch_size=8)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("normalized", "did you mean normalised"),
        ("oracle", "truth is known"),
        ("nli:", "nli:PATH"),
        ("llm:", "llm:MODEL"),
        ("nli(size=3):/d", "no option 'size'"),
        ("normalised(numbers=0)", "expected bool"),
        ("exact(case=false)", "no option 'case'"),
        ("nli", "nli:PATH"),
    ],
)
def test_bad_equivalences(spec, message) -> None:
    with pytest.raises(InputError, match=message):
        load_equivalence(spec)


def test_llm_judge_takes_any_model_uri(monkeypatch) -> None:
    import trueline.models.loading as models

    seen = {}
    monkeypatch.setattr(models, "load_model", lambda uri, **options: seen.setdefault(uri, (uri, options)))
    judge = load_equivalence("llm:hf:/some/dir", model_options={"device": "cpu"}, batch_size=4)
    assert isinstance(judge, LLMJudge)
    assert judge.batch_size == 4
    assert seen == {"hf:/some/dir": ("hf:/some/dir", {"device": "cpu"})}


def test_parse_spec() -> None:
    assert parse_spec("a(b=1,c=x.y,d=1.5,e=FALSE)") == ("a", {"b": 1, "c": "x.y", "d": 1.5, "e": False})
