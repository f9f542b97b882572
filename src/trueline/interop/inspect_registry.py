"""What tasks of trueline need to be registered with Inspect AI: the models ``trueline/URI``, the solver and the scorer of answers."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import anyio.to_thread
from inspect_ai.model import ModelAPI, modelapi
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, ScoreReducer, Target, metric, score_reducer, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from trueline.interop.inspect_messages import SEED
from trueline.interop.inspect_task import Graded, law_of, rate
from trueline.interop.logs import OWN


@modelapi(name="trueline")
def trueline_models() -> type[ModelAPI]:
    """Models of trueline by their URI: ``trueline/world:chat``, ``trueline/hf:DIRECTORY``."""
    from trueline.interop.inspect_model import TruelineAPI

    return TruelineAPI


@solver
def answers(temperature: float = 1.0, seed: int = 0) -> Solver:
    """One answer an epoch, drawn as `trueline measure` draws it; the law is noted in the sample's metadata."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        law = law_of(state.epoch, str(state.sample_id), temperature, seed)
        state.metadata[OWN] = {**state.metadata.get(OWN, {}), "law": law}
        if law["kind"] == "greedy":
            return await generate(state, temperature=0.0)
        state.messages[-1].metadata = {**(state.messages[-1].metadata or {}), SEED: law["seed"]}
        return await generate(state, temperature=temperature, seed=law["seed"] % 2**31)

    return solve


@metric
def interval() -> Metric:
    """Accuracy with its 95 % interval (Wilson; by clusters where items share one) and what is missing."""

    def compute(scores: list[SampleScore]) -> Any:
        return rate("accuracy", [_value(s.score) for s in scores], [_cluster(s) for s in scores])

    return compute


@metric
def refused() -> Metric:
    """Share of refused answers with its interval, where a grader tells refusals."""

    def compute(scores: list[SampleScore]) -> Any:
        flags = [float(bool((s.score.metadata or {}).get(OWN, {}).get("refused"))) for s in scores]
        return rate("refusal_rate", flags, [_cluster(s) for s in scores])

    return compute


@scorer(metrics=[interval(), refused()])
def graded(judge: Graded) -> Scorer:
    """The verdict of the task's own grader on the answer without its reasoning; what cannot be judged is unscored, with the reason."""

    async def score(state: TaskState, target: Target) -> Score:
        choice = state.output.choices[0] if state.output.choices else None
        if choice is None:
            return Score.unscored(explanation="the model gave no output")
        content = choice.message.content
        thoughts = [] if isinstance(content, str) else [part.reasoning for part in content if part.type == "reasoning"]
        finish = "length" if choice.stop_reason in ("max_tokens", "model_length") else None
        said = (str(state.sample_id), state.output.completion, "\n".join(thoughts) or None, finish)
        grade = await anyio.to_thread.run_sync(partial(judge, *said))  # it may run a program or ask a model
        known = {OWN: {"refused": grade.refused, "probability": grade.probability, "score": grade.score}}
        told: dict[str, Any] = {"answer": grade.answer, "explanation": grade.reason, "metadata": known}
        return Score.unscored(**told) if grade.correct is None else Score(value="C" if grade.correct else "I", **told)

    return score


@score_reducer(name="first_answer")
def first_answer() -> ScoreReducer:
    """The score of the first epoch, which is the greedy answer: samples say how certain it is, they are not averaged into it."""

    def reduce(scores: list[Score]) -> Score:
        return scores[0]

    return reduce


def _value(score: Score) -> float:
    return {"C": 1.0, "I": 0.0}.get(str(score.value), score.value if isinstance(score.value, float) else math.nan)


def _cluster(score: SampleScore) -> str | None:
    found = (score.sample_metadata or {}).get(OWN, {}).get("cluster")
    return None if found is None else str(found)
