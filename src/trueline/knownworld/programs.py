"""A toy world of programs: instructions in words, Python functions of one expression, hidden tests, and a tiny model that learned some.

Instructions chain steps such as "add 3 then times 2". The rarer a step's word is in training (Zipf), the worse it is learned, so the model
is sure of some programs and guesses at others. Quality of a program: ``tasks.code_quality``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from trueline.errors import InputError
from trueline.tasks.item import Item, Task

if TYPE_CHECKING:
    from trueline.models.local import LocalModel

#: Word of a step -> what it makes of the expression e and the number n, and of a value; the commonest first.
STEPS: dict[str, tuple[str, Callable[[int, int], int]]] = {
    "add": ("( e + n )", lambda e, n: e + n),
    "less": ("( e - n )", lambda e, n: e - n),
    "times": ("( e * n )", lambda e, n: e * n),
    "from": ("( n - e )", lambda e, n: n - e),
    "over": ("( e // n )", lambda e, n: e // n),
    "rest": ("( e % n )", lambda e, n: e % n),
    "upto": ("min ( e , n )", min),
    "least": ("max ( e , n )", max),
    "mirror": ("( - e + n )", lambda e, n: -e + n),
    "size": ("abs ( e - n )", lambda e, n: abs(e - n)),
    "square": ("( e ** 2 + n )", lambda e, n: e**2 + n),
    "both": ("( e + e * n )", lambda e, n: e + e * n),
}
INPUTS = (-7, 2, 11)
Problem = tuple[tuple[str, int], ...]


def random_problem(rng: np.random.Generator, *, zipf: float) -> Problem:
    """One to three steps; the k-th word has weight k^-zipf (0: all alike)."""
    words = list(STEPS)
    weights = np.arange(1, len(words) + 1, dtype=np.float64) ** -zipf
    chosen = rng.choice(len(words), size=int(rng.integers(1, 4)), p=weights / weights.sum())
    return tuple((words[int(k)], int(rng.integers(1, 10))) for k in chosen)


def prompt_of(problem: Problem) -> str:
    """What the model is shown."""
    return " then ".join(f"{word} {n}" for word, n in problem) + " :"


def answer_of(problem: Problem) -> str:
    """The body of the right function of ``x``."""
    expression = "x"
    for word, n in problem:
        expression = " ".join({"e": expression, "n": str(n)}.get(part, part) for part in STEPS[word][0].split())
    return f"return {expression}"


def hidden_tests(problem: Problem) -> list[str]:
    """Hidden tests: the right value at each of ``INPUTS``."""
    found = []
    for x in INPUTS:
        value = x
        for word, n in problem:
            value = STEPS[word][1](value, n)
        found.append(f"assert f({x}) == {value}")
    return found


def program_task(n_items: int, seed: int = 1) -> Task:
    """Problems in which rare words are commoner than in training, so that many hold one rarely seen. Graded by ``code_quality``."""
    if n_items < 1:
        raise InputError(f"n_items must be at least 1, got {n_items}")
    rng = np.random.default_rng(seed)
    items = []
    for k in range(n_items):
        problem = random_problem(rng, zipf=0.5)
        tests = {"tests": hidden_tests(problem), "setup": "", "entry_point": "f", "code_prompt": "def f(x):\n"}
        items.append(Item(f"program/{k}", prompt_of(problem), prompt_of(problem), references=(answer_of(problem),), metadata=tests))
    return Task("programs", items, grader="code_quality", max_new_tokens=48)


def train_programmer(seed: int = 0, *, n_steps: int = 500, batch: int = 48) -> LocalModel:
    """A Llama network of two small layers trained on random problems with Zipf words; a fraction of a minute on one core."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from trueline.models.local import LocalModel

    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4}
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **sizes, **ends))
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=n_steps)
    rng = np.random.default_rng([seed, 2])
    for _ in range(n_steps):
        ids, labels = _batch(tokenizer, [random_problem(rng, zipf=1.5) for _ in range(batch)])
        loss = model(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long(), labels=labels).loss
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return LocalModel(model.eval(), tokenizer, uri="programs:tiny", chat=False)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    parts = {part for template, _ in STEPS.values() for part in template.split()} - {"e", "n"}
    words = ["<pad>", "</s>", "then", ":", "return", "x", *map(str, range(10)), *STEPS, *sorted(parts - {"2"})]
    backend = Tokenizer(models.WordLevel({word: k for k, word in enumerate(words)}, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", pad_token="<pad>")


def _batch(tokenizer: Any, problems: list[Problem]) -> tuple[Any, Any]:
    """Token ids and labels, padded on the right; the prompt is not learned."""
    import torch

    rows = []
    for problem in problems:
        head, body = (tokenizer(text)["input_ids"] for text in (prompt_of(problem), answer_of(problem)))
        rows.append((len(head), [*head, *body, tokenizer.eos_token_id]))
    width = max(len(row) for _, row in rows)
    ids = torch.full((len(rows), width), tokenizer.pad_token_id, dtype=torch.long)
    labels = torch.full((len(rows), width), -100, dtype=torch.long)
    for k, (n_head, row) in enumerate(rows):
        ids[k, : len(row)] = torch.tensor(row)
        labels[k, n_head : len(row)] = torch.tensor(row[n_head:])
    return ids, labels
