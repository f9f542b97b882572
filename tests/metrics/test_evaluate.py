"""`evaluate`, `gate`, examples in docstrings, cheap import."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import trueline.metrics
import trueline.stats
from trueline.errors import InputError
from trueline.metrics import METRICS, Bins, Estimate, Verdict, ece_metric, evaluate, gate


def test_names_order_and_settings() -> None:
    table = evaluate([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1], ["brier", "auroc", ece_metric(Bins(5))], ci=None)
    assert list(table) == ["brier", "auroc", "ece"]


def test_unknown_and_repeated_names() -> None:
    with pytest.raises(InputError, match="did you mean auroc"):
        evaluate([1, 2], [0, 1], ["aurok"])
    with pytest.raises(InputError, match="twice"):
        evaluate([1, 2], [0, 1], ["auroc", "auroc"])


def test_an_undefined_metric_does_not_take_the_others_down() -> None:
    table = evaluate([0.1, 0.2, 0.3], [1, 1, 1], [m for m in METRICS if m != "nll"])
    assert not table["auroc"].defined
    assert table["brier"].defined
    assert table["aurc"].defined
    assert all(e.defined or e.reason for e in table.values())


@pytest.mark.parametrize(
    ("low", "high", "least", "most"),
    [(0.85, 0.95, Verdict.PASS, Verdict.FAIL), (0.5, 0.7, Verdict.FAIL, Verdict.PASS), (0.7, 0.9, Verdict.NOT_SHOWN, Verdict.NOT_SHOWN)],
)
def test_gate(low: float, high: float, least: Verdict, most: Verdict) -> None:
    e = Estimate((low + high) / 2, low, high)
    assert gate(e, at_least=0.8) == least
    assert gate(e, at_most=0.8) == most
    assert gate(Estimate(0.9), at_least=0.1) == Verdict.NOT_SHOWN
    for kw in ({}, {"at_least": 0.1, "at_most": 0.2}):
        with pytest.raises(InputError, match="exactly one"):
            gate(e, **kw)


def modules() -> list[str]:
    return [f"{p.__name__}.{m.name}" for p in (trueline.stats, trueline.metrics) for m in pkgutil.iter_modules(p.__path__)]


@pytest.mark.parametrize("name", modules())
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_import_is_light() -> None:
    code = "import sys, trueline.metrics; print([m for m in ('scipy', 'sklearn', 'torch', 'pandas', 'polars') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
