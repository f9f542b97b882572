"""The known world served through Inspect: by its mock provider, which knows nothing of trueline, and the same model asked directly."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from trueline.models.base import Generation, GenerationRequest, GenerationSettings, Model, OptionScores, Prompt, RequestResult
from trueline.models.loading import load_model
from trueline.models.server.calls import Reply
from trueline.models.server.model import read_options

#: Alternatives to a token that the mock provider shows.
TOP = 5


def inspect_runs(test: Any) -> Any:
    """A slow test that lets Inspect run: what it leaves open and its old arguments are not ours."""
    for ignored in ("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning"):
        test = pytest.mark.filterwarnings(ignored)(test)
    return pytest.mark.slow(test)


def run_inspect(task: Any, model: Any, folder: Path, **options: Any) -> Any:
    import inspect_ai

    import trueline.inspecting  # noqa: F401  what the entry point does

    (log,) = inspect_ai.eval(task, model=model, log_dir=str(folder), display="none", **options)
    gc.collect()  # streams that Inspect leaves open, while the test lets them be
    assert log.status == "success", log.error.message
    return log


class Asked:
    """A model that shows what a provider shows: texts, and with ``top`` log-probs with so many alternatives."""

    def __init__(self, model: str | Model, top: int = 0) -> None:
        self.inner = load_model(model) if isinstance(model, str) else model
        self.top, self.calls = top, 0
        self.uri = "inspect:mockllm/model"
        self.capabilities = frozenset({"greedy", "samples", "chat", "images", *(("logprobs", "topk", "score") if top else ())})

    def fingerprint(self) -> dict[str, object]:
        return {"inspect": "mockllm/model"}

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        return [self.one(request, settings) for request in requests]

    def one(self, request: GenerationRequest, settings: GenerationSettings) -> RequestResult:
        def seen(made: Generation) -> Generation:
            if not self.top:
                return Generation(made.text, finish_reason=made.finish_reason, n_prompt_tokens=made.n_prompt_tokens)
            return made

        shown = frozenset({"topk", "topk_texts"} if self.top else ())
        more = GenerationSettings(
            max_new_tokens=settings.max_new_tokens, law=settings.law, stop=settings.stop, greedy_columns=shown,
            top_k_alternatives=min(settings.top_k_alternatives, self.top) or 1,
        )  # fmt: skip
        (found,) = self.inner.generate([request], more)
        self.calls += 1
        return RequestResult(None if found.greedy is None else seen(found.greedy), tuple(map(seen, found.samples)), found.error)

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        settings = GenerationSettings(max_new_tokens=1, top_k_alternatives=self.top)
        made = [self.one(GenerationRequest(prompt), settings).greedy for prompt in prompts]
        return [read_options(Reply((m,)), o) for m, o in zip(made, options, strict=True) if m is not None]


def mock(model: str | Model, top: int = 0) -> Any:
    """Inspect's own mock provider, which answers as that model would."""
    from inspect_ai.model import get_model

    return get_model("mockllm/model", custom_outputs=_answering(Asked(model, top)), memoize=False)


def _answering(model: Asked) -> Callable[..., Any]:
    from inspect_logs import output, token

    from trueline.interop.inspect_asked import PROBE
    from trueline.interop.inspect_messages import SEED, prompt_of
    from trueline.models.base import SamplingLaw

    def answer(messages: Any, tools: Any, tool_choice: Any, config: Any) -> Any:
        if config.top_logprobs and config.top_logprobs > model.top:
            raise ValueError(f"top_logprobs must be at most {model.top}")
        if messages[0].text == PROBE and not model.top:
            return output("yes")
        seeds = () if config.temperature == 0 else ((messages[-1].metadata or {})[SEED],)
        settings = GenerationSettings(
            max_new_tokens=config.max_tokens, law=SamplingLaw(config.temperature or 1.0), stop=tuple(config.stop_seqs or ()),
            top_k_alternatives=config.top_logprobs or 1,
        )  # fmt: skip
        found = model.one(GenerationRequest(prompt_of(messages), greedy=not seeds, sample_seeds=seeds), settings)
        (made,) = (*found.samples, *([found.greedy] if found.greedy else []))
        logprobs = None
        if config.logprobs and made.token_logprobs is not None:
            from inspect_ai.model import Logprobs

            tops = made.topk_texts or [[]] * len(made.token_logprobs)
            values = made.topk_logprobs if made.topk_logprobs is not None else [[]] * len(made.token_logprobs)
            texts = made.token_texts or [""] * len(made.token_logprobs)
            rows = zip(texts, made.token_logprobs, tops, values, strict=True)
            logprobs = Logprobs(content=[_with(token(t, float(v)), zip(o, p, strict=True)) for t, v, o, p in rows])
        stop = "max_tokens" if made.finish_reason == "length" else "stop"
        return output(made.text, logprobs=logprobs, stop=stop)

    return answer


def _with(entry: Any, others: Any) -> Any:
    from inspect_ai.model import TopLogprob

    entry.top_logprobs = [TopLogprob(token=t, logprob=float(v)) for t, v in others]
    return entry
