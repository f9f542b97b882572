"""A model that writes fixed programs: right for sums, half right for additions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult


class CodeModel:
    """Answers by what the prompt asks for; its samples are two other programs."""

    uri = "test:code"
    capabilities = frozenset({"greedy", "samples"})

    def fingerprint(self) -> Mapping[str, object]:
        return {"kind": "code"}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: GenerationRequest) -> RequestResult:
        program = "return sum(xs)" if "total" in (request.prompt.text or "") else "def add(a, b):\n    return b"
        samples = tuple(Generation(program if seed % 2 else "x = 1", finish_reason="eos") for seed in request.sample_seeds)
        if "total" not in (request.prompt.text or ""):
            program = "def add(a, b):\n    return 0 if a else b"
        return RequestResult(Generation(program, finish_reason="eos"), samples)

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        raise NotImplementedError
