from __future__ import annotations

from trueline.estimators.equivalence import Exact, Normalised, Oracle


def test_keys() -> None:
    assert Exact().key("a", "The Owl") == "The Owl"
    assert Normalised().key("a", "The Owl, 007") == Normalised().key("a", "owl 7")
    assert Normalised(numbers=False).key("a", "007") != Normalised(numbers=False).key("a", "7")
    assert Oracle(lambda item, text: f"{item}/{text[0]}").key("a", "owl") == "a/o"
    assert [j.name for j in (Exact(), Normalised(), Normalised(numbers=False))] == ["exact", "normalised", "normalised(numbers=false)"]
