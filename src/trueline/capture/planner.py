"""The plan of a capture: which estimators it serves, what it records and what it costs, known before any model runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trueline.capture.needs import BY_NAME, Needs, union
from trueline.errors import InputError
from trueline.models.base import TOKEN_STATS, ModelShape, SamplingLaw
from trueline.traces.insides import ATTENTION_COLUMNS, HIDDEN_COLUMNS, layer_at
from trueline.traces.schema import PERTURBATIONS

#: Columns that come with every generation of a model that can give log-probs.
_ALWAYS = frozenset({"text", "n_tokens", "tokens", "token_logprobs", "reasoning", "reasoning_span", "answer_start"})
#: Statistics that a list of alternatives is enough for.
_TOP_TWO = {"token_max_logp", "token_second_logp"}

#: Columns that cost one more pass over an answer's tokens, on the cache of its prompt.
_ANSWER_PASS = frozenset({"hidden_last", "hidden_mean", "attn_prev", "attn_diag_logsum"})

#: Alternatives that replace a token, at most, unless an estimator asks for more or fewer.
N_ALTERNATIVES = 4
#: Most likely tokens kept beyond the alternatives: the token itself, and padding and role tokens that are passed over.
_SPARE = 5

#: Most likely tokens kept of each step.
TOP_K = 15

_ASKED_FOR = "it costs further prompts or answers an item and is left out of 'all'; name it to capture it"
_UNFITTED = "it is trained and not fitted: named, it is captured for but not scored; give name(fit=RUN), a graded run with other items"


@dataclass(frozen=True)
class Plan:
    """What one run will do.

    estimators: names served. left_out: name -> why not. needs: their union. n_samples: sampled answers an item.
    judge, similarity: what judges and compares texts, or None when no estimator wants it. shape: layers, heads and width of a white box.
    budget: the limit that chose the estimators, if one did.
    reasoning: how it is told from the answer (see ``tasks.thinking.load_splitter``).
    decoding: what is unusual in how answers are decoded, such as that the rows of a prompt cannot share a cache.
    greedy: a greedy answer is taken of each item; False where the model gives none.
    """

    model: str
    task: str
    n_items: int
    estimators: tuple[str, ...]
    left_out: Mapping[str, str]
    needs: Needs
    n_samples: int
    law: SamplingLaw
    max_new_tokens: int
    judge: str | None
    similarity: str | None = None
    top_k_alternatives: int = TOP_K
    shape: ModelShape | None = None
    budget: str | None = None
    reasoning: str = "auto"
    decoding: str | None = None
    greedy: bool = True

    @property
    def greedy_columns(self) -> frozenset[str]:
        """Extra columns of the greedy rows; a perturbation reads its point and its alternatives off them."""
        found = _extra(self.needs.greedy, _ALWAYS | {"token_texts"})
        return found | {"token_entropy", "topk"} if self.perturbations else found

    @property
    def perturbations(self) -> tuple[str, ...]:
        """Points at which a token of the greedy answer is replaced, as kinds of rows."""
        return tuple(sorted(self.needs.probes & set(PERTURBATIONS)))

    @property
    def n_alternatives(self) -> int:
        """Tokens that replace one in a perturbation."""
        return self.needs.alternatives or N_ALTERNATIVES

    @property
    def sample_columns(self) -> frozenset[str]:
        """Extra columns of the sampled rows."""
        return _extra(self.needs.sample_columns)

    @property
    def hidden_depths(self) -> tuple[float, ...]:
        """Relative depths of the layers whose hidden states are kept, ascending."""
        return tuple(sorted(self.needs.depths)) if self._places else ()

    @property
    def _places(self) -> int:
        """Hidden states that are kept of one item, per layer."""
        hidden = frozenset(HIDDEN_COLUMNS)
        return len(hidden & self.greedy_columns) + self.n_samples * len(hidden & self.sample_columns)

    @property
    def bytes_at_most(self) -> dict[str, int]:
        """Storage of hidden states and attention maps before compression, by kind; empty when none is kept or the shape is unknown."""
        if self.shape is None:
            return {}
        layers = len({layer_at(depth, self.shape.n_layers) for depth in self.hidden_depths})
        maps = len(self.greedy_columns & {"attn_prev", "csl_attention"}) * self.shape.n_layers * self.shape.n_heads * self.max_new_tokens
        found = {"hidden_states": self.n_items * self._places * layers * self.shape.width * 4, "attention": self.n_items * maps * 4}
        return {name: size for name, size in found.items() if size}

    @property
    def calls(self) -> dict[str, int]:
        """Model calls by kind; ``judged_pairs`` is the most there can be (equal texts are judged once)."""
        n, m = self.n_items, self.n_samples
        calls = {"prompts": n, "greedy_decodes": n * self.greedy, "sampled_decodes": n * m}
        for probe in sorted(self.needs.probes - set(PERTURBATIONS)):
            if probe == "selfcheck_prompt":
                calls["probe_selfcheck_prompt_a_sentence"] = n * m
            else:
                calls[f"probe_{probe}"] = n
        if self.perturbations:  # points that coincide share their continuations
            calls["perturbed_decodes_at_most"] = n * self.n_alternatives * len(self.perturbations)
        answers = n * bool(self.greedy_columns & _ANSWER_PASS) + n * m * bool(self.sample_columns & _ANSWER_PASS)
        forwards = {
            "forwards_prior": n * ("prior_logprobs" in self.greedy_columns),
            "forwards_states_and_maps": answers,
            "forwards_csl": n * ("csl_attention" in self.greedy_columns),
        }
        calls |= {name: count for name, count in forwards.items() if count}
        pairs = m * (m - 1) * ("samples" in self.needs.equivalence) + 2 * m * ("greedy_samples" in self.needs.equivalence)
        if self.judge and self.judge.startswith(("nli", "llm")):
            calls["judged_pairs_at_most"] = n * pairs
            if "sentences" in self.needs.equivalence:
                calls["judged_pairs_a_sentence"] = n * m
            if "alternatives" in self.needs.equivalence:
                calls["judged_swaps_a_token"] = n * 2 * (self.top_k_alternatives - 1)
        if self.similarity and self.similarity != "char3":
            calls |= self._compared
        return {name: count for name, count in calls.items() if count or name != "greedy_decodes"}

    @property
    def _compared(self) -> dict[str, int]:
        """Pairs that the similarity compares at most; equal ones are compared once."""
        n, m, wanted = self.n_items, self.n_samples, self.needs.similarity
        found = {
            "compared_pairs_at_most": n * (m * (m - 1) // 2 * ("samples" in wanted) + m * ("greedy_samples" in wanted)),
            "compared_pairs_a_sentence": n * m * ("sentences" in wanted),
            "compared_pairs_a_token": n * (("greedy_tokens" in wanted) + m * ("sample_tokens" in wanted)),
        }
        return {name: count for name, count in found.items() if count}

    def captured(self) -> dict[str, Any]:
        """What the trace will hold, as JSON: part of a run's identity."""
        return {
            "greedy_columns": sorted(self.greedy_columns),
            "sample_columns": sorted(self.sample_columns),
            "probes": sorted(self.needs.probes),
            "samples": self.n_samples,
            "top_k_alternatives": self.top_k_alternatives if "topk" in self.greedy_columns | self.sample_columns else 0,
            "hidden_depths": list(self.hidden_depths),
            **({} if self.greedy else {"greedy": False}),
            # runs made before there was a choice go on
            **({"n_alternatives": n} if self.perturbations and (n := self.n_alternatives) != N_ALTERNATIVES else {}),
        }

    def to_json(self) -> dict[str, Any]:
        """The whole plan as JSON."""
        return {
            "model": self.model,
            "task": self.task,
            "items": self.n_items,
            "estimators": list(self.estimators),
            "left_out": dict(self.left_out),
            "captured": self.captured(),
            "law": asdict(self.law),
            "max_new_tokens": self.max_new_tokens,
            "judge": self.judge,
            "budget": self.budget,
            "similarity": self.similarity,
            "reasoning": self.reasoning,
            "calls": self.calls,
            **({"decoding": self.decoding} if self.decoding else {}),
            "bytes_at_most": self.bytes_at_most,
        }

    def __str__(self) -> str:
        calls = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.calls.items())
        law = f"temperature {self.law.temperature:g}, top-p {self.law.top_p:g}, top-k {self.law.top_k or 'off'}"
        columns = sorted(self.greedy_columns | self.sample_columns) or ["log-probs only"]
        lines = [
            f"Plan: {self.model} on {self.task}, {self.n_items:,} items",
            *([f"  budget     {self.budget}"] if self.budget else []),
            f"  calls      {calls}",
            f"  sampling   {self.n_samples} samples an item, {law}, at most {self.max_new_tokens} new tokens",
            *([f"  decoding   {self.decoding}"] if self.decoding else []),
            f"  captured   {', '.join(columns)}",
            *([f"  storage    {sizes}"] if (sizes := _sizes(self.bytes_at_most)) else []),
            f"  judge      {self.judge or 'none needed'}",
            *([f"  similarity {self.similarity}"] if self.similarity else []),
            f"  estimators {', '.join(self.estimators) or 'none'}",
        ]
        lines += [f"  left out   {name}: {reason}" for name, reason in self.left_out.items()]
        return "\n".join(lines)


