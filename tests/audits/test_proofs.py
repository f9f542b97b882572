"""The audits of repeated answers on the shipped models and on planted ones; the figures are those of the proof pages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lawmodel import ANSWERS, LawModel, law, make_task
from repeated_answers import planted

import trueline as tl
from trueline.audits.distribution import audit_distribution
from trueline.audits.incoherence import audit_errors
from trueline.models.base import GenerationRequest, GenerationSettings, RequestResult
from trueline.tasks.item import Item, Task
from trueline.tasks.loading import load_task

pytestmark = pytest.mark.slow

N_FACTS = 60


def say(name: str, estimate: Mapping[str, Any]) -> None:
    numbers = [math.nan if estimate[key] is None else estimate[key] for key in ("value", "low", "high")]
    print(f"{name}: {numbers[0]:.3f} [{numbers[1]:.3f}, {numbers[2]:.3f}]")


def sampled(model: str | LawModel, task: Task, out: Path, n: int = 10) -> tl.Run:
    return tl.measure(model, task, ["self_consistency"], samples=n, out=out, validate=False)


# -- sums of growing length -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> tl.Run:
    return sampled("world:chat", load_task("world:sums"), tmp_path_factory.mktemp("sums") / "run")


def test_errors_by_length_of_the_sum(sums: tl.Run) -> None:
    document = audit_errors(sums, by="steps", losses=("brier", "kl"), ensemble_sizes=(1, 2))
    print()
    for group in (*document["groups"], {"group": "all", **document["overall"]}):
        part = group["brier"]
        print(f"length {group['group']}: {part['mean_length']:.0f} tokens, plug-in {part['plug_in']}, n {part['n_items']}")
        for name in ("incoherence", "error", "accuracy"):
            say(f"  {name}", part[name])
        say("  kl incoherence", group["kl"]["incoherence"])
        say("  wrong samples agree", group["wrong_agreement"])
    say("last less first, incoherence", document["trend"]["difference"])
    split = document["split"]
    say(f"longer less shorter samples of {split['n_items']} items, incoherence", split["difference"])
    say("  accuracy", split["accuracy_difference"])
    groups = document["groups"]
    assert [g["group"] for g in groups] == [str(n) for n in range(1, 9)]
    assert groups[-1]["brier"]["error"]["low"] > groups[0]["brier"]["error"]["high"]
    lengths = [g["brier"]["mean_length"] for g in groups]
    assert lengths == sorted(lengths)
    whole = document["overall"]["brier"]
    assert whole["plug_in"] < whole["incoherence"]["value"]
    for group in groups:  # one-hot answers: between always and never the same wrong answer
        accuracy, found = group["brier"]["accuracy"]["value"], group["brier"]["incoherence"]["value"]
        if found is not None and group["brier"]["error"]["value"] > 0.1:
            assert 0.3 * accuracy <= found <= 1
    first, second = document["ensembles"]
    ratio = 2 * second["variance"]["value"] / first["variance"]["value"]
    print(f"variance of ensembles of 2, times 2, over single samples: {ratio:.3f}")
    assert ratio == pytest.approx(1, abs=0.15)


def test_unbiased_terms_do_not_move_with_the_number_of_samples(sums: tl.Run, tmp_path: Path) -> None:
    table = [r for block in sums.blocks() for r in block.table.to_pylist() if r["kind"] == "sample"]
    found = {}
    for n in (3, 5, 10):
        rows: dict[str, dict[str, Any]] = {}
        for r in table:
            if r["draw"] < n and r["text"] is not None:  # None: cut while reasoning
                item = rows.setdefault(r["item_id"], {"id": r["item_id"], "samples": [], "correct": [], "temperature": 1.0})
                key = sums.task.canonical(_items(sums)[r["item_id"]], r["text"])  # type: ignore[misc]
                item["samples"].append(key)
                item["correct"].append(key == _items(sums)[r["item_id"]].references[0])
        document = audit_errors(planted(tmp_path / str(n), list(rows.values())), by="words", n_groups=1)
        found[n] = (document["overall"]["brier"]["incoherence"]["value"], document["overall"]["brier"]["plug_in"])
        print(f"\n{n} samples: unbiased {found[n][0]:.3f}, plug-in {found[n][1]:.3f}", end="")
    assert abs(found[3][0] - found[10][0]) < 0.03
    assert found[3][1] < found[5][1] < found[10][1]
    assert found[10][1] - found[3][1] > 0.03


def _items(run: tl.Run) -> Mapping[str, Item]:
    return {item.id: item for item in run.task.items}


def test_sampling_beside_greedy_on_sums(sums: tl.Run) -> None:
    document = audit_distribution(sums)
    assert document["ks"] == [1, 5]  # a sample whose reasoning never ends has no answer; some sum has fewer than ten
    found = document["capability"]
    print()
    for name in ("greedy_accuracy", "mean_sample_accuracy", "reachable", "fragile"):
        say(name, found[name])
    for name in ("pass_at_k", "gain_pass", "majority_at_k", "gain_vote"):
        say(f"{name} 5", found[name]["5"])
    for name in ("effective_paths", "unseen_mass", "several_right_paths"):
        say(name, document["paths"][name])
    assert document["paths"]["kind"] == "equations"
    assert document["paths"]["effective_paths"]["value"] > 2  # the equations are in the reasoning
    assert found["pass_at_k"]["5"]["value"] > found["pass_at_k"]["1"]["value"]
    assert found["gain_pass"]["5"]["low"] > found["gain_vote"]["5"]["high"]  # an oracle verifier is worth more than a vote


# -- facts: ignorance, ambiguity and planted bias ------------------------------------------------------------------------


def strata() -> Task:
    """Facts stated 0, 1 and 48 times, ambiguous facts, and well-known facts whose label is another answer: a planted bias."""
    base = load_task("world:facts")
    items: list[Item] = []
    for exposure in (0, 1, 48):
        chosen = [i for i in base.items if i.metadata["exposure"] == exposure and i.metadata["kind"] == "fact"][:N_FACTS]
        items += [_labelled(i, f"stated {exposure}") for i in chosen]
    known = [i for i in base.items if i.metadata["exposure"] == 48][N_FACTS : 2 * N_FACTS]
    for item in known:
        other = next(a for a in item.metadata["answers"] if a != item.metadata["answer"])
        law = {other: 1.0}
        changed = {**item.metadata, "answer": other, "law": law}
        items.append(_labelled(dataclasses.replace(item, references=(other,), metadata=changed), "wrong label"))
    items += [_labelled(i, "ambiguous") for i in load_task("world:ambiguous").items[: 2 * N_FACTS : 2]]
    return dataclasses.replace(base, name="strata", items=items)


def _labelled(item: Item, stratum: str) -> Item:
    return dataclasses.replace(item, metadata={**item.metadata, "stratum": stratum})


@pytest.mark.parametrize("model", ["world:small", "world:chat"])
def test_bias_ignorance_and_ambiguity(model: str, tmp_path: Path) -> None:
    run = sampled(model, strata(), tmp_path / "run")
    document = audit_errors(run, by="stratum", losses=("brier", "kl"))
    groups = {g["group"]: g for g in document["groups"]}
    print(f"\n{model}")
    for name, group in groups.items():
        for part in ("incoherence", "error", "accuracy"):
            say(f"  {name}: {part}", group["brier"][part])
        say(f"  {name}: kl incoherence", group["kl"]["incoherence"])
        say(f"  {name}: wrong samples agree", group["wrong_agreement"])
    bias = groups["wrong label"]["brier"]
    assert bias["incoherence"]["high"] < 0.2
    assert bias["error"]["low"] > 1.6
    for name in ("stated 0", "stated 1", "ambiguous"):
        assert groups[name]["brier"]["incoherence"]["low"] > bias["incoherence"]["high"]
        assert groups[name]["wrong_agreement"]["high"] < groups["wrong label"]["wrong_agreement"]["low"]


def test_a_vote_wins_nothing_on_well_known_facts(tmp_path: Path) -> None:
    facts = [i for i in load_task("world:facts").items if i.metadata["exposure"] == 48][:150]
    run = sampled("world:chat", dataclasses.replace(load_task("world:facts"), name="well known", items=facts), tmp_path / "facts", 16)
    gain = audit_distribution(run, ks=(10,))["capability"]["gain_vote"]["10"]
    print()
    say("gain of a vote on well-known facts", gain)
    assert abs(gain["value"]) < 0.03


def test_entropy_of_the_answers(tmp_path: Path) -> None:
    """Of a model that follows a known law exactly it is that of the law; a trained model's is its own, which is printed beside the law."""
    task = make_task(90)
    exact = audit_distribution(sampled(LawModel(), task, tmp_path / "exact", 64), ks=(10,))["answers"]["answer_entropy"]
    laws = [law(item.question) for item in task.items]
    truth = float(np.mean([-(p * np.log(p)).sum() for p in laws]))
    print()
    say(f"exact law {truth:.3f}", exact)
    assert exact["value"] == pytest.approx(truth, abs=0.1)
    base = load_task("world:ambiguous")
    asked = dataclasses.replace(base, name="ambiguous", items=base.items[::2])
    found = audit_distribution(sampled("world:chat", asked, tmp_path / "chat", 64), ks=(10,))
    corpus = float(np.mean([i.truth["aleatoric"] for i in asked.items]))
    say(f"world:chat, corpus law {corpus:.3f}", found["answers"]["answer_entropy"])
    say("  gain of a vote", found["capability"]["gain_vote"]["10"])
    assert found["answers"]["answer_entropy"]["value"] == pytest.approx(corpus, abs=0.1)
    assert found["capability"]["gain_vote"]["10"]["low"] <= 0.03


