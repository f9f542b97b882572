"""Decoding by the library's own ``generate``, for networks whose state cannot be repeated or selected: every row runs from its prompt.

A hook on the logits chooses the tokens, by the same rule and the same seeds as everywhere else; ``generate`` only keeps the state.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueline.models.base import GenerationSettings
from trueline.models.steps import Row, Steps, StopRule

if TYPE_CHECKING:
    from trueline.models.forward import CausalForward, Forward


class _Hook:
    """Takes the raw logits of each step and leaves one token a row; finished rows are fed token 0 until all are done."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._t = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        active = self._steps.active
        chosen, _ = self._steps.take(self._t, scores, active)
        self._t += 1
        tokens = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        tokens[active] = chosen
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


class _Done:
    """Ends ``generate`` when no row goes on."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        return torch.full((len(input_ids),), not len(self._steps.active), dtype=torch.bool, device=input_ids.device)


def generate_batch(forward: Forward, prompts: Sequence[Sequence[int]], steps: Steps, max_new_tokens: int) -> None:
    """Take all ``steps``, one prompt a row; the prompts are equally long."""
    from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

    ids = torch.tensor([list(prompt) for prompt in prompts], dtype=torch.long, device=forward.device)
    # greedy, for the hook leaves one token; no end-of-sequence token, for the steps know when a row ends
    config = GenerationConfig(max_new_tokens=max_new_tokens, do_sample=False, use_cache=True)
    with _bare(forward.model, GenerationConfig()):
        forward.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=config,
            logits_processor=LogitsProcessorList([_Hook(steps)]),
            stopping_criteria=StoppingCriteriaList([_Done(steps)]),
        )


def rows_at_once(forward: CausalForward) -> int:
    """How many rows ``generate`` keeps apart, by trying: any number, 1, or 0 when its state gives other numbers than whole sequences.

    Some networks of the library mix up the states of a batch; what it says is only taken where it is right.
    """
    if not callable(getattr(forward.model, "generate", None)):
        return 0
    prompts, answers = [[1, 2, 3], [3, 1, 0]], [(2, 0, 1), (1, 3, 2)]
    most = 1e-3 if forward.model.dtype in (torch.float32, torch.float64) else 0.25
    with torch.inference_mode():
        ids = torch.tensor([[*p, *a] for p, a in zip(prompts, answers, strict=True)], device=forward.device)
        law = torch.log_softmax(forward.full_logits(ids[:, :-1], last=3).float(), dim=-1)
        expected = law.gather(-1, ids[:, 3:, None]).squeeze(-1).double().cpu().numpy()
        for n in (2, 1):
            found = [row for k in range(0, 2, n) for row in _forced_logprobs(forward, prompts[k : k + n], answers[k : k + n])]
            if len(found) == 2 and np.abs(np.stack(found) - expected).max() <= most:
                return sys.maxsize if n == 2 else 1
    return 0


def _forced_logprobs(
    forward: CausalForward, prompts: Sequence[Sequence[int]], answers: Sequence[tuple[int, ...]]
) -> list[NDArray[np.float64]]:
    """Log-probs of given answers as ``generate`` sees them; none where a method of that name takes other arguments."""
    n = len(answers[0])
    rows = [Row(0, None, answer) for answer in answers]
    steps = Steps(rows, GenerationSettings(max_new_tokens=n), StopRule(()), vocabulary=forward.vocabulary, device=forward.device)
    try:
        generate_batch(forward, prompts, steps, n)
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        return []
    return [row.logprobs for row in steps.rows()]


@contextmanager
def _bare(model: Any, config: Any) -> Iterator[None]:
    """The model without the sampling defaults of its checkpoint, which ``generate`` would mix in; they are put back."""
    own = model.generation_config
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = own
