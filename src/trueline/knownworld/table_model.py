"""Train a small language model on the texts of a table's rows, so that a proof can ask a real model about risks that are known.

Word tokens, a Llama of a few hundred thousand parameters, loss on the answer token alone; a minute or two on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.models.local import LocalModel
from trueline.tabular.questions import Choices
from trueline.tabular.task import TabularRiskTask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_UNKNOWN, _END, _PAD = "<unk>", "</s>", "<pad>"


@dataclass(frozen=True)
class TableRecipe:
    """How a model of a table is trained.

    both_orders: the options stand in random order; False: always in the given one, which teaches the model to read the position.
    rate: highest of the one-cycle schedule.
    """

    layers: int = 3
    width: int = 128
    heads: int = 4
    steps: int = 500
    batch: int = 64
    rate: float = 2e-3
    both_orders: bool = True
    seed: int = 0


def train_table_model(
    task: TabularRiskTask,
    positions: Sequence[int] | NDArray[np.int64],
    recipe: TableRecipe | None = None,
    log: Callable[[str], None] | None = None,
) -> LocalModel:
    """Train on some rows of a task whose question is one of choices.

    Raises
    ------
    InputError
        Another kind of question, or no rows.
    """
    recipe = recipe or TableRecipe()
    if not isinstance(task.question, Choices) or not len(positions):
        raise InputError("a model of a table is trained on rows of a task whose question is Choices")
    orders = task.question.orders(recipe.both_orders)
    askings = [[task.ask(task.df.row(int(i)), order) for i in positions] for order in orders]
    texts = [[asking.text() for asking in row] for row in askings]
    tokenizer = _tokenizer([text for row in texts for text in row], task.question.labels)
    prompts = [[tokenizer(text)["input_ids"] for text in row] for row in texts]
    labels = [
        [tokenizer.convert_tokens_to_ids(task.question.answer(int(task.y[i]), order).split()[-1]) for i in positions] for order in orders
    ]
    model = _new_model(tokenizer, recipe, max(len(ids) for row in prompts for ids in row) + 8)
    _fit(model, prompts, labels, recipe, log or (lambda _: None))
    return LocalModel(model, tokenizer, uri=f"trained:{task.name}", chat=False)


def _tokenizer(texts: Sequence[str], labels: Sequence[str]) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Whitespace()
    words = dict.fromkeys([_UNKNOWN, _END, _PAD, *labels])
    for text in texts:
        words |= dict.fromkeys(word for word, _ in split.pre_tokenize_str(text))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = split
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=_UNKNOWN, eos_token=_END, pad_token=_PAD)


def _new_model(tokenizer: PreTrainedTokenizerFast, recipe: TableRecipe, context: int) -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        return LlamaForCausalLM(  # type: ignore[no-any-return]
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=recipe.width,
                num_hidden_layers=recipe.layers,
                num_attention_heads=recipe.heads,
                num_key_value_heads=recipe.heads,
                intermediate_size=3 * recipe.width,
                max_position_embeddings=context,
                tie_word_embeddings=True,
                initializer_range=0.02,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )


def _fit(
    model: torch.nn.Module,
    prompts: Sequence[Sequence[list[int]]],
    labels: Sequence[Sequence[int]],
    recipe: TableRecipe,
    log: Callable[[str], None],
) -> None:
    """Adam on the answer token; right padding under a causal mask needs no attention mask."""
    rng = np.random.default_rng(recipe.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps)
    model.train()
    network: Any = model
    running = 0.0
    for step in range(recipe.steps):
        chosen = rng.integers(len(prompts[0]), size=recipe.batch)
        shown = rng.integers(len(prompts), size=recipe.batch)
        rows = [prompts[o][i] for o, i in zip(shown, chosen, strict=True)]
        width = max(len(ids) for ids in rows)
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        last = torch.tensor([len(row) - 1 for row in rows])
        hidden = network.model(input_ids=ids).last_hidden_state[torch.arange(len(rows)), last]
        truth = torch.tensor([labels[o][i] for o, i in zip(shown, chosen, strict=True)])
        loss = torch.nn.functional.cross_entropy(network.lm_head(hidden), truth)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        running = loss.item() if step == 0 else 0.95 * running + 0.05 * loss.item()
        if step % 100 == 99:
            log(f"step {step + 1}/{recipe.steps} loss {running:.4f}")
    model.eval()
