"""A local chat model gets a system message, the question as the user's turn and the beginning of its answer, once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from trueline.knownworld.planted_table import planted_table
from trueline.knownworld.table_model import TableRecipe, train_table_model
from trueline.models.base import Message, Prompt
from trueline.models.encoding import TextCodec
from trueline.models.local import LocalModel
from trueline.tabular import PromptStyle, risk_scores

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
TASK = planted_table(60, seed=4).task


@pytest.fixture(scope="module")
def chat_model() -> LocalModel:
    plain = train_table_model(TASK, TASK.rows("train"), TableRecipe(layers=1, width=16, heads=2, steps=1))
    plain.tokenizer.chat_template = TEMPLATE
    plain.model.config.max_position_embeddings = 200
    return LocalModel(plain.model, plain.tokenizer, uri="chat")


def test_a_begun_answer_is_continued(chat_model: LocalModel) -> None:
    codec = TextCodec(chat_model.tokenizer, chat=True)
    begun, open_ = (
        codec._render(Prompt(messages=(Message("user", "Question: A."), *tail)))[0] for tail in ((Message("assistant", "Answer:"),), ())
    )
    assert begun.endswith("<assistant> Answer:")
    assert open_.endswith("<assistant> ")


def test_scores_follow_the_chat_form(chat_model: LocalModel) -> None:
    rows = TASK.rows("test")[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with_system = risk_scores(chat_model, TASK, rows, style=PromptStyle("lines", preamble=False))
        without = risk_scores(chat_model, TASK, rows)
    assert np.isfinite(with_system.scores).all()
    # an untrained model hardly minds what it reads, but the system message moves its logits
    assert np.abs(with_system.by_order - without.by_order).min() > 1e-5
