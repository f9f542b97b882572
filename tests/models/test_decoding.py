"""Decoding: the batch is an optimisation that no number shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from trueline.models import TOKEN_STATS, Generation, GenerationRequest, GenerationSettings, Prompt, RequestResult, SamplingLaw
from trueline.models.forward import CausalForward, UncachedStream
from trueline.models.local import LocalModel

FAMILIES = ("llama", "gpt2", "mistral", "mamba", "lfm2")  # others: test_families.py
TEXTS = (
    "The capital",
    "Where was the painter born? The painter was",
    "x",
    "東京は",
    "She said that nobody knew the answer, and then she",
    "The flag of",
)
MakeModel = Callable[..., LocalModel]


def requests(n_samples: int = 3, texts: tuple[str, ...] = TEXTS) -> list[GenerationRequest]:
    return [GenerationRequest(Prompt(text=text), sample_seeds=tuple(range(100 * i, 100 * i + n_samples))) for i, text in enumerate(texts)]


def answers(result: RequestResult) -> list[Generation]:
    assert result.error is None
    assert result.greedy is not None
    return [result.greedy, *result.samples]


def assert_same(a: RequestResult, b: RequestResult, tolerance: float = 1e-5) -> None:
    for one, other in zip(answers(a), answers(b), strict=True):
        assert (one.text, one.tokens, one.finish_reason) == (other.text, other.tokens, other.finish_reason)
        np.testing.assert_allclose(one.token_logprobs, other.token_logprobs, atol=tolerance, rtol=0)
        assert one.stats.keys() == other.stats.keys()
        for name in one.stats:
            np.testing.assert_allclose(one.stats[name], other.stats[name], atol=10 * tolerance, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_of_any_size_and_order_give_what_each_prompt_gives_alone(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    tolerance = 1e-4 if family == "mamba" else 1e-5  # its scan sums in another order
    columns = frozenset({"token_entropy", "token_mean_logp"})
    asked = requests(2)

    def settings(batch_size: int) -> GenerationSettings:
        return GenerationSettings(max_new_tokens=9, greedy_columns=columns, batch_size=batch_size)

    together = model.generate(asked, settings(64))
    for a, b in zip(together, reversed(model.generate(asked[::-1], settings(7))), strict=True):
        assert_same(a, b, tolerance)
    for request, a in zip(asked, together, strict=True):  # a batch of one row: the prompt's cache is forked for each
        assert_same(a, model.generate([request], settings(1))[0], tolerance)


@pytest.mark.parametrize("family", FAMILIES)
def test_captured_logprobs_equal_teacher_forcing(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    for request, result in zip(requests(), model.generate(requests(), GenerationSettings(max_new_tokens=14)), strict=True):
        rows = answers(result)
        forced = model.score_tokens([request.prompt] * len(rows), [row.tokens or [] for row in rows])
        for row, logprobs in zip(rows, forced, strict=True):
            np.testing.assert_allclose(row.token_logprobs, logprobs, atol=1e-4, rtol=0)


def plain_greedy(model: LocalModel, text: str, n: int) -> tuple[list[int], list[np.ndarray]]:
    """Greedy decoding with whole, unpadded forward passes: nothing shared with the code under test."""
    ids = model.tokenizer(text)["input_ids"]
    tokens: list[int] = []
    laws = []
    with torch.no_grad():
        for _ in range(n):
            law = torch.log_softmax(model.model(torch.tensor([ids + tokens])).logits[0, -1].float(), -1)
            laws.append(law.double().numpy())
            tokens.append(int(law.argmax()))
            if tokens[-1] in model.eos_ids:
                break
    return tokens, laws


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_rows_and_their_statistics_equal_plain_forward_passes(make_model: MakeModel, family: str) -> None:
    model = make_model(family)
    settings = GenerationSettings(max_new_tokens=14, greedy_columns=frozenset({*TOKEN_STATS, "topk"}), top_k_alternatives=5)
    for text, result in zip(TEXTS, model.generate(requests(), settings), strict=True):
        tokens, laws = plain_greedy(model, text, 14)
        greedy = answers(result)[0]
        assert greedy.tokens == tokens
        assert greedy.token_logprobs is not None
        assert greedy.topk_ids is not None
        assert greedy.topk_logprobs is not None
        np.testing.assert_allclose(greedy.token_logprobs, [law.max() for law in laws], atol=1e-4)
        np.testing.assert_allclose(greedy.stats["token_entropy"], [-(np.exp(law) * law).sum() for law in laws], atol=1e-3)
        np.testing.assert_allclose(greedy.stats["token_mean_logp"], [law.mean() for law in laws], atol=1e-3)
        assert greedy.topk_ids.dtype == np.int32
        assert greedy.topk_ids[:, 0].tolist() == tokens
        np.testing.assert_allclose(greedy.topk_logprobs, [np.sort(law)[::-1][:5] for law in laws], atol=1e-4)
        assert set(greedy.stats) == set(TOKEN_STATS)
        assert answers(result)[1].stats == {}
        assert answers(result)[1].topk_ids is None


def test_samples_can_carry_statistics_too(make_model: MakeModel) -> None:
    settings = GenerationSettings(max_new_tokens=6, sample_columns=frozenset({"token_entropy", "topk"}), top_k_alternatives=4)
    result = make_model("llama").generate(requests(2), settings)[0]
    assert answers(result)[0].stats == {}
    for sample in result.samples:
        assert sample.topk_logprobs is not None
        assert sample.topk_logprobs.shape == (len(sample.tokens or []), 4)
        assert sample.stats["token_entropy"].shape == (len(sample.tokens or []),)
        assert (sample.stats["token_entropy"] > 0).all()


def test_draws_belong_to_their_seeds(make_model: MakeModel) -> None:
    model = make_model("gpt2")
    prompt = Prompt(text="The capital of")
    settings = GenerationSettings(max_new_tokens=10)
    [all_of_them] = model.generate([GenerationRequest(prompt, greedy=False, sample_seeds=(7, 8, 9, 7))], settings)
    texts = [sample.text for sample in all_of_them.samples]
    assert all_of_them.greedy is None
    assert texts[0] == texts[3]
    assert len(set(texts)) == 3
    [alone] = model.generate([GenerationRequest(prompt, sample_seeds=(9,))], settings)
    assert alone.samples[0].text == texts[2]
    [nothing] = model.generate([GenerationRequest(prompt, greedy=False)], settings)
    assert (nothing.greedy, nothing.samples, nothing.error) == (None, (), None)


def test_rows_of_equal_tokens_share_their_numbers(make_model: MakeModel) -> None:
    model = make_model("gpt2")
    seeds = tuple(range(40))
    settings = GenerationSettings(max_new_tokens=5, law=SamplingLaw(temperature=0.3))
    [result] = model.generate([GenerationRequest(Prompt(text="x"), sample_seeds=seeds)], settings)
    by_tokens: dict[tuple[int, ...], set[tuple[float, ...]]] = {}
    for row in answers(result):
        by_tokens.setdefault(tuple(row.tokens or ()), set()).add(tuple(row.token_logprobs if row.token_logprobs is not None else ()))
    assert len(by_tokens) < len(seeds)
    assert all(len(values) == 1 for values in by_tokens.values())


@pytest.mark.parametrize("law", [SamplingLaw(top_k=6), SamplingLaw(temperature=0.5, top_k=6), SamplingLaw(temperature=0.6, top_p=0.5)])
def test_first_tokens_follow_the_law_asked_for(make_model: MakeModel, law: SamplingLaw) -> None:
    model = make_model("gpt2")
    prompt = Prompt(text="The answer is")
    n = 3000
    settings = GenerationSettings(max_new_tokens=1, law=law, batch_size=n)
    [result] = model.generate([GenerationRequest(prompt, sample_seeds=tuple(range(n)))], settings)
    logp = np.array([row[0] for row in model.score_tokens([prompt] * len(model.tokenizer), [[v] for v in range(len(model.tokenizer))])])
    tempered = np.exp(logp / law.temperature)
    order = np.argsort(-tempered, kind="stable")
    kept = order[: law.top_k] if law.top_k else order[: int(np.searchsorted(tempered[order].cumsum() / tempered.sum(), law.top_p)) + 1]
    drawn = np.array([(sample.tokens or [-1])[0] for sample in result.samples])
    assert set(drawn) <= set(kept)
    expected = tempered[kept] / tempered[kept].sum() * n
    observed = np.array([(drawn == v).sum() for v in kept])
    frequent = expected >= 5
    pooled = np.append(observed[frequent], observed[~frequent].sum()), np.append(expected[frequent], expected[~frequent].sum())
    used = pooled[1] > 0
    assert stats.chisquare(pooled[0][used], pooled[1][used]).pvalue > 1e-3
    for sample in result.samples[:50]:  # whatever the law, log-probs are the model's own
        assert sample.token_logprobs is not None
        assert sample.token_logprobs[0] == pytest.approx(logp[(sample.tokens or [-1])[0]], abs=1e-5)


class Plain(torch.nn.Module):
    """A model without any cache, as code from elsewhere may be."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.config, self.dtype, self.device = network, network.config, network.dtype, network.device

    def forward(self, input_ids: torch.Tensor, **ignored: Any) -> Any:
        return self.network(input_ids=input_ids, use_cache=False)


