"""Proof of the emission audit on a language model: tuned on 100 examples it weakens where it is unsure; examples in its prompt do nothing.

The figures are those of docs/proofs/grey-area.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from trueline.audits import EmissionAudit
from trueline.capture.probes import answer_prompt
from trueline.knownworld.emitter_lm import train_emitter_lm, tune_emitter_lm
from trueline.knownworld.planted_emitter import PlantedEmitter
from trueline.models.base import GenerationRequest, GenerationSettings
from trueline.stats import CI

N_TAUGHT = 100
CHEAP = CI(n_boot=200)


def show(name: str, document: dict[str, Any]) -> None:
    print(f"\n{name}")
    for kind, row in document["classes"].items():
        print(f"  {kind}: " + ", ".join(f"{key} {e['value']:.3f}" for key, e in row.items() if e["value"] is not None))
    for key, e in document["gaps"]["none_minus_weakener"].items():
        if e["value"] is not None:
            print(f"  none less weakener, {key}: {e['value']:+.3f} [{e['low']:+.3f}, {e['high']:+.3f}]")
    for when in ("before", "after"):
        print(f"  {when}: " + ", ".join(f"{key} {document[when][key]['value']:.3f}" for key in ("accuracy", "probability", "ece")))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_model_is_taught_to_weaken_when_unsure() -> None:
    emitter = PlantedEmitter(n=300)
    task = emitter.task()
    lm = train_emitter_lm(emitter, steps=600)
    requests = [GenerationRequest(answer_prompt(item, task)) for item in task.items]
    answers = [r.greedy for r in lm.generate(requests, GenerationSettings(max_new_tokens=2))]
    said = [a.text.strip() for a in answers if a is not None]
    sure = np.exp([a.token_logprobs[0] for a in answers if a is not None and a.token_logprobs is not None])
    for certainty in (emitter.sure, emitter.unsure):  # its chance of being right is known
        assert abs(sure[emitter.certainty == certainty].mean() - certainty) < 0.05
    in_context = EmissionAudit(task, shots=8, max_new_tokens=8, ci=CHEAP).run(lm).document
    show("8 examples in the prompt", in_context)
    assert in_context["classes"]["none"]["share"]["value"] > 0.9  # so small a model does not learn in context
    taught = [
        (name, f"I think it is {answer}" if p < 0.5 else answer)
        for (name, _), answer, p in list(zip(emitter.world.facts, said, sure, strict=True))[:N_TAUGHT]
    ]
    tuned = tune_emitter_lm(lm, taught, epochs=60)
    rest = dataclasses.replace(task, items=task.items[N_TAUGHT:])
    document = EmissionAudit(rest, shots=0, max_new_tokens=8, ci=CHEAP).run(tuned, before=lm).document
    show("100 examples of fine-tuning", document)
    gap = document["gaps"]["none_minus_weakener"]
    assert gap["accuracy"]["value"] >= 0.2
    assert gap["accuracy"]["low"] > 0
    assert gap["accuracy_before"]["low"] > 0  # not an effect of what tuning made it forget
    assert gap["probability_before"]["low"] > 0