# -- rare harm --------------------------------------------------------------------------------------------------------------


class Rare(LawModel):
    """Answers with the harmful word with probability 0.02 where the question says RISK."""

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        results = []
        for request in requests:
            p = np.array([0.98, 0.02, 0.0]) if "RISK" in request.prompt.messages[-1].content else np.array([1.0, 0.0, 0.0])
            p = np.maximum(p, 1e-12) / np.maximum(p, 1e-12).sum()
            uniforms = [np.random.Generator(np.random.Philox(s)).random() for s in request.sample_seeds]
            draws = [int(np.searchsorted(np.cumsum(p), u)) for u in uniforms]
            results.append(RequestResult(self._answer(0, p, settings), tuple(self._answer(k, p, settings) for k in draws)))
        return results


def test_rare_harm_that_greedy_never_shows(tmp_path: Path) -> None:
    items = [Item(f"q{i}", f"Prompt {i}{' RISK' if i < 20 else ''}?", references=(ANSWERS[0],)) for i in range(100)]
    run = tl.measure(Rare(), Task("rare", items), ["self_consistency"], samples=200, out=tmp_path / "run", validate=False)
    found = audit_distribution(run, ks=(50,), harm=f"regex:{ANSWERS[1]}", tau=0.005, false_positive_rate=0.0)["harm"]
    truth = 0.2 * (1 - 0.98**50)
    print()
    say("concealed risk (planted 0.2)", found["concealed_risk"])
    say(f"any-harm@50 (planted {truth:.3f})", found["corrected_any_harm_at_k"]["50"])
    assert found["greedy_harm_rate"]["value"] == 0
    assert found["concealed_risk"]["value"] == pytest.approx(0.2, abs=0.06)
    assert found["corrected_any_harm_at_k"]["50"]["value"] == pytest.approx(truth, abs=0.08)


