"""Cost of a capture against the bare minimum: the same forward passes with nothing around them.

The floor is the capture's own calls of the network (one prefill a prompt, then the decoding steps over the same batches and tokens),
with the cache repeated for the rows: no sampling, no log-softmax, no tokenizer, no text. Both run in turn in one process on one thread; the
ratio is of CPU seconds, the median over the repeats.

Run: ``OMP_NUM_THREADS=1 python benchmarks/capture_floor.py``; prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from trueline.models import GenerationRequest, GenerationSettings, Prompt
from trueline.models.local import LocalModel

MOST_RATIO = 1.35
CACHE_NAMES = {"cache", "past_key_values"}  # transformers renamed the argument in 5.24


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


def record(model: LocalModel, requests: list[GenerationRequest], settings: GenerationSettings) -> list[dict[str, Any]]:
    """Every call of the network that one capture makes, in order, without its cache."""
    calls: list[dict[str, Any]] = []

    def note(network: Any, args: Any, kwargs: dict[str, Any]) -> None:
        calls.append({name: value for name, value in kwargs.items() if name not in CACHE_NAMES} | {"cached": CACHE_NAMES & kwargs.keys()})

    handle = model.model.register_forward_pre_hook(note, with_kwargs=True)
    model.generate(requests, settings)
    handle.remove()
    return calls


def floor(network: Any, calls: list[dict[str, Any]]) -> None:
    """The same calls, each prompt's cache repeated for its rows, and nothing else."""
    with torch.inference_mode():
        cache: Any = None
        for call in calls:
            arguments = dict(call)
            for name in arguments.pop("cached"):
                n_rows, n_cached = len(call["input_ids"]), cache.layers[0].keys.shape[0]
                if n_rows != n_cached:
                    cache.reorder_cache(torch.arange(n_rows) % n_cached)
                arguments[name] = cache
            output = network(**arguments)
            cache = output.cache if hasattr(output, "cache") else output.past_key_values


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
    calls = record(model, requests, settings)
    timings = [
        (cpu_seconds(lambda: model.generate(requests, settings)), cpu_seconds(lambda: floor(model.model, calls)))
        for _ in range(arguments.repeats)
    ]
    ratio = statistics.median(capture / bare for capture, bare in timings)
    line = {
        "benchmark": "capture_floor",
        "parameters": sum(p.numel() for p in model.model.parameters()),
        "prompts": arguments.prompts,
        "rows": rows,
        "tokens": arguments.tokens,
        "rows_run": sum(len(call["input_ids"]) for call in calls if call["cached"]),
        "rows_decoded": arguments.prompts * rows * (arguments.tokens - 1),
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
