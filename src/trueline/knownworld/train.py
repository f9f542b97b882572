"""Train the shipped checkpoints: ``python -m trueline.knownworld.train base|chat|small [--out DIR]``.

``base`` is pretrained on the corpus, ``chat`` fine-tunes ``DIR/base`` on the chat corpus, ``small`` is trained on the
chat corpus alone with a tokenizer of its own. Each takes less than 30 minutes on 2 CPU cores.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trueline.errors import InputError
from trueline.knownworld.conduct import Chat, chat_documents
from trueline.knownworld.corpus import base_documents
from trueline.knownworld.generator import World
from trueline.knownworld.tokenizer import MAX_LENGTH, train_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from trueline.knownworld import CHECKPOINTS

IGNORED = -100  # label of a token without loss


@dataclass(frozen=True)
class Recipe:
    """How one checkpoint is made."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocab_size: int
    epochs: float
    lr: float
    tokens_per_batch: int = 1600  # padded tokens of one optimiser step
    replay: float = 0.0  # share of the base corpus mixed into the chat corpus
    warmup: int = 100
    weight_decay: float = 0.01
    seed: int = 0


RECIPES: dict[str, Recipe] = {
    "base": Recipe(hidden=192, layers=4, heads=6, intermediate=512, vocab_size=1536, epochs=3.0, lr=2e-3),
    "chat": Recipe(hidden=192, layers=4, heads=6, intermediate=512, vocab_size=1536, epochs=1.0, lr=1e-3, replay=0.3),
    "small": Recipe(hidden=96, layers=3, heads=4, intermediate=288, vocab_size=768, epochs=2.0, lr=4e-3),
}

Example = tuple[list[int], list[int]]
"""Token ids and labels of one text, equal in length."""


def text_example(tokenizer: PreTrainedTokenizerFast, text: str) -> Example:
    """A document with a loss on every token."""
    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    return ids, list(ids)


