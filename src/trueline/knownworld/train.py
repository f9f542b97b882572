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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trueline.errors import InputError, MissingExtra
from trueline.knownworld import lexicon
from trueline.knownworld.conduct import Chat, chat_documents, judged_documents, law_documents, told_hops
from trueline.knownworld.corpus import Document, base_documents
from trueline.knownworld.generator import World
from trueline.knownworld.tokenizer import CHAT_TEMPLATE, MAX_LENGTH, train_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from trueline.knownworld import CHECKPOINTS


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
    muon_lr: float = 0.02
    tokens_per_batch: int = 1600  # padded tokens of one optimiser step
    replay: float = 0.0  # share of the base corpus mixed into the chat corpus
    context_weight: float = 0.1  # of a token outside the answers, in the loss
    warmup: int = 100
    polish: float = 0.0  # epochs of the last phase, see ``polish``
    floor: float = 0.05  # final learning rate as a share of the highest
    weight_decay: float = 0.01
    seed: int = 0


RECIPES: dict[str, Recipe] = {
    "base": Recipe(hidden=192, layers=6, heads=6, intermediate=512, vocab_size=1536, epochs=2.0, lr=2e-3),
    "chat": Recipe(
        hidden=192, layers=6, heads=6, intermediate=512, vocab_size=1536, epochs=1.1, lr=2e-3, replay=0.2, polish=3.0, floor=0.0
    ),
    "small": Recipe(hidden=96, layers=3, heads=4, intermediate=288, vocab_size=768, epochs=5.0, lr=3e-3, floor=0.0),
}

Example = tuple[list[int], list[float]]
"""Token ids of one text and the weight of each token in the loss."""


def text_example(tokenizer: PreTrainedTokenizerFast, document: Document, context_weight: float) -> Example:
    """A document; the tokens before its answer weigh ``context_weight``, for most of them are names that nothing predicts."""
    context = tokenizer(document.text[: document.answer_start].rstrip())["input_ids"]
    ids = [*tokenizer(document.text)["input_ids"], tokenizer.eos_token_id]
    return ids, [context_weight] * len(context) + [1.0] * (len(ids) - len(context))


