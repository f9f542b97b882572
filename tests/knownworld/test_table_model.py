"""Proofs with language models trained here on a table whose risks are known."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.knownworld.planted_table import STYLE, planted_table
from trueline.knownworld.table_model import TableRecipe, train_table_model
from trueline.metrics import auroc
from trueline.metrics.risk import RiskReport, confidence_bias, evaluate_risk
from trueline.models import Message, Prompt, load_model
from trueline.models.local import LocalModel
from trueline.tabular import ColumnText, Numeric, RiskScores, TabularRiskTask, anes96_task, option_law, risk_scores
from trueline.tasks import load_task

PLANTED = planted_table(4000, seed=0, split=(0.5, 0.0, 0.5))


def learned(both_orders: bool) -> tuple[RiskScores, RiskReport]:
    """Train on half of the rows, ask about the other half."""
    task, rows = PLANTED.task, PLANTED.task.rows("test")
    model = train_table_model(task, task.rows("train"), TableRecipe(both_orders=both_orders))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = risk_scores(model, task, rows)
    return found, evaluate_risk(task.y[rows], found.scores)


@pytest.mark.slow
def test_a_language_model_learns_the_risks() -> None:
    found, report = learned(both_orders=True)
    rows = PLANTED.task.rows("test")
    best = auroc(PLANTED.risk[rows], PLANTED.task.y[rows], ci=None).value
    z = np.log(np.clip(found.scores, 1e-9, 1 - 1e-9) / np.clip(1 - found.scores, 1e-9, 1 - 1e-9))
    sharpened = confidence_bias(1 / (1 + np.exp(-z / 0.3)), PLANTED.task.y[rows])
    print(f"AUC {report['roc_auc']}, true risks {best:.3f}, ECE {report['ece']}, order gap {found.order_sensitivity:.3f}")
    print(f"confidence bias {report['confidence_bias']}, sharpened {sharpened}")
    assert report["roc_auc"].value >= best - 0.03
    assert report["ece"].value <= 0.06
    assert found.order_sensitivity <= 0.12
    assert found.warnings == ()
    assert sharpened.value > 0.08


@pytest.mark.slow
def test_trained_in_one_order_it_reads_the_position() -> None:
    found, report = learned(both_orders=False)
    print(f"order gap {found.order_sensitivity:.3f}, order-averaged AUC {report['roc_auc']}")
    assert found.order_sensitivity > 0.3
    assert any("reads the position" in w for w in found.warnings)
    one = auroc(found.by_order[:, 0], PLANTED.task.y[PLANTED.task.rows("test")], ci=None).value
    assert report["roc_auc"].value < one - 0.1


def election() -> TabularRiskTask:
    """The election study with a word for each value of each column, place size and age in eight groups."""
    task = anes96_task()
    short = ("place", "news", "self", "clinton", "dole", "party", "age", "school", "income")
    columns = []
    for column, word in zip(task.columns, short, strict=True):
        cells = np.array([float(task.df.row(i)[column]) for i in range(len(task.y))])
        cuts = np.quantile(cells, np.arange(1, 8) / 8) if word in ("place", "age") else np.arange(cells.min(), cells.max())
        columns.append(ColumnText(column, word, lambda v, c=cuts, w=word: f"{w}{np.searchsorted(c, float(v), side='right')}"))
    return task.with_(columns=columns, style=STYLE)


@pytest.mark.slow
def test_a_language_model_learns_the_vote_of_1996() -> None:
    task = election()
    folds = np.array_split(np.random.default_rng(0).permutation(len(task.y)), 5)
    areas, gaps = [], []
    for k, fold in enumerate(folds):
        others = np.concatenate([f for j, f in enumerate(folds) if j != k])
        model = train_table_model(task, others, TableRecipe(layers=2, width=64, steps=1000))
        found = risk_scores(model, task, fold)
        areas.append(auroc(found.scores, task.y[fold], ci=None).value)
        gaps.append(found.order_sensitivity)
    print(f"AUC by fold {np.round(areas, 3)}, mean {np.mean(areas):.3f}, order gap {np.round(gaps, 3)}")
    assert np.mean(areas) >= 0.88
    assert max(gaps) <= 0.2


def test_the_shipped_model_knows_its_own_table() -> None:
    """`world:chat`, its words "yes" and "no" read by the rule of token variants."""
    task, model = load_task("world:table"), load_model("world:chat")
    assert isinstance(model, LocalModel)
    prompts = [Prompt(text=item.prompt_text, messages=(Message("user", item.question),)) for item in task.items]
    ids = [model.tokenizer.convert_tokens_to_ids(word) for word in ("\u0120no", "\u0120yes")]
    laws = [
        option_law(dict(zip((" no", " yes"), np.exp(law), strict=True)), ["no", "yes"]) for law in model.next_token_logprobs(prompts, ids)
    ]
    risk, y = (np.array(v) for v in ([i.metadata["law"]["yes"] for i in task.items], [int(i.references[0] == "yes") for i in task.items]))
    scores = np.array([law.p[1] for law in laws])
    assert min(law.mass for law in laws) > 0.9
    assert auroc(scores, y, ci=None).value >= auroc(risk, y, ci=None).value - 0.03
    assert np.abs(scores - risk).mean() < 0.1


def test_a_short_training_learns_something_and_repeats() -> None:
    task = planted_table(200, seed=1).task
    recipe = TableRecipe(layers=1, width=16, heads=2, steps=4)
    first, again = (train_table_model(task, task.rows("train"), recipe) for _ in range(2))
    other = train_table_model(task, task.rows("train"), replace(recipe, seed=1))
    state: list[Any] = [m.model.state_dict()["model.embed_tokens.weight"] for m in (first, again, other)]
    assert (state[0] == state[1]).all()
    assert not (state[0] == state[2]).all()


def test_only_choices_can_be_trained() -> None:
    task = planted_table(50).task
    with pytest.raises(InputError, match="whose question is Choices"):
        train_table_model(task.with_(question=Numeric("p?")), task.rows("train"))
    with pytest.raises(InputError, match="whose question is Choices"):
        train_table_model(task, [])