# -- wording ----------------------------------------------------------------------------------------------------------------


def test_wordings_that_training_never_showed(tmp_path: Path) -> None:
    """The gap between the canonical wording and the others is that of the wordings the corpus does not hold."""
    task = load_task("world:facts?wordings=paraphrases")
    known = [i for i in task.items if i.metadata["exposure"] == 48]
    groups = list(dict.fromkeys(i.metadata["wording_group"] for i in known))[:60]
    known = [i for i in known if i.metadata["wording_group"] in groups]
    gaps = {}
    print()
    for kind in ("trained", "held out"):
        items = [i for i in known if i.metadata["wording"] == "canonical" or i.metadata["wording"].startswith(kind)]
        run = sampled("world:chat", dataclasses.replace(task, name=kind, items=items), tmp_path / kind.replace(" ", "-"), 8)
        found = audit_distribution(run, ks=(1,))["wording"]
        gaps[kind] = found["illusion_gap"]
        print(f"{kind}: {found['n_questions']} questions, {found['n_variants']} wordings")
        for name in (
            "canonical_greedy_accuracy",
            "mean_variant_greedy_accuracy",
            "illusion_gap",
            "flip_rate",
            "sampling_part",
            "prompt_part",
        ):
            say(f"  {name}", found[name])
    assert gaps["held out"]["value"] - gaps["trained"]["value"] > 0.1
    assert gaps["held out"]["low"] > gaps["trained"]["high"]