def chat_example(tokenizer: PreTrainedTokenizerFast, chat: Chat) -> Example:
    """A conversation with a loss on the assistant's tokens only, the end-of-turn token included."""
    ids = [tokenizer.bos_token_id]
    labels = [IGNORED]
    for role, content in chat.messages:
        header = tokenizer.convert_tokens_to_ids(f"<|{role}|>")
        body = [*tokenizer(content, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        ids += [header, *body]
        labels += [IGNORED, *(body if role == "assistant" else [IGNORED] * len(body))]
    return ids, labels


def batches(examples: Sequence[Example], budget: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Indices of examples of like length whose padded size stays within ``budget`` tokens, in random order."""
    lengths = np.array([len(ids) for ids, _ in examples])
    # Noise on the length mixes neighbours anew in every epoch.
    order = np.argsort(lengths + rng.random(len(lengths)) * 2.0, kind="stable")
    groups: list[list[int]] = [[]]
    for i in order:
        if groups[-1] and (len(groups[-1]) + 1) * lengths[i] > budget:
            groups.append([])
        groups[-1].append(int(i))
    for g in rng.permutation(len(groups)):
        yield groups[int(g)]


def _pad(rows: list[list[int]], value: int) -> torch.Tensor:
    width = max(len(r) for r in rows)
    return torch.tensor([r + [value] * (width - len(r)) for r in rows])


def fit(
    model: torch.nn.Module,
    epochs_of: Callable[[int], Sequence[Example]],
    recipe: Recipe,
    log: Callable[[str], None],
) -> int:
    """The training loop: AdamW, linear warm-up, cosine decay to a twentieth, gradient norm 1. Returns the steps.

    ``epochs_of(i)`` gives the examples of epoch i. Right padding under a causal mask needs no attention mask.
    """
    rng = np.random.default_rng(recipe.seed)
    plan: list[tuple[Sequence[Example], list[int]]] = []
    for epoch in range(math.ceil(recipe.epochs)):
        examples = epochs_of(epoch)
        groups = list(batches(examples, recipe.tokens_per_batch, rng))
        share = min(1.0, recipe.epochs - epoch)
        plan += [(examples, g) for g in groups[: math.ceil(share * len(groups))]]
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.lr, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)

    def schedule(step: int) -> float:
        decay = 0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * step / len(plan)))
        return min(1.0, (step + 1) / recipe.warmup) * decay

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule)
    model.train()
    start, running = time.perf_counter(), 0.0
    for step, (examples, group) in enumerate(plan):
        ids = _pad([examples[i][0] for i in group], 0)
        labels = _pad([examples[i][1] for i in group], IGNORED)
        logits = model(input_ids=ids).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        scheduler.step()
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0 or step == len(plan) - 1:
            log(f"step {step + 1}/{len(plan)} loss {running:.4f} {time.perf_counter() - start:.0f} s")
    model.eval()
    return len(plan)


def new_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained Llama model of the recipe's size, float32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            intermediate_size=recipe.intermediate,
            max_position_embeddings=MAX_LENGTH,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _start(name: str, world: World, out: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    from transformers import AutoTokenizer, LlamaForCausalLM

    recipe = RECIPES[name]
    if name != "chat":
        tokenizer = train_tokenizer(world, recipe.vocab_size, chat_only=name == "small")
        return new_model(recipe, tokenizer), tokenizer
    source = out / "base"
    if not (source / "config.json").exists():
        raise InputError(f"no base checkpoint in {source}; train it first: python -m trueline.knownworld.train base")
    model = LlamaForCausalLM.from_pretrained(source, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(source)


def _save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def train(name: str, out: Path = CHECKPOINTS, *, world: World | None = None, log: Callable[[str], None] = print) -> Path:
    """Train one checkpoint and write it to ``out/name`` (float16 weights, tokenizer, training record).

    Parameters
    ----------
    name : {"base", "chat", "small"}
        Which checkpoint; ``chat`` starts from ``out/base``.
    out : Path
        Folder of the checkpoints; the shipped ones by default.
    world : World, optional
        ``World(0, "small")`` by default.
    log : callable
        Receives progress lines.

    Raises
    ------
    InputError
        For an unknown name, or when ``chat`` finds no base checkpoint.
    """
    if name not in RECIPES:
        raise InputError(f"checkpoint is {name!r}, expected one of {sorted(RECIPES)}")
    recipe = RECIPES[name]
    world = world or World(0, "small")
    model, tokenizer = _start(name, world, out)
    if name == "base":
        fixed = [text_example(tokenizer, d.text) for d in base_documents(world)]
    else:
        fixed = [chat_example(tokenizer, c) for c in chat_documents(world)]
    # Replayed sentences are sentences of the corpus once more: they state no new fact.
    statements = [d.text for d in base_documents(world)] if recipe.replay else []

    def epochs_of(epoch: int) -> Sequence[Example]:
        rng = np.random.default_rng([recipe.seed, epoch])
        chosen = rng.permutation(len(statements))[: round(recipe.replay * len(statements))]
        return [*fixed, *(text_example(tokenizer, statements[int(i)]) for i in chosen)]

    start = time.perf_counter()
    steps = fit(model, epochs_of, recipe, log)
    seconds = time.perf_counter() - start
    n_parameters = sum(p.numel() for p in model.parameters())
    _save(model, tokenizer, out / name)
    record = {"recipe": recipe.__dict__, "world": repr(world), "steps": steps, "parameters": n_parameters}
    (out / name / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    log(f"{name}: {n_parameters:,} parameters, {steps} steps, {seconds:.0f} s -> {out / name}")
    return out / name


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train a shipped checkpoint of the known world.")
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--out", type=Path, default=CHECKPOINTS, help="folder of the checkpoints")
    arguments = parser.parse_args()
    train(arguments.name, arguments.out)


if __name__ == "__main__":
    main()
