"""The models that the peer comparison runs on, built from nothing: a small language model and a judge, both local.

    python benchmarks/peers/fixture.py FOLDER [--steps 700]

Invented gardens and what grows in them: 300 questions, each with one to four true answers of known probability. A GPT-2 of about 3 million
parameters (6 layers, 192 wide) with its own byte-level BPE learns them; the judge is a DeBERTa for three-way inference and the comparer a
RoBERTa cross-encoder (2 layers, 64 wide each) with random weights: their work is real, their verdicts are noise, and both sides get
the same ones.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import RobertaProcessing
from transformers import (
    DebertaConfig,
    DebertaForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PARTS = ("al", "bren", "cor", "dun", "esk", "fal", "gor", "hul", "ith", "jor", "kel", "lum", "mor", "nev", "ost", "pel")
#: Words of both sides' P(True) prompts, so that neither is spelled out byte by byte; the peer wants True and False as one token each.
PROBE_WORDS = (
    "True\nFalse\nQuestion: Possible answer: Is the possible answer: (A) True (B) False The possible answer is: "
    "Proposed answer: Is the proposed answer true? Reply with the letter only. Letter:"
)
ASKED = {"tree": "Which tree stands in {}?", "keeper": "Who keeps {}?", "bird": "Which bird nests in {}?"}


def questions(seed: int = 7, n_gardens: int = 100) -> list[tuple[str, dict[str, float]]]:
    """Questions with the law of their answers."""
    rng = np.random.default_rng(seed)

    def name(n: int) -> str:
        return "".join(rng.choice(PARTS, size=n)).capitalize()

    pools = {
        "tree": [f"an old {name(2).lower()} tree" for _ in range(30)],
        "keeper": [f"{name(2)} of {name(1)}" for _ in range(40)],
        "bird": [f"the {rng.choice(['grey', 'small', 'loud'])} {name(2).lower()}" for _ in range(30)],
    }
    found = []
    for _ in range(n_gardens):
        garden = f"{name(2)} {name(2)}"
        for relation, form in ASKED.items():
            answers = rng.choice(pools[relation], size=int(rng.choice([1, 1, 2, 3, 4])), replace=False)
            law = rng.dirichlet(np.full(len(answers), 2.0))
            found.append((form.format(garden), dict(zip(answers.tolist(), law.tolist(), strict=True))))
    return [found[k] for k in rng.permutation(len(found))]


def tokenizer(corpus: list[str], folder: Path, judge: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 1,000 tokens, saved to ``folder``."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(corpus, vocab_size=1000, special_tokens=SPECIALS)
    extra: dict[str, object] = {}
    if judge:
        bpe._tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
        extra = {"mask_token": "<mask>", "cls_token": "<s>", "sep_token": "</s>", "model_max_length": 250}
    made = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", **extra
    )
    made.save_pretrained(folder)
    return made


def train(model: GPT2LMHeadModel, tok: PreTrainedTokenizerFast, facts: list[tuple[str, dict[str, float]]], steps: int) -> float:
    """Learn the answers for so many steps of 48 questions; returns the last loss."""
    rng = np.random.default_rng(1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    loss = torch.tensor(float("nan"))
    for _ in range(steps):
        rows = []
        for k in rng.integers(len(facts), size=48):
            question, law = facts[int(k)]
            answer = rng.choice(list(law), p=np.array(list(law.values())))
            rows.append((tok(f"Q: {question}\nA:")["input_ids"], tok(f" {answer}")["input_ids"] + [2]))
        width = max(len(a) + len(b) for a, b in rows)
        ids = torch.full((len(rows), width), 1)
        labels = torch.full((len(rows), width), -100)
        for i, (a, b) in enumerate(rows):
            ids[i, : len(a) + len(b)] = torch.tensor(a + b)
            labels[i, len(a) : len(a) + len(b)] = torch.tensor(b)
        loss = model(ids, attention_mask=(ids != 1).long(), labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return float(loss.detach())


def build(out: Path, steps: int) -> None:
    """Write model/, nli/, cross/ and items.jsonl under ``out``."""
    torch.manual_seed(0)
    facts = questions()
    corpus = [f"Q: {q}\nA: {a}" for q, law in facts for a in law] + [PROBE_WORDS] * 50
    tok = tokenizer(corpus, out / "model", judge=False)
    ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tok), n_positions=512, n_embd=192, n_layer=6, n_head=6, **ids))
    loss = train(model, tok, facts, steps)
    model.save_pretrained(out / "model")
    judge = tokenizer(corpus, out / "nli", judge=True)
    labels = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}
    config = DebertaConfig(
        vocab_size=len(judge), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256, relative_attention=True,
        pos_att_type=["c2p", "p2c"], max_position_embeddings=256, position_biased_input=False, pad_token_id=1, num_labels=3,
        id2label=labels, label2id={v: k for k, v in labels.items()},
    )  # fmt: skip
    DebertaForSequenceClassification(config).save_pretrained(out / "nli")
    comparer = tokenizer(corpus, out / "cross", judge=True)
    config = RobertaConfig(
        vocab_size=len(comparer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=256,
        max_position_embeddings=258, num_labels=1, pad_token_id=1,
    )  # fmt: skip
    RobertaForSequenceClassification(config).save_pretrained(out / "cross")
    rows = [
        {"id": f"g{k}", "question": q, "asked": f"Q: {q}\nA:", "answer": max(law, key=law.__getitem__)}
        for k, (q, law) in enumerate(facts[:200])
    ]
    (out / "items.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    print(f"{model.num_parameters():,} parameters, {len(tok)} tokens, last loss {loss:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=700)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    build(given.out, given.steps)