def test_a_model_without_a_usable_cache_gives_the_same_numbers(make_model: MakeModel) -> None:
    cached = make_model("llama")
    plain = LocalModel(Plain(cached.model), cached.tokenizer, uri="hf:plain")
    settings = GenerationSettings(max_new_tokens=8, batch_size=8)
    for a, b in zip(cached.generate(requests(), settings), plain.generate(requests(), settings), strict=True):
        assert_same(a, b)
    options = [[" a", " The capital of"], ["x"]] * 3
    prompts = [request.prompt for request in requests()]
    for one, other in zip(cached.score(prompts, options), plain.score(prompts, options), strict=True):
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_forks_leave_the_stream_they_come_from_alone(make_model: MakeModel, family: str) -> None:
    forward = CausalForward(make_model(family).model)
    assert forward.cacheable
    with torch.inference_mode():
        _, stream = forward.prefill([[5, 6, 7, 8], [9, 10, 11, 12]])
        rows = torch.tensor([1, 0, 1])
        first = stream.fork(rows)
        first.step(torch.tensor([[3], [4], [5]]))
        second = stream.fork(rows)
        logits = second.step(torch.tensor([[20], [21], [22]]))
        whole = UncachedStream(forward, torch.tensor([[9, 10, 11, 12], [5, 6, 7, 8], [9, 10, 11, 12]])).step(
            torch.tensor([[20], [21], [22]])
        )
    torch.testing.assert_close(logits, whole, atol=1e-3, rtol=1e-4)