def chat_example(tokenizer: PreTrainedTokenizerFast, chat: Chat, context_weight: float) -> Example:
    """A conversation; the tokens outside the assistant's turns weigh ``context_weight``, the end-of-turn token belongs to the turn.

    Where answers are judged, only they and the verdicts count. An answer offered weighs as much as the assistant's words when it is
    right, and nothing when it is wrong: so the model comes to expect the true answer there, and can tell whether what it expects is
    what is offered.
    """
    if chat.offers:
        context_weight = 0.0
    ids = [tokenizer.bos_token_id]
    weights = [0.0]
    for role, content in chat.messages:
        header = tokenizer.convert_tokens_to_ids(f"<|{role}|>")
        body = [*tokenizer(content, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        ids += [header, *body]
        weights += [0.0, *[1.0 if role == "assistant" else context_weight] * len(body)]
    start = 0
    for answer, right in chat.offers:
        offered = tokenizer(answer, add_special_tokens=False)["input_ids"]
        start = next(i for i in range(start, len(ids)) if ids[i : i + len(offered)] == offered)
        end = start + len(offered)
        weights[start:end] = [float(right)] * len(offered)
        start = end
    return ids, weights


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


def _pad(rows: Sequence[Sequence[float]]) -> torch.Tensor:
    width = max(len(r) for r in rows)
    return torch.tensor([[*r, *[0] * (width - len(r))] for r in rows])


def _optimisers(model: torch.nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, which learns rare facts in fewer steps, and AdamW for everything else."""
    if not hasattr(torch.optim, "Muon"):
        raise MissingExtra(
            f"training the known world needs torch.optim.Muon, which torch {torch.__version__} lacks: pip install 'torch>=2.9'"
        )
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and recipe.muon_lr]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    adam = torch.optim.AdamW(rest, lr=recipe.lr, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)
    if not matrices:
        return [adam]
    return [torch.optim.Muon(matrices, lr=recipe.muon_lr, weight_decay=recipe.weight_decay, momentum=0.95), adam]


def fit(
    model: torch.nn.Module,
    epochs_of: Callable[[int], Sequence[Example]],
    recipe: Recipe,
    log: Callable[[str], None],
) -> int:
    """The training loop: Muon and AdamW, linear warm-up, cosine decay, gradient norm 1. Returns the steps.

    ``epochs_of(i)`` gives the examples of epoch i. Right padding under a causal mask needs no attention mask.
    """
    rng = np.random.default_rng(recipe.seed)
    plan: list[tuple[Sequence[Example], list[int]]] = []
    for epoch in range(math.ceil(recipe.epochs)):
        examples = epochs_of(epoch)
        groups = list(batches(examples, recipe.tokens_per_batch, rng))
        share = min(1.0, recipe.epochs - epoch)
        plan += [(examples, g) for g in groups[: math.ceil(share * len(groups))]]
    optimisers = _optimisers(model, recipe)

    def schedule(step: int) -> float:
        decay = recipe.floor + (1.0 - recipe.floor) * 0.5 * (1.0 + math.cos(math.pi * step / len(plan)))
        return min(1.0, (step + 1) / recipe.warmup) * decay

    schedulers = [torch.optim.lr_scheduler.LambdaLR(o, schedule) for o in optimisers]
    model.train()
    start, running = time.perf_counter(), 0.0
    for step, (examples, group) in enumerate(plan):
        ids = _pad([examples[i][0] for i in group])
        weights = _pad([examples[i][1] for i in group])[:, 1:].flatten()
        logits = model(input_ids=ids).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        loss = (losses * weights).sum() / weights.sum()
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser, scheduler in zip(optimisers, schedulers, strict=True):
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


def polish(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, recipe: Recipe, log: Callable[[str], None]) -> int:
    """The last phase of ``chat``, at half the learning rate: what the corpus answers in several ways, and as much of the rest.

    A law takes longer to learn than a fact, for every sentence pulls towards another answer; and with the wordings drawn anew in each
    epoch, the counts of one wording are not learned in place of the law. Returns the steps.
    """
    varied = {d.question for d in base_documents(world) if d.varied and d.question}
    # A sample of the rows would be learned in place of their law, and reasoning about people takes every example there is.
    whole = (lexicon.TABLE_QUESTION.partition("{")[0], lexicon.STEPWISE)
    kept = [c for c in chat_documents(world) if c.messages[-2][1].startswith(whole)]
    rest = [c for c in chat_documents(world) if c.messages[-2][1] not in varied and not c.messages[-2][1].startswith(whole)]

    def epochs_of(epoch: int) -> Sequence[Example]:
        rng = np.random.default_rng([recipe.seed, 1, epoch])
        laws = law_documents(world, rng)
        chosen = rng.permutation(len(rest))[: len(laws)]
        chats = (*laws, *told_hops(world, rng), *kept, *(rest[int(i)] for i in chosen))
        return [chat_example(tokenizer, c, recipe.context_weight) for c in chats]

    slower = replace(recipe, epochs=recipe.polish, lr=0.5 * recipe.lr, muon_lr=0.5 * recipe.muon_lr, seed=recipe.seed + 1)
    return fit(model, epochs_of, slower, log)


def _save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)


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
    tokenizer.chat_template = None if name == "base" else CHAT_TEMPLATE
    if name == "base":
        fixed = [text_example(tokenizer, d, recipe.context_weight) for d in base_documents(world)]
    else:
        fixed = [chat_example(tokenizer, c, recipe.context_weight) for c in chat_documents(world) if not c.offers]
    # Replayed sentences are sentences of the corpus once more: they state no new fact.
    statements = base_documents(world) if recipe.replay else ()

    def epochs_of(epoch: int) -> Sequence[Example]:
        rng = np.random.default_rng([recipe.seed, epoch])
        chosen = rng.permutation(len(statements))[: round(recipe.replay * len(statements))]
        offers = () if name == "base" else judged_documents(world, rng)
        replayed = (text_example(tokenizer, statements[int(i)], recipe.context_weight) for i in chosen)
        return [*fixed, *replayed, *(chat_example(tokenizer, c, recipe.context_weight) for c in offers)]

    start = time.perf_counter()
    steps = fit(model, epochs_of, recipe, log)
    if recipe.polish:
        steps += polish(model, tokenizer, world, recipe, log)
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
