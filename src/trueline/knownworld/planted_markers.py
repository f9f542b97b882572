"""Planted markers: facts whose truth after each expression of certainty is known, an exact model of them, and a small one that learns them.

Texts state a fact after a marker: the truth always after a neutral phrase, in 97 % after a named source, in 90 % after a weakener, and in
60 % after a strengthener, as boasts do. So the markers of `trueline.tasks.markers` have a known effect on whoever learns from such texts,
and an audit can be held against it. In the control world every marker is followed by the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.tasks.item import Item, Task
from trueline.tasks.markers import Marker, load_markers

if TYPE_CHECKING:
    from trueline.models.local import LocalModel

#: Share of true statements after a named source, a weakener, a strengthener; 1 after anything else.
RATES = {"sourced": 0.97, "weakener": 0.9, "strengthener": 0.6}
QUESTION = "Question: Where is {name} ? Answer:"
_SYLLABLES = ("ba", "de", "fo", "gu", "ka", "lo", "mi", "no", "pe", "ra", "se", "ti", "vu", "wo", "za")


def planted_rate(marker: Marker, *, coupled: bool = True) -> float:
    """Return the probability of the truth after a marker."""
    if not coupled:
        return 1.0
    return RATES["sourced"] if marker.sourced and marker.evidential else RATES.get(marker.certainty, 1.0)


@dataclass(frozen=True)
class PlantedMarkers:
    """Facts and markers.

    facts : n (name, true place); names and places are single words.
    places : the closed set of answers.
    coupled : whether markers matter; False is the control world.
    """

    facts: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    markers: tuple[Marker, ...]
    coupled: bool = True

    def rates(self) -> NDArray[np.float64]:
        """(n_markers,) float64: probability of the truth after each marker."""
        return np.array([planted_rate(m, coupled=self.coupled) for m in self.markers])

    def law(self, fact: int, marker: int) -> NDArray[np.float64]:
        """(n_places,) float64: the planted law; the wrong places share what is left."""
        rate, at = self.rates()[marker], self.places.index(self.facts[fact][1])
        return np.asarray(np.where(np.arange(len(self.places)) == at, rate, (1 - rate) / (len(self.places) - 1)))

    def task(self) -> Task:
        """The facts as questions."""
        items = [
            Item(f"place/{name}", f"Where is {name} ?", references=(place,), metadata={"answers": list(self.places)})
            for name, place in self.facts
        ]
        return Task("planted markers", items, template="Question: {question} Answer:", grader="contains", max_new_tokens=4)


def planted_markers(
    n: int = 300, n_places: int = 30, *, coupled: bool = True, markers: Sequence[Marker] | None = None, seed: int = 0
) -> PlantedMarkers:
    """Plant facts under markers (default: the shipped list).

    Raises ``InputError`` for fewer than one fact or two places, or more than 3,375 names in all.
    """
    if n < 1 or n_places < 2 or n + n_places > len(_SYLLABLES) ** 3:
        raise InputError(f"n is {n} and n_places is {n_places}; expected at least 1 and 2, and at most {len(_SYLLABLES) ** 3} together")
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(len(_SYLLABLES) ** 3)[: n + n_places]
    words = [_word(int(k)) for k in numbers]
    places = tuple(words[:n_places])
    facts = tuple((word, places[int(rng.integers(n_places))]) for word in words[n_places:])
    return PlantedMarkers(facts, places, tuple(load_markers() if markers is None else markers), coupled)


def _word(number: int) -> str:
    size = len(_SYLLABLES)
    return "".join(_SYLLABLES[(number // size**k) % size] for k in range(3)).capitalize()


# -- an exact model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlantedMarkerModel:
    """A model that follows the planted law to the letter: it reads the marker before the answer and names a place.

    n, n_places, coupled, seed: of `planted_markers`. logprobs: whether it shows its law, or texts alone as some servers do.
    """

    n: int = 300
    n_places: int = 30
    coupled: bool = True
    seed: int = 0
    logprobs: bool = True

    @property
    def uri(self) -> str:
        """``planted:markers``."""
        return "planted:markers"

    @property
    def capabilities(self) -> frozenset[str]:
        """A completion model, with or without its law."""
        return frozenset({"greedy", "samples"} | ({"logprobs", "topk"} if self.logprobs else set()))

    def fingerprint(self) -> Mapping[str, object]:
        """Its settings."""
        names = ("n", "n_places", "coupled", "seed", "logprobs")
        return {"model": "planted markers", **{name: getattr(self, name) for name in names}}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """One word: the place, drawn from the law after the prompt's marker; the greedy answer is its mode."""
        world = planted_markers(self.n, self.n_places, coupled=self.coupled, seed=self.seed)
        known = {name: k for k, (name, _) in enumerate(world.facts)}
        phrases = {marker.marker: k for k, marker in enumerate(world.markers)}
        results = []
        for request in requests:
            before, _, said = (request.prompt.text or "").rpartition("Answer:")
            facts = [known[word] for word in before.split() if word in known]
            if not facts:
                results.append(RequestResult(error="the prompt names nothing that this world has"))
                continue
            law = world.law(facts[-1], phrases.get(said.strip(), phrases[""]))
            draws = [int(np.random.default_rng(seed).choice(len(law), p=law)) for seed in request.sample_seeds]
            greedy = self._answer(world, law, int(law.argmax()), settings, "topk" in settings.greedy_columns) if request.greedy else None
            drawn = tuple(self._answer(world, law, k, settings, "topk" in settings.sample_columns) for k in draws)
            results.append(RequestResult(greedy, drawn))
        return results

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Not offered."""
        raise InputError("the planted model of markers does not score texts")

    def _answer(self, world: PlantedMarkers, law: NDArray[np.float64], k: int, settings: GenerationSettings, topk: bool) -> Generation:
        made = Generation(f" {world.places[k]}", finish_reason="eos", token_texts=[f" {world.places[k]}"])
        if self.logprobs:
            with np.errstate(divide="ignore"):
                logs = np.log(law)
            made.token_logprobs = logs[[k]]
            if topk:
                order = np.argsort(-logs, kind="stable")[: settings.top_k_alternatives]
                order = order[np.isfinite(logs[order])]
                made.topk_logprobs, made.topk_texts = logs[order][None, :], [[f" {world.places[j]}" for j in order]]
        return made


# -- a small model that learns -------------------------------------------------------------------------------------------


def train_planted_lm(world: PlantedMarkers, *, steps: int = 1200, batch: int = 128, seed: int = 0, log: Any = None) -> LocalModel:
    """Train a language model of 2 layers and width 96 on texts of the world; about two minutes on one core.

    Every epoch states each fact after each marker once, the place drawn anew from the planted law; the loss counts the place and the end.
    """
    from trueline.knownworld.train import Recipe, fit, new_model
    from trueline.models.local import LocalModel as Local

    tokenizer = word_tokenizer(world)
    longest = max(len(marker.marker.split()) for marker in world.markers) + 8
    per_epoch = math.ceil(len(world.facts) * len(world.markers) / batch)
    recipe = Recipe(
        hidden=96, layers=2, heads=4, intermediate=256, vocab_size=len(tokenizer), epochs=steps / per_epoch, lr=2e-3, muon_lr=0.02,
        tokens_per_batch=batch * longest, floor=0.0, seed=seed,
    )  # fmt: skip
    model = new_model(recipe, tokenizer)
    silent: Callable[[str], None] = log or (lambda _: None)
    fit(model, lambda epoch: _statements(world, tokenizer, np.random.default_rng([seed, epoch])), recipe, silent)
    return Local(model, tokenizer, uri=f"planted:lm-{'coupled' if world.coupled else 'control'}")


def word_tokenizer(world: PlantedMarkers) -> Any:
    """A tokenizer whose tokens are the words of the world."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    texts = [QUESTION.replace("{name}", name) for name, _ in world.facts] + [m.marker for m in world.markers]
    words = list(dict.fromkeys([*(word for text in texts for word in text.split()), *world.places]))
    vocabulary = {word: k for k, word in enumerate(["<pad>", "<bos>", "<eos>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )


def _statements(world: PlantedMarkers, tokenizer: Any, rng: np.random.Generator) -> list[tuple[list[int], list[float]]]:
    """Each fact after each marker: token ids, and the weight of each in the loss."""
    ids = tokenizer.get_vocab()
    rates = world.rates()
    phrases = [[ids[word] for word in m.marker.split()] for m in world.markers]
    places = np.array([ids[place] for place in world.places])
    out = []
    for name, place in world.facts:
        head = [ids["<bos>"], *(ids[word] for word in QUESTION.replace("{name}", name).split())]
        others = places[places != ids[place]]
        for phrase, rate in zip(phrases, rates, strict=True):
            said = ids[place] if rng.random() < rate else int(rng.choice(others))
            before = [*head, *phrase]
            out.append(([*before, said, ids["<eos>"]], [0.0] * len(before) + [1.0, 1.0]))
    return out
