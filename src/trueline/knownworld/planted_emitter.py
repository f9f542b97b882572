"""A planted emitter: an exact model whose chance of being right is known for each fact, and which learns from examples when to say so.

It is sure of one half of the facts and unsure of the other, and right as often as it says. Its prompt may hold examples: it then gives each
new answer the class of marker whose examples were nearest to its own certainty, or (``follows=False``) a class by lot. So an emission
audit can be held against what was planted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.knownworld.planted_markers import PlantedMarkers, planted_markers
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult
from trueline.stats.estimate import FloatArray
from trueline.tasks.item import Task
from trueline.tasks.marker_tags import strongest, tag_markers

#: Left over for all that is not said at a step that is certain.
_REST = 1e-9


@dataclass(frozen=True)
class PlantedEmitter:
    """See the module.

    Attributes
    ----------
    n, n_places, seed
        Of the world (`planted_markers`); the seed also says which facts it is sure of.
    sure, unsure : float
        Probability that it gives to the answer it believes in, and that this is the truth.
    follows : bool
        Whether it takes up what the examples show, or emits their markers by lot.
    logprobs : bool
        Whether it shows log-probs.
    """

    n: int = 300
    n_places: int = 30
    seed: int = 0
    sure: float = 0.95
    unsure: float = 0.35
    follows: bool = True
    logprobs: bool = True

    def __post_init__(self) -> None:
        """Refuse certainties that are none."""
        if not 1 / self.n_places < self.unsure < self.sure < 1:
            raise InputError(f"unsure is {self.unsure} and sure is {self.sure}; expected 1/n_places < unsure < sure < 1")

    @property
    def uri(self) -> str:
        """Name."""
        return "world:planted-emitter"

    @property
    def capabilities(self) -> frozenset[str]:
        """A completion model."""
        return frozenset({"greedy", "samples"}) | (frozenset({"logprobs", "topk"}) if self.logprobs else frozenset())

    def fingerprint(self) -> Mapping[str, object]:
        """Its settings."""
        names = ("n", "n_places", "seed", "sure", "unsure", "follows", "logprobs")
        return {"model": "planted emitter", **{name: getattr(self, name) for name in names}}

    @cached_property
    def world(self) -> PlantedMarkers:
        """The facts."""
        return planted_markers(self.n, self.n_places, seed=self.seed)

    @cached_property
    def certainty(self) -> FloatArray:
        """(n,) float64: of each fact."""
        return np.where(np.random.default_rng([self.seed, 2]).random(self.n) < 0.5, self.sure, self.unsure)

    @cached_property
    def believed(self) -> tuple[int, ...]:
        """Position among the places of what it believes of each fact: true as often as it is certain."""
        rng = np.random.default_rng([self.seed, 3])
        places = self.world.places
        true = [places.index(place) for _, place in self.world.facts]
        wrong = [(t + int(rng.integers(1, len(places)))) % len(places) for t in true]
        right = rng.random(self.n) < self.certainty
        return tuple(t if r else w for t, w, r in zip(true, wrong, right, strict=True))

    def law(self, fact: int) -> FloatArray:
        """(n_places,) float64: what it gives to each place; those that it does not believe in share what is left."""
        law = np.full(self.n_places, (1 - self.certainty[fact]) / (self.n_places - 1))
        law[self.believed[fact]] = self.certainty[fact]
        return law

    def task(self) -> Task:
        """The facts as questions."""
        return self.world.task()

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """A marker, if the examples in the prompt teach one, and a place; samples draw the place."""
        known = {name: k for k, (name, _) in enumerate(self.world.facts)}
        results = []
        for request in requests:
            *shots, asked = _questions(request.prompt.text or "", known)
            if asked[0] is None:
                results.append(RequestResult(error="the prompt names nothing that this world has"))
                continue
            words = self._marker(asked[0], [(fact, said) for fact, said in shots if fact is not None])
            law = self.law(asked[0])
            draws = [int(np.random.default_rng(seed).choice(len(law), p=law)) for seed in request.sample_seeds]
            greedy = self._answer(words, law, int(law.argmax()), settings.top_k_alternatives) if request.greedy else None
            results.append(RequestResult(greedy, tuple(self._answer(words, law, k, settings.top_k_alternatives) for k in draws)))
        return results

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Not offered."""
        raise InputError("the planted emitter does not score texts")

    def _marker(self, fact: int, shots: Sequence[tuple[int, str]]) -> list[str]:
        """Words before the answer."""
        kinds: dict[str, list[float]] = {}
        phrases: dict[str, list[str]] = {}
        for shot, said in shots:
            kind = strongest(tag_markers(said))
            kinds.setdefault(kind, []).append(float(self.certainty[shot]))
            phrases[kind] = said.split()[:-1]
        if not kinds:
            return []
        if self.follows:
            kind = min(kinds, key=lambda name: abs(float(np.mean(kinds[name])) - self.certainty[fact]))
        else:
            shares = np.array([len(v) for v in kinds.values()], dtype=np.float64)
            kind = str(np.random.default_rng([self.seed, 4, fact]).choice(list(kinds), p=shares / shares.sum()))
        return phrases[kind]

    def _answer(self, words: Sequence[str], law: FloatArray, k: int, top: int) -> Generation:
        places = self.world.places
        said = [*words, places[k]]
        made = Generation(f" {' '.join(said)}", finish_reason="eos", token_texts=[f" {word}" for word in said])
        if self.logprobs:
            order = np.argsort(-law, kind="stable")[: max(1, min(top, len(law)))]
            fixed = np.log([1 - _REST, *[_REST / len(law)] * (len(order) - 1)])
            made.token_logprobs = np.array([*[fixed[0]] * len(words), np.log(law[k])])
            made.topk_logprobs = np.array([*[fixed] * len(words), np.log(law[order])])
            ranked = [f" {places[j]}" for j in order]
            made.topk_texts = [*[[f" {word}", *ranked[: len(order) - 1]] for word in words], ranked]
        return made


def _questions(text: str, known: Mapping[str, int]) -> list[tuple[int | None, str]]:
    """(fact, what is said to it) of each question of a prompt, the asked one last."""
    parts: list[Any] = text.split("Answer:")
    found = []
    for before, after in pairwise(parts):
        facts = [known[word] for word in before.split() if word in known]
        found.append((facts[-1] if facts else None, after.split("\n")[0].strip()))
    return found or [(None, "")]