def make_plan(
    *,
    model: str,
    capabilities: frozenset[str],
    task: str,
    n_items: int,
    needs: Mapping[str, Needs],
    n_samples: int,
    law: SamplingLaw,
    max_new_tokens: int,
    judge: str | None,
    strict: bool,
    similarity: str | None = None,
    shape: ModelShape | None = None,
    reasoning: str = "auto",
    decoding: str | None = None,
) -> Plan:
    """Choose the estimators that model, law and number of samples can serve, and the least capture for them.

    needs: estimator name -> its needs. strict: the estimators were named one by one, so one that cannot be served is an ``InputError``
    instead of being left out.
    """
    if n_samples < 0:
        raise InputError(f"samples must be 0 or more, got {n_samples}")
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    left_out = {name: reason for name, need in needs.items() if (reason := refusal(need, capabilities, n_samples, law))}
    if strict and left_out:
        name, reason = next(iter(left_out.items()))
        raise InputError(f"estimator {name!r} cannot be served: {reason}")
    unfitted = {name: _UNFITTED for name, need in needs.items() if need.unfitted and name not in left_out}
    if not strict:  # a capture for the sake of a fit, or for a perturbation, is taken only where it was asked for by name
        left_out |= unfitted
        left_out |= {name: _ASKED_FOR for name, need in needs.items() if need.probes & BY_NAME and name not in left_out}
    served = {name: need for name, need in needs.items() if name not in left_out}
    total, greedy = union(served.values()), _gives_greedy(capabilities, n_samples)
    left_out |= unfitted
    return Plan(
        model=model,
        task=task,
        n_items=n_items,
        estimators=tuple(name for name in served if name not in unfitted),
        left_out=left_out,
        needs=total,
        n_samples=n_samples if total.samples or not greedy else 0,
        greedy=greedy,
        law=law,
        max_new_tokens=max_new_tokens,
        judge=judge if total.equivalence else None,
        similarity=similarity if total.similarity else None,
        shape=shape,
        reasoning=reasoning,
        decoding=decoding,
        top_k_alternatives=max(TOP_K, total.alternatives + _SPARE),
    )


