"""What a network can take: how long a prompt may be, which tokens it knows, and which prompts can be run together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trueline.errors import ModelError, PromptTooLong


@dataclass(frozen=True)
class Limits:
    """Of one network.

    context: most tokens of prompt and answer together, or of each where the answer has a decoder of its own (``apart``); None: no limit.
    paddable: prompts of different length can be run together.
    """

    vocabulary: int
    context: int | None
    paddable: bool
    apart: bool = False

    def unusable(self, ids: Sequence[int], n_new: int, given: Sequence[Sequence[int]] = ()) -> ModelError | None:
        """Why the prompt cannot be run with ``n_new`` tokens after it, such as the ``given`` continuations, if it cannot."""
        n_prompt = len(ids)
        largest = max(max(row) for row in (ids, *given))
        if largest >= self.vocabulary:
            return ModelError(
                f"the tokenizer gives token {largest}, but the model knows {self.vocabulary} tokens: they do not belong together"
            )
        if self.context is None or (max(n_prompt, n_new) if self.apart else n_prompt + n_new) <= self.context:
            return None
        if self.apart and n_prompt <= self.context:
            return PromptTooLong(f"an answer of {n_new} tokens passes the decoder's context of {self.context}; ask for fewer")
        together = "" if self.apart else f"; with {n_new} new tokens it passes the model's context of {self.context}"
        passes = f", more than the encoder's context of {self.context}" if self.apart else together
        return PromptTooLong(f"the prompt has {n_prompt} tokens{passes}; shorten it")

    def chunks(self, lengths: Mapping[int, int], sizes: Mapping[int, int], requests: Sequence[int], batch_size: int) -> Iterator[list[int]]:
        """Those of ``requests`` to run together: alike in length, at most ``batch_size`` rows (or one request)."""
        chunk: list[int] = []
        n_rows = 0
        for i in sorted(requests, key=lambda i: lengths[i]):  # stable: equal lengths keep their order
            longest = lengths[chunk[0]] * 1.25 + 8 if self.paddable and chunk else lengths[chunk[0]] if chunk else 0
            if chunk and (n_rows + sizes[i] > batch_size or lengths[i] > longest):
                yield chunk
                chunk, n_rows = [], 0
            chunk.append(i)
            n_rows += sizes[i]
        if chunk:
            yield chunk
