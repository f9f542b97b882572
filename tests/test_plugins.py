"""Entries of other packages: found, and refused with the plugin's name when they cannot be used."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterator
from typing import Any

import pytest

from trueline.catalog import ENTRIES, all_entries
from trueline.errors import InputError
from trueline.estimators.loading import load_estimator


@dataclasses.dataclass(frozen=True)
class Point:
    """What ``importlib.metadata`` gives for an entry point."""

    loaded: Any
    name: str = "other"
    value: str = "other_package:ENTRIES"

    def load(self) -> Any:
        return self.loaded


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    all_entries.cache_clear()
    yield
    all_entries.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, loaded: Any) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [Point(loaded)] if group == "trueline.plugins" else [])


def test_entries_of_a_plugin_have_names_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [dataclasses.replace(ENTRIES[0], name="mine")])
    assert [entry.name for entry in all_entries()] == [*(entry.name for entry in ENTRIES), "mine"]
    assert load_estimator("mine")[1] == load_estimator(ENTRIES[0].name)[1]


def test_without_plugins_the_catalog_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [])
    assert all_entries() == ENTRIES


@pytest.mark.parametrize(
    ("loaded", "message"),
    [([ENTRIES[0]], "offers 'sequence_nll', a name that is taken"), (["sequence_nll"], "must name a sequence of trueline.catalog.Entry")],
)
def test_what_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, loaded: Any, message: str) -> None:
    install(monkeypatch, loaded)
    with pytest.raises(InputError, match=message) as error:
        all_entries()
    assert "other_package:ENTRIES" in str(error.value)
