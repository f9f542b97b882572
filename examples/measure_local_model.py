"""Measure a model of your own on a CSV of questions.

A small GPT-2 with its own byte-level BPE is trained for under a minute on sentences about the known world; some facts occur often in
them, some once. Then it is measured like any local model: ``hf:DIRECTORY`` and a file. Usage: python examples/measure_local_model.py [OUT]
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging

import trueline as tl
from trueline.knownworld import World, load_task
from trueline.knownworld.corpus import base_documents

END = "<|endoftext|>"
STEPS, BATCH = 400, 48


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE as GPT-2 has it, learnt from the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, bos_token=END, pad_token=END)


def train_model(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """A GPT-2 of under a million parameters, fitted to the texts."""
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=128, n_embd=128, n_layer=3, n_head=4, bos_token_id=end, eos_token_id=end, pad_token_id=end
    )
    model = GPT2LMHeadModel(config)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=STEPS)
    encoded = [tokenizer.encode(text + END) for text in texts]
    rng = np.random.default_rng(0)
    model.train()
    for step in range(STEPS):
        rows = [torch.tensor(encoded[i]) for i in rng.integers(len(encoded), size=BATCH)]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=end)
        labels = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
        logits = model(input_ids=ids, attention_mask=(labels != -100).long()).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{STEPS}: loss {loss.item():.3f}")
    return model.eval()


def write_questions(path: Path, names: set[str], n: int = 150) -> None:
    """Questions about people that the model has read of, with reference answers and the person as cluster."""
    items = [item for item in load_task("facts").items if item.metadata["person"] in names]
    chosen = np.random.default_rng(1).choice(len(items), size=min(n, len(items)), replace=False)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "answer", "cluster"])
        for k in sorted(chosen):
            writer.writerow([items[k].id, items[k].question, items[k].references[0], items[k].metadata["person"]])


def main(out: Path) -> None:
    """Train, save, measure, report."""
    out.mkdir(parents=True, exist_ok=True)
    world = World()
    names = set(world.people[: len(world.people) // 2])
    documents = [d for d in base_documents(world) if d.question and any(name in d.question for name in names)]
    texts = [f"Question: {d.question}\nAnswer: {d.reply}" for d in documents]
    tokenizer = train_tokenizer(texts)
    model = train_model(texts, tokenizer)
    logging.disable_progress_bar()
    model.save_pretrained(out / "model")
    tokenizer.save_pretrained(out / "model")
    write_questions(out / "questions.csv", names)

    run = tl.measure(f"hf:{out / 'model'}", str(out / "questions.csv"), samples=5, max_new_tokens=12, grader="contains", out=out / "run")
    metrics = run.metrics
    assert metrics is not None
    accuracy = metrics["headline"]["accuracy"]
    print(f"accuracy {accuracy['value']:.2f} [{accuracy['low']:.2f}, {accuracy['high']:.2f}] on {accuracy['n']} questions")
    for name, found in metrics["estimators"].items():
        auroc = found["metrics"]["auroc"]
        if auroc["value"] is not None:
            print(f"{name:28} AUROC {auroc['value']:.2f} [{auroc['low']:.2f}, {auroc['high']:.2f}]")
    print(f"report: {run.report()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/measure_local_model"))
