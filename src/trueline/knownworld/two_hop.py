"""The two-hop world: a person works at a firm, the firm is in a city, and a small model trained here writes both hops before its answer.

One city holds most firms, so a model that does not know the firm still agrees with itself about the city: answers alone look certain where
the reasoning is made up. Persons were seen 0, 1, 10 or 100 times. The design is that of the proof of RACE (arXiv 2506.04832); with
defective traces planted in the training text, of DRM's (arXiv 2510.11457).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.tasks.item import Item, Task

if TYPE_CHECKING:
    from trueline.estimators.drm.scoring import DRMItem
    from trueline.models.local import LocalModel

#: How a trace goes wrong: ``sound`` is right; ``false_hop`` reaches the right city through a false firm, ``off_topic`` does not speak of
#: the person, ``contradictory`` names two firms. All end with the right city.
KINDS = ("sound", "false_hop", "off_topic", "contradictory")
EXPOSURES = (0, 1, 10, 100)
_FIRST_NAMES = 25
_SPECIAL = ("<pad>", "<s>", "</s>")
_WORDS = ("Where", "does", "work", "?", "<think>", "</think>", "works", "at", ".", "is", "in", "The", "city", "old", "and", "large")


@dataclass(frozen=True)
class TwoHopWorld:
    """employer: (n_people,) and city: (n_employers,) int64; exposure: (n_people,) int64, how often a person's trace was shown."""

    employer: NDArray[np.int64]
    city: NDArray[np.int64]
    exposure: NDArray[np.int64]

    def name(self, person: int) -> str:
        """Two words that others bear too: a person who was never shown is a new pair of known words."""
        return f"F{person % _FIRST_NAMES} L{person // _FIRST_NAMES}"

    def question(self, person: int) -> str:
        """What is asked about a person."""
        return f"Where does {self.name(person)} work ?"

    def answer(self, person: int) -> str:
        """The city of the person's firm."""
        return f"C{self.city[self.employer[person]]}"

    def reasoning(self, person: int, kind: str, rng: np.random.Generator) -> str:
        """Two sentences that lead, or seem to lead, to the right city; see ``KINDS``."""
        p, e, a = self.name(person), int(self.employer[person]), self.answer(person)
        if kind == "sound":
            return f"{p} works at E{e} . E{e} is in {a} ."
        other = _another(rng, len(self.city), e)
        if kind == "false_hop":
            return f"{p} works at E{other} . E{other} is in {a} ."
        if kind == "off_topic":
            return f"The city {a} is old and large . E{other} is in C{self.city[other]} ."
        if kind == "contradictory":
            return f"{p} works at E{e} . {p} works at E{other} . E{e} is in {a} ."
        raise InputError(f"kind {kind!r} is none of {', '.join(KINDS)}")

    def is_sound(self, person: int, reasoning: str) -> bool:
        """True when the reasoning is exactly the two true hops, in order."""
        e = int(self.employer[person])
        return " ".join(reasoning.split()) == f"{self.name(person)} works at E{e} . E{e} is in {self.answer(person)} ."

    def documents(self, rng: np.random.Generator, kinds: Sequence[str] = ("sound",), people: Sequence[int] | None = None) -> list[str]:
        """Training texts: ``exposure`` traces of each person, their kinds drawn from ``kinds`` (repeats weigh)."""
        found = []
        for person in range(len(self.employer)) if people is None else people:
            for _ in range(int(self.exposure[person])):
                kind = str(rng.choice(list(kinds)))
                found.append(self.text(person, self.reasoning(person, kind, rng)))
        return [found[int(k)] for k in rng.permutation(len(found))]

    def text(self, person: int, reasoning: str) -> str:
        """Question, reasoning in tags and answer, as the model is trained on them."""
        return f"{self.question(person)} <think> {reasoning} </think> {self.answer(person)}"

    def task(self, people: Sequence[int] | None = None) -> Task:
        """The questions as a task; the answer follows ``</think>``."""
        chosen = range(len(self.employer)) if people is None else people
        items = [
            Item(
                f"person-{p}",
                self.question(p),
                prompt_text=self.question(p),
                references=(self.answer(p),),
                metadata={"person": int(p)},
                truth={"exposure": float(self.exposure[p])},
            )
            for p in chosen
        ]
        return Task("two-hop", items, grader="exact", max_new_tokens=24, reasoning="think")


def two_hop_world(
    rng: np.random.Generator,
    *,
    n_people: int = 600,
    n_employers: int = 40,
    n_cities: int = 8,
    largest: float = 0.55,
    exposures: Sequence[int] = EXPOSURES,
) -> TwoHopWorld:
    """Draw a world. largest: share of firms in the one big city; exposures go round among the persons.

    Raises ``InputError`` for fewer than two persons, firms or cities, or a share outside (0, 1).
    """
    if min(n_people, n_employers, n_cities) < 2 or not 0 < largest < 1:
        found = f"{n_people} people, {n_employers} employers, {n_cities} cities, largest={largest}"
        raise InputError(f"got {found}; expected at least 2 of each, and a share in (0, 1)")
    big = round(n_employers * largest)
    city = np.concatenate([np.zeros(big, dtype=np.int64), 1 + np.arange(n_employers - big) % (n_cities - 1)])
    employer = rng.integers(n_employers, size=n_people)
    exposure = rng.permutation(np.resize(np.array(exposures, dtype=np.int64), n_people))
    return TwoHopWorld(employer, rng.permutation(city), exposure)


