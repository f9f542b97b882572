"""Teacher forcing: log-probs of given continuations, with one prefill a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trueline.models.forward import Forward, Stream

#: Logits held at once while scoring, in numbers: about 256 MB in float32.
_MOST_LOGITS = 1 << 26


def continuation_logprobs(
    forward: Forward, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
) -> list[list[NDArray[np.float64]]]:
    """Log-prob of every token of each prompt's continuations under the model's own law.

    ``prompts``: token ids, a batch that ``forward.prefill`` takes (equal lengths where the model is not ``paddable``).
    ``continuations[p]``: token lists that follow prompt ``p``, each of at least one token.
    Returns (n_tokens,) float64 arrays in their shape.
    """
    with torch.inference_mode():
        scored = [[np.empty(len(tokens)) for tokens in options] for options in continuations]
        if not (forward.paddable or forward.apart):
            return _score_whole_rows(forward, prompts, continuations, scored)
        logits, stream = forward.prefill(prompts)
        law = torch.log_softmax(logits.float(), dim=-1)
        pairs = [(p, o) for p, options in enumerate(continuations) for o in range(len(options))]
        firsts = law[[p for p, _ in pairs], [continuations[p][o][0] for p, o in pairs]].double().tolist()
        for (p, o), first in zip(pairs, firsts, strict=True):
            scored[p][o][0] = first
        longer = sorted(
            (pair for pair in pairs if len(continuations[pair[0]][pair[1]]) > 1), key=lambda pair: len(continuations[pair[0]][pair[1]])
        )
        for batch in _batches([len(continuations[p][o]) for p, o in longer], logits.shape[-1]):
            _score_rest(stream, [longer[i] for i in batch], continuations, scored, forward.device)
        return scored


def next_token_logprobs(
    forward: Forward, prompts: Sequence[Sequence[int]], candidates: Sequence[int], after: Sequence[Sequence[int]] = ()
) -> NDArray[np.float64]:
    """Log-probs (n_prompts, n_candidates) of next tokens under the model's own law, -inf for ids that the model does not know.

    ``prompts``: a batch that ``prefill`` takes. ``after``: what an encoder-decoder has answered so far; others have it in the prompt.
    """
    with torch.inference_mode():
        logits, stream = forward.prefill(prompts)
        if any(after):
            said = stream.step(_right_padded(after, forward.device))
            logits = torch.stack([said[k, len(row) - 1] if row else logits[k] for k, row in enumerate(after)])
        law = torch.log_softmax(logits.float(), dim=-1)
        ids = torch.tensor(list(candidates), device=law.device)
        values = law[:, ids.clamp(max=forward.vocabulary - 1)].double()
        found: NDArray[np.float64] = values.masked_fill(ids >= forward.vocabulary, -torch.inf).cpu().numpy()
        return found


def _batches(lengths: Sequence[int], vocabulary: int) -> list[range]:
    """Runs of ascending lengths whose padded logits stay within the memory limit."""
    batches, start = [], 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or (end + 1 - start) * lengths[end] * vocabulary > _MOST_LOGITS:
            batches.append(range(start, end))
            start = end
    return batches


def _score_rest(
    stream: Stream,
    pairs: Sequence[tuple[int, int]],
    continuations: Sequence[Sequence[Sequence[int]]],
    scored: list[list[NDArray[np.float64]]],
    device: torch.device,
) -> None:
    """Fill in the log-probs after the first token: one pass over the continuations, padded on the right where causality hides it."""
    rows = [list(continuations[p][o]) for p, o in pairs]
    inputs = _right_padded([row[:-1] for row in rows], device)
    targets = _right_padded([row[1:] for row in rows], device)
    fork = stream.fork(torch.tensor([p for p, _ in pairs], device=device))
    values = _gather(fork.step(inputs), targets)
    for (p, o), row, line in zip(pairs, rows, values, strict=True):
        scored[p][o][1:] = line[: len(row) - 1]


def _score_whole_rows(
    forward: Forward,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[Sequence[int]]],
    scored: list[list[NDArray[np.float64]]],
) -> list[list[NDArray[np.float64]]]:
    """For models whose state cannot take several tokens at once: prompt and continuation in one plain pass."""
    pairs = [(p, o) for p, options in enumerate(continuations) for o in range(len(options))]
    pairs.sort(key=lambda pair: len(prompts[pair[0]]) + len(continuations[pair[0]][pair[1]]))
    lengths = [len(prompts[p]) + len(continuations[p][o]) for p, o in pairs]
    for batch in _batches(lengths, forward.vocabulary):
        rows = [(prompts[p], continuations[p][o]) for p, o in (pairs[i] for i in batch)]
        stream = forward.uncached([prompt for prompt, _ in rows], before=1)
        inputs = _right_padded([[prompt[-1], *row[:-1]] for prompt, row in rows], forward.device)
        values = _gather(stream.step(inputs), _right_padded([row for _, row in rows], forward.device))
        for i, line in zip(batch, values, strict=True):
            p, o = pairs[i]
            scored[p][o][:] = line[: len(continuations[p][o])]
    return scored


def _right_padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], dtype=torch.long, device=device)


def _gather(logits: Tensor, targets: Tensor) -> NDArray[np.float64]:
    logp = torch.log_softmax(logits.float(), dim=-1)
    values: NDArray[np.float64] = logp.gather(-1, targets[..., None]).squeeze(-1).double().cpu().numpy()
    return values
