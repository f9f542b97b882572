from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trueline.errors import InputError
from trueline.knownworld import World, train
from trueline.knownworld.conduct import Chat
from trueline.knownworld.corpus import ask, state
from trueline.knownworld.prompts import P_TRUE
from trueline.knownworld.tokenizer import CHAT_TEMPLATE, train_tokenizer

TINY = World(0, "tiny")


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes that take seconds: two optimiser steps of a model 16 wide."""
    for name in ("base", "chat", "small"):
        recipe = train.Recipe(hidden=16, layers=1, heads=2, intermediate=32, vocab_size=600, epochs=0.02, lr=1e-3, tokens_per_batch=800)
        monkeypatch.setitem(train.RECIPES, name, recipe)


def test_chat_loss_weighs_the_assistant() -> None:
    tokenizer = train_tokenizer(TINY, 600)
    chat = Chat((("user", "Who?"), ("assistant", "Me."), ("user", "Sure?")))
    ids, weights = train.chat_example(tokenizer, chat, 0.1)
    kept = [i for i, weight in zip(ids, weights, strict=True) if weight == 1.0]
    assert tokenizer.decode(kept) == " Me.</s>"
    tokenizer.chat_template = CHAT_TEMPLATE
    messages = [{"role": role, "content": content} for role, content in chat.messages]
    assert ids == tokenizer.encode(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False)


def test_an_offered_answer_weighs_when_it_is_right() -> None:
    tokenizer = train_tokenizer(TINY, 600)
    town = TINY.towns[0]
    for right in (True, False):
        user = P_TRUE.format(question="Where was Maminul born?", answer=town)
        ids, weights = train.chat_example(tokenizer, Chat((("user", user), ("assistant", "A")), ((town, right),)), 0.1)
        kept = [i for i, weight in zip(ids, weights, strict=True) if weight > 0.0]
        assert tokenizer.decode(kept) == (f" {town} A</s>" if right else " A</s>")


def test_document_loss_weighs_what_is_said_about_the_subject() -> None:
    tokenizer = train_tokenizer(TINY, 600)
    for document in (state("The trade of Maminul is baker.", "Maminul"), ask("What is 1 + 1?", "1 + 1 = 2. So 2.")):
        ids, weights = train.text_example(tokenizer, document, 0.1)
        assert ids == [*tokenizer(document.text)["input_ids"], tokenizer.eos_token_id]
        kept = [i for i, weight in zip(ids, weights, strict=True) if weight == 1.0]
        assert tokenizer.decode(kept) == f"{document.text[document.answer_start :]}</s>"


def test_batches_cover_every_example_once_within_the_budget() -> None:
    rng = np.random.default_rng(0)
    examples = [([0] * int(n), [0] * int(n)) for n in rng.integers(1, 40, size=500)]
    groups = list(train.batches(examples, 200, rng))
    assert sorted(i for g in groups for i in g) == list(range(500))
    assert all(len(g) * max(len(examples[i][0]) for i in g) <= 240 for g in groups)


@pytest.mark.usefixtures("recipes")
def test_checkpoints_are_written_and_repeat(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    lines: list[str] = []
    for name in ("base", "chat", "small"):
        folder = train.train(name, tmp_path / "a", world=TINY, log=lines.append)
        assert (folder / "tokenizer.json").exists()
        assert (folder / "chat_template.jinja").exists() == (name != "base")
    again = train.train("base", tmp_path / "b", world=TINY, log=lines.append)
    first, second = (AutoModelForCausalLM.from_pretrained(f, dtype=torch.float32).state_dict() for f in (tmp_path / "a" / "base", again))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any("parameters" in line for line in lines)


def test_chat_needs_a_base(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no base checkpoint"):
        train.train("chat", tmp_path, world=TINY)


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of"):
        train.train("large", tmp_path)