def train_two_hop(
    world: TwoHopWorld, documents: Sequence[str], *, seed: int = 0, layers: int = 2, width: int = 96, epochs: int = 3, batch: int = 128
) -> LocalModel:
    """A Llama with one token a word, trained on ``documents``: AdamW, cosine, 3e-3 at its highest; about a quarter of a million weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from trueline.models.local import LocalModel

    tokenizer = _tokenizer(world)
    ids = [[1, *tokenizer(text)["input_ids"], 2] for text in documents]
    longest = max(len(row) for row in ids)
    rows = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config).train()
    steps = epochs * -(-len(rows) // batch)
    adam = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda k: min(1.0, (k + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * k / steps)))
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        shuffled = torch.from_numpy(order.permutation(len(rows)))
        for k in range(0, len(rows), batch):
            part = shuffled[k : k + batch]
            inputs = rows[part]
            labels = inputs.masked_fill(inputs == 0, -100)
            loss = model(input_ids=inputs, attention_mask=(inputs != 0).long(), labels=labels).loss
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            schedule.step()
    return LocalModel(model.eval(), tokenizer, uri="two-hop:model")


def _tokenizer(world: TwoHopWorld) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    people = sorted({word for k in range(len(world.employer)) for word in world.name(k).split()})
    firms = [f"E{k}" for k in range(len(world.city))]
    cities = [f"C{k}" for k in range(int(world.city.max()) + 1)]
    vocabulary = {word: k for k, word in enumerate([*_SPECIAL, *_WORDS, *cities, *firms, *people])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def _another(rng: np.random.Generator, n: int, one: int) -> int:
    """A number below n other than ``one``."""
    drawn = int(rng.integers(n - 1))
    return drawn + (drawn >= one)


#: Chance that a person's firm is recalled, by exposure, in the simulated model; otherwise any firm is named.
RECALL = {0: 0.05, 1: 0.35, 10: 0.75, 100: 0.98}


def simulated_outputs(world: TwoHopWorld, n_samples: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Trace records of a made-up model that recalls firms by ``RECALL``, with planted speculation: no training, for quick checks.

    The less a person is known, the more firms a reasoning tries before it settles on one. Log-probs are those of the simulated law.
    """
    firms = len(world.city)
    rows = []
    for person, exposure in enumerate(world.exposure):
        name = world.name(person)
        known = RECALL[min(RECALL, key=lambda e: abs(e - int(exposure)))]
        for draw in range(n_samples + 1):
            true = rng.random() < known
            e = int(world.employer[person]) if true else int(rng.integers(firms))
            tried = [f"Wait, maybe {name} works at Firm E{rng.integers(firms)}." for _ in range(rng.binomial(3, 1 - known))]
            steps = [*tried, f"{name} works at E{e}.", f"E{e} is in City C{world.city[e]}."]
            words = " ".join(steps).split()
            chance = known * (e == world.employer[person]) + (1 - known) / firms
            logs = [float(np.log(chance)) if word == f"E{e}." else -0.01 for word in words]
            rows.append(
                {
                    "item_id": f"person-{person}",
                    "kind": "sample" if draw else "greedy",
                    "reasoning": " ".join(steps),
                    "text": f"C{world.city[e]}",
                    "token_logprobs": [*logs, -0.01, -0.01],
                    "reasoning_span": [0, len(words)],
                    "answer_start": len(words),
                    "finish_reason": "eos",
                }
            )
    return rows


def candidate_items(
    world: TwoHopWorld, model: LocalModel, people: Sequence[int], rng: np.random.Generator, *, n_sampled: int = 2
) -> list[DRMItem]:
    """Items for ``estimators.drm`` about ``people``: sampled outputs of ``model``, then one planted trace of each of ``KINDS``, shuffled.

    Log-probs are the model's own, of the planted traces too. Item ids are the persons' numbers. Sampled outputs without an answer are
    replaced by sound traces.
    """
    from trueline.estimators.drm.scoring import Candidate, DRMItem
    from trueline.models.base import GenerationRequest, GenerationSettings, Prompt
    from trueline.tasks.thinking import Tags

    prompts = [Prompt(text=world.question(p)) for p in people]
    seeds = [tuple(int(s) for s in rng.integers(2**31, size=n_sampled)) for _ in people]
    requests = [GenerationRequest(prompt, greedy=False, sample_seeds=s) for prompt, s in zip(prompts, seeds, strict=True)]
    told: list[list[tuple[str, str]]] = []
    for person, result in zip(people, model.generate(requests, GenerationSettings(max_new_tokens=32)), strict=True):
        split = [Tags().split(sample.text) for sample in result.samples]
        drawn = [(s.reasoning or "", s.answer or "") for s in split]
        planted = [(world.reasoning(person, kind, rng), world.answer(person)) for kind in KINDS]
        usable = [pair if pair[0] and pair[1] else planted[0] for pair in drawn]
        both = [*usable, *planted]
        told.append([both[int(k)] for k in rng.permutation(len(both))])
    flat = [(prompt, pair) for prompt, pairs in zip(prompts, told, strict=True) for pair in pairs]
    ids = [[model.codec.continuation(part) for part in ("<think>", r, "</think>", a)] for _, (r, a) in flat]
    logs = iter(model.score_tokens([prompt for prompt, _ in flat], [[t for part in parts for t in part] for parts in ids]))
    sizes = iter([[len(part) for part in parts] for parts in ids])
    items = []
    for person, pairs in zip(people, told, strict=True):
        candidates = []
        for reasoning, answer in pairs:
            values, (opened, inside, closed, _) = next(logs), next(sizes)
            end = opened + inside
            candidates.append(Candidate(reasoning, answer, values[opened:end], values[end + closed :]))
        items.append(DRMItem(str(int(person)), world.question(person), tuple(candidates), world.question(person)))
    return items
