"""Annotators that are models: whom do they prefer? Judges are asked, policies and reward models score both responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.discretion import score_preferences
from trueline.models.base import Message, Model, Prompt
from trueline.stats.estimate import FloatArray
from trueline.tasks.preferences import PreferencePair, Turns, dialogue

_BATCH = 64


@runtime_checkable
class RewardModel(Protocol):
    """Scores responses: (conversations, responses), equally long -> (n,) float64 rewards, higher = better; NaN = no reward."""

    def __call__(self, conversations: Sequence[Turns], responses: Sequence[str], /) -> ArrayLike:
        """Rewards of the responses."""
        ...


@dataclass(frozen=True)
class Likelihood:
    """A policy as an annotator: it prefers the response to which it gives the higher total log-prob (nats) after the prompt."""

    model: Model


def reward_preferences(reward: RewardModel, pairs: Sequence[PreferencePair]) -> FloatArray:
    """Return (n,) float64 preferences of a reward model; equal rewards are 0.

    Raises
    ------
    InputError
        If it does not return one number a response.
    """
    turns = [pair.turns for pair in pairs]
    scores = []
    for responses in ([p.response_0 for p in pairs], [p.response_1 for p in pairs]):
        found = np.asarray(reward(turns, responses), dtype=np.float64)
        if found.shape != (len(pairs),):
            raise InputError(f"the reward model returned shape {found.shape} for {len(pairs)} responses; expected one number each")
        scores.append(found)
    return score_preferences(*scores)


def likelihood_preferences(model: Model, pairs: Sequence[PreferencePair]) -> tuple[FloatArray, tuple[str, ...]]:
    """Return (n,) float64 preferences of a policy, and the distinct reasons why it could not score some pairs (their preference is NaN).

    Raises
    ------
    InputError
        For a model that cannot score continuations.
    """
    if "score" not in model.capabilities:
        raise InputError(f"{model.uri} cannot score given texts; a policy as an annotator needs that (a judge does not)")
    blank = "" if "chat" in model.capabilities else " "
    errors: list[str] = []
    scores = np.full((len(pairs), 2), np.nan)
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        options = [[f"{blank}{r.strip()}" for r in (p.response_0, p.response_1)] for p in batch]
        for i, result in enumerate(model.score([policy_prompt(p.turns) for p in batch], options), start=start):
            if result.error is None:
                scores[i] = result.logprobs
            else:
                errors.append(result.error)
    return score_preferences(scores[:, 0], scores[:, 1]), tuple(dict.fromkeys(errors))


def policy_prompt(turns: Turns) -> Prompt:
    """The conversation as a policy goes on with it: chat turns, and a dialogue in text."""
    return Prompt(text=f"{dialogue(turns)}\n\nAssistant:", messages=tuple(Message(role, content) for role, content in turns))
