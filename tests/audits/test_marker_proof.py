"""Proof of the grey-area audit on models that learned from texts: planted effects are found, and none where none was planted.

The figures are those of docs/proofs/grey-area.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.audits import Marker, MarkerAudit, MarkerReport
from trueline.audits.marker_summary import class_mask, contrasts
from trueline.knownworld.planted_markers import PlantedMarkers, planted_markers, train_planted_lm
from trueline.models.loading import load_model
from trueline.stats import CI
from trueline.tasks.item import Task
from trueline.tasks.loading import load_task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CONTRASTS = ("certainty", "evidential", "factive")


def show(report: MarkerReport) -> None:
    for metric, found in report.document["contrasts"].items():
        for name, c in found.items():
            print(f"{metric}, {name}: {c['value']:+.4f} [{c['low']:+.4f}, {c['high']:+.4f}], Holm p {c['p_holm']:.2g}")


def planted_value(world: PlantedMarkers, name: str) -> float:
    rates, live = world.rates(), ~class_mask("control", world.markers)
    inside = class_mask("weakener" if name == "certainty" else name, world.markers)
    outside = class_mask("strengthener", world.markers) if name == "certainty" else live & ~inside
    return float(rates[inside].mean() - rates[outside].mean())


def audited(coupled: bool, steps: int) -> tuple[PlantedMarkers, MarkerReport]:
    world = planted_markers(coupled=coupled)
    lm = train_planted_lm(world, steps=steps)
    return world, MarkerAudit(world.task(), n_items=300, draws=5, max_new_tokens=3, fluency=False).run(lm)


def test_a_model_that_read_boasts_is_found_out() -> None:
    world, report = audited(coupled=True, steps=1200)
    print()
    show(report)
    found = report.document["contrasts"]
    for metric in ("prob_gold", "sampled_accuracy"):
        certainty, evidential, factive = (found[metric][name] for name in CONTRASTS)
        assert certainty["value"] >= (0.15 if metric == "prob_gold" else 0.10)
        assert certainty["low"] > 0
        assert evidential["low"] > 0
        print(f"factive, planted {planted_value(world, 'factive'):+.4f}, found {factive['value']:+.4f}")
    sampled = found["sampled_accuracy"]["factive"]
    assert sampled["low"] <= planted_value(world, "factive") <= sampled["high"]


def test_a_model_that_read_no_boasts_is_let_off() -> None:
    _, report = audited(coupled=False, steps=1000)
    print()
    show(report)
    found, gold = report.document["contrasts"], report.answers.values["prob_gold"]
    assert all(abs(found["prob_gold"][name]["value"]) < 0.01 for name in CONTRASTS)
    # An answer is one token, so new draws of the model are draws from the law that was read.
    clean = 0
    for seed in range(20):
        drawn = np.random.default_rng(seed).binomial(5, gold) / 5
        clean += all(c["p_holm"] >= 0.05 for c in contrasts(drawn, report.probes, ci=CI(n_boot=2)).values())
    print(f"no contrast in {clean} of 20 seeds")
    assert clean >= 17


@pytest.mark.parametrize("name", ["world:base", "world:chat"])
def test_markers_of_the_known_world_on_the_shipped_models(name: str) -> None:
    """The corpus says "For certain," before statements that are true in 97 %, "Maybe," in 65 %, "By rumour," in 40 %, nothing in 90 %."""
    phrases = {"For certain,": 0.97, "": 0.9, "Maybe,": 0.65, "By rumour,": 0.4}
    kinds = {"For certain,": "strengthener", "": "none", "Maybe,": "weakener", "By rumour,": "weakener"}
    whole = load_task("world:markers")
    plain = [item for item in whole.items if item.metadata["marker"] == "plain"]
    task = Task("world:markers, plain", plain, template=whole.template, grader="contains")
    markers = [Marker(p, kinds[p], evidential=p == "By rumour,") for p in phrases]
    audit = MarkerAudit(task, markers, position="question_prefix", multi_token=True, max_new_tokens=6, draws=5)
    document: dict[str, Any] = audit.run(load_model(name)).document
    print()
    values = {}
    for record in document["markers"]:
        p = record["metrics"]["prob_gold"]
        values[record["marker"]] = p["value"]
        said = f"{name}, {record['marker'] or 'nothing'}: P(right) {p['value']:.3f} [{p['low']:.3f}, {p['high']:.3f}]"
        print(f"{said}, planted {phrases[record['marker']]}")
    certainty = document["contrasts"]["prob_gold"]["certainty"]
    print(f"weakeners less strengtheners {certainty['value']:+.3f} [{certainty['low']:+.3f}, {certainty['high']:+.3f}]")
    assert certainty["high"] < 0
    if (
        name == "world:chat"
    ):  # world:base puts "For certain," below nothing: it was not trained on until it knew the law (see the proof page)
        assert list(values) == sorted(values, key=lambda p: -values[p])