def refusal(need: Needs, capabilities: frozenset[str], n_samples: int, law: SamplingLaw) -> str | None:
    """Why an estimator with these needs cannot be served, or None when it can."""
    if need.lacking:
        return need.lacking
    if need.samples > n_samples:
        return f"it needs at least {need.samples} samples an item, the run takes {n_samples}"
    columns = need.greedy | need.sample_columns
    if need.about_greedy and "greedy" not in capabilities:
        return "the model gives no greedy answer (its server refuses temperature 0)"
    if "token_logprobs" in columns and "logprobs" not in capabilities:
        return "the model gives no log-probs"
    if columns & (set(TOKEN_STATS) - _TOP_TWO) and "token_stats" not in capabilities:
        return "it needs the whole next-token law, which this model does not show"
    if _wants_alternatives(columns, capabilities) and "topk" not in capabilities:
        return "the model gives no alternatives to its tokens"
    if "prior_logprobs" in columns and "prior" not in capabilities:
        return "the model cannot score an answer without its prompt (it has no token that starts a text)"
    if columns & set(HIDDEN_COLUMNS) and "hidden" not in capabilities:
        return "the model shows no hidden states"
    if columns & set(ATTENTION_COLUMNS) and "attention" not in capabilities:
        return "the model shows no attention maps (only eager attention gives them, and not every architecture has it)"
    if need.probes & set(PERTURBATIONS) and not {"prefix_continuation", "token_stats", "topk"} <= capabilities:
        return "the model cannot go on from a given beginning of its answer, or does not show its next-token law"
    if "p_true" in need.probes and "score" not in capabilities:
        return "the model cannot score given continuations"
    if need.model_law and n_samples and not law.is_model_law:
        return (
            f"it assumes samples from the model's own law; temperature {law.temperature:g}, top-p {law.top_p:g}, "
            f"top-k {law.top_k} is another one"
        )
    return None


def _gives_greedy(capabilities: frozenset[str], n_samples: int) -> bool:
    if "greedy" not in capabilities and not n_samples:
        raise InputError("the model gives no greedy answer (its server refuses temperature 0): take samples")
    return "greedy" in capabilities


def _wants_alternatives(columns: frozenset[str], capabilities: frozenset[str]) -> bool:
    return any(c.startswith("topk") for c in columns) or ("token_stats" not in capabilities and bool(columns & _TOP_TWO))


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"at most {size / 1e6:,.1f} MB of {name.replace('_', ' ')}" for name, size in sizes.items())


def _extra(columns: frozenset[str], given: frozenset[str] = _ALWAYS) -> frozenset[str]:
    found = frozenset("topk" if c in ("topk_ids", "topk_logprobs") else c for c in columns - given)
    return found | {"topk"} if "topk_texts" in found else found
