"""A small language model whose certainty of each fact is known, taught by examples to say when it is unsure.

Its texts state the place of each fact by the planted emitter's law: one half of the facts nearly always the same, the other scattered.
So its chance of being right is known, and an emission audit of the tuned model can be held against it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trueline.errors import InputError
from trueline.knownworld.planted_emitter import PlantedEmitter
from trueline.knownworld.planted_markers import QUESTION, word_tokenizer

if TYPE_CHECKING:
    from trueline.models.local import LocalModel

#: Times that an epoch states each fact.
_REPEATS = 20
_Row = tuple[list[int], list[float]]


def train_emitter_lm(emitter: PlantedEmitter, *, steps: int = 800, batch: int = 128, seed: int = 0, log: Any = None) -> LocalModel:
    """Train a language model of 2 layers and width 96 on statements of the facts; about a minute on one core.

    Each epoch draws the places anew from the emitter's law; the loss counts the place and the end.
    """
    from trueline.knownworld.train import Recipe, fit, new_model
    from trueline.models.local import LocalModel as Local

    tokenizer = word_tokenizer(emitter.world)
    recipe = Recipe(
        hidden=96, layers=2, heads=4, intermediate=256, vocab_size=len(tokenizer),
        epochs=steps / math.ceil(_REPEATS * emitter.n / batch), lr=2e-3, muon_lr=0.02, tokens_per_batch=batch * 9, floor=0.0, seed=seed,
    )  # fmt: skip
    model = new_model(recipe, tokenizer)
    silent: Callable[[str], None] = log or (lambda _: None)
    fit(model, lambda epoch: _statements(emitter, tokenizer, np.random.default_rng([seed, epoch])), recipe, silent)
    return Local(model, tokenizer, uri="planted:emitter-lm")


def tune_emitter_lm(lm: LocalModel, examples: Sequence[tuple[str, str]], *, epochs: int = 30, seed: int = 0, log: Any = None) -> LocalModel:
    """Fine-tune a copy on examples (name of the fact, what is said to it).

    Raises ``InputError`` without an example, or for a word that the model does not know.
    """
    from trueline.knownworld.train import Recipe, fit
    from trueline.models.local import LocalModel as Local

    if not examples:
        raise InputError("there is no example; expected at least one")
    tokenizer: Any = lm.tokenizer
    rows = [_row(tokenizer, name, said) for name, said in examples]
    recipe = Recipe(
        hidden=96, layers=2, heads=4, intermediate=256, vocab_size=len(tokenizer), epochs=epochs, lr=1e-3, muon_lr=0.0,
        tokens_per_batch=512, floor=0.0, warmup=5, seed=seed,
    )  # fmt: skip
    model = copy.deepcopy(lm.model)
    silent: Callable[[str], None] = log or (lambda _: None)
    fit(model, lambda _: rows, recipe, silent)
    return Local(model, tokenizer, uri=f"{lm.uri}-tuned")


def _statements(emitter: PlantedEmitter, tokenizer: Any, rng: np.random.Generator) -> list[_Row]:
    places = emitter.world.places
    rows = []
    for fact, (name, _) in enumerate(emitter.world.facts):
        for k in rng.choice(len(places), size=_REPEATS, p=emitter.law(fact)):
            rows.append(_row(tokenizer, name, places[int(k)]))
    return rows


def _row(tokenizer: Any, name: str, said: str) -> _Row:
    """Token ids of one statement, and the weight of each in the loss."""
    ids = tokenizer.get_vocab()
    head, answer = QUESTION.replace("{name}", name).split(), said.split()
    if unknown := [word for word in (*head, *answer) if word not in ids]:
        raise InputError(f"the model does not know the word {unknown[0]!r}")
    tokens = [ids["<bos>"], *(ids[word] for word in (*head, *answer)), ids["<eos>"]]
    return tokens, [0.0] * (1 + len(head)) + [1.0] * (len(answer) + 1)
