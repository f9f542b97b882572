"""Cost of a capture against the bare minimum: the same forward passes with nothing around them.

The floor is one prefill a prompt, its cache repeated for the rows, and every decoding step as a plain forward pass over the same batches,
fed with the tokens that the capture produced: no sampling, no log-softmax, no tokenizer, no text. Both run in turn in one process on one
thread; the ratio is of CPU seconds, the median over the repeats.

Run: ``OMP_NUM_THREADS=1 python benchmarks/capture_floor.py``; prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from trueline.models import GenerationRequest, GenerationSettings, Prompt
from trueline.models.local import LocalModel

MOST_RATIO = 1.35


def questions(n: int) -> list[str]:
    """Short questions of unequal length over invented names."""
    rng = random.Random(0)
    syllables = ["ka", "ro", "mel", "ti", "shu", "von", "dra", "li", "ques", "nor", "bri", "sa"]

    def name() -> str:
        return "".join(rng.choices(syllables, k=rng.randint(2, 4))).capitalize()

    forms = [
        "Where was {a} {b} born?",
        "Which city did {a} move to after {b}?",
        "Who taught {a} the craft of {b}, and when?",
        "What is {a}?",
    ]
    return [f"Question: {rng.choice(forms).format(a=name(), b=name())} Answer:" for _ in range(n)]


def make_model(vocabulary: int) -> LocalModel:
    """A random GPT-2 of about 3 million parameters with a byte-level BPE; it never ends a text, so every row has its full length."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    backend.train_from_iterator(questions(5000), trainer)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=vocabulary, n_embd=192, n_layer=6, n_head=6, n_positions=256, bos_token_id=None, eos_token_id=None)
    return LocalModel(GPT2LMHeadModel(config), PreTrainedTokenizerFast(tokenizer_object=backend), uri="benchmark:gpt2")


def batches(model: LocalModel, requests: list[GenerationRequest], settings: GenerationSettings) -> Iterator[tuple[Any, Any]]:
    """The capture's own batches as (prompt ids, tokens of all rows), recorded from a first run."""
    results = model.generate(requests, settings)
    ids = [model.tokenizer(request.prompt.text)["input_ids"] for request in requests]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    rows = 1 + len(requests[0].sample_seeds)
    per_batch = max(1, settings.batch_size // rows)
    for start in range(0, len(order), per_batch):
        chunk = order[start : start + per_batch]
        tokens = [g.tokens for i in chunk for g in (results[i].greedy, *results[i].samples)]
        yield [ids[i] for i in chunk], torch.tensor(tokens)


def floor(network: Any, recorded: list[tuple[Any, Any]], rows: int) -> None:
    """Plain forward passes only."""
    with torch.inference_mode():
        for prompts, tokens in recorded:
            width = max(map(len, prompts))
            ids = torch.tensor([[0] * (width - len(row)) + row for row in prompts])
            padding = torch.tensor([width - len(row) for row in prompts])
            mask = (torch.arange(width) >= padding[:, None]).long() if bool(padding.any()) else None
            positions = (torch.arange(width) - padding[:, None]).clamp(min=0)
            output = network(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            cache.batch_repeat_interleave(rows)
            mask = None if mask is None else mask.repeat_interleave(rows, 0)
            lengths = (width - padding).repeat_interleave(rows)[:, None]
            for t in range(tokens.shape[1] - 1):
                if mask is not None:
                    mask = torch.cat([mask, mask.new_ones((len(mask), 1))], 1)
                output = network(
                    input_ids=tokens[:, t : t + 1], attention_mask=mask, position_ids=lengths + t, past_key_values=cache, use_cache=True
                )


def cpu_seconds(function: Any) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=946)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = make_model(arguments.vocabulary)
    rows = 1 + arguments.samples
    requests = [
        GenerationRequest(Prompt(text=text), sample_seeds=tuple(range(i * rows, i * rows + arguments.samples)))
        for i, text in enumerate(questions(arguments.prompts))
    ]
    settings = GenerationSettings(
        max_new_tokens=arguments.tokens,
        batch_size=arguments.batch_size,
        greedy_columns=frozenset({"token_entropy", "token_mean_logp", "token_n_finite", "topk"}),
    )
    recorded = list(batches(model, requests, settings))
    timings = [
        (cpu_seconds(lambda: model.generate(requests, settings)), cpu_seconds(lambda: floor(model.model, recorded, rows)))
        for _ in range(arguments.repeats)
    ]
    ratio = statistics.median(capture / bare for capture, bare in timings)
    line = {
        "benchmark": "capture_floor",
        "parameters": sum(p.numel() for p in model.model.parameters()),
        "prompts": arguments.prompts,
        "rows": rows,
        "tokens": arguments.tokens,
        "batch_size": arguments.batch_size,
        "vocabulary": arguments.vocabulary,
        "capture_cpu_s": round(statistics.median(capture for capture, _ in timings), 3),
        "floor_cpu_s": round(statistics.median(bare for _, bare in timings), 3),
        "ratio": round(ratio, 3),
        "target": MOST_RATIO,
        "pass": ratio <= MOST_RATIO,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
