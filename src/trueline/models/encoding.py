"""Text to tokens and back: prompts with their special tokens, answers, per-token pieces, stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import ModelError, PromptTooLong
from trueline.models.base import Message, Prompt

#: Characters a token of the context that are read before a text is refused; texts of longer tokens are read whole.
_HEAD_CHARACTERS = 16


class TextCodec:
    """What one tokenizer does for a model.

    ``chat``: prompts with messages go through the chat template. ``context``: the model's limit in tokens, so that a huge text is refused
    from its beginning alone. ``apart``: prompt and answer are texts of their own, as for an encoder-decoder: a prompt keeps the special
    token that ends it, and an answer goes on after nothing.
    """

    def __init__(self, tokenizer: Any, *, chat: bool, context: int | None = None, apart: bool = False) -> None:
        self.tokenizer = tokenizer
        self.chat = chat
        self._context = context
        self._apart = apart
        self._prefix, self._suffix = self._special_tokens()
        self._pieces: dict[int, str] = {}
        self._continuations: dict[str, list[int]] = {}

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int] | ModelError]:
        """Token ids of each prompt, or the reason why it has none."""
        encoded: list[list[int] | ModelError] = []
        texts: list[str] = []
        prefixes: list[list[int]] = []
        for prompt in prompts:
            if prompt.images and type(self) is TextCodec:
                encoded.append(ModelError("the prompt holds images, and this model reads text alone"))
                continue
            try:
                text, prefix = self._render(prompt)
                self._refuse_huge(text)
            except ModelError as error:
                encoded.append(error)
                continue
            encoded.append([])
            texts.append(text)
            prefixes.append(prefix)
        ids = iter(self._tokenize(texts))
        prefix_of = iter(prefixes)
        for position, entry in enumerate(encoded):
            if isinstance(entry, list):
                encoded[position] = self._with_special(next(prefix_of), next(ids))
        return encoded

    def continuation(self, text: str) -> list[int]:
        """Token ids of ``text`` as it goes on after other text: no special tokens, no blank that the tokenizer puts at a start.

        Where answers are texts of their own, one begins there, and the blank before it is left out.
        """
        if text not in self._continuations and self._apart:
            self._continuations[text] = self._ids(text.removeprefix(" "))
        if text not in self._continuations:
            # after a line break, sentence-piece tokenizers add no blank of their own
            anchor, anchored = self._tokenize(["\n", "\n" + text])
            if isinstance(anchor, ModelError) or isinstance(anchored, ModelError):
                raise ModelError(f"the option {text!r} cannot be tokenised")
            if anchored[: len(anchor)] != anchor:
                anchor, anchored = [], self._ids(text)
            self._continuations[text] = anchored[len(anchor) :]
        return self._continuations[text]

    @property
    def nothing(self) -> list[int] | None:
        """The tokens that stand for an empty prompt: beginning of sequence, else end of sequence; None when there is neither."""
        if self._apart and (around := [*self._prefix, *self._suffix]):
            return around
        bos: int | None = self.tokenizer.bos_token_id
        eos: int | None = self.tokenizer.eos_token_id
        return next(([token] for token in (bos, eos) if token is not None), None)

    def follow_up(self, prompt: Prompt, text: str) -> list[int]:
        """Token ids that come between an answer to ``prompt`` and the model's reply to ``text``, said after it.

        A chat model gets the turn of its template, where the template leaves earlier turns as they were; any other reply is plain text.
        """
        if self.chat and prompt.messages:
            mark = "<<the answer stands here>>"
            before, _ = self._render(prompt)
            turns = (*prompt.messages, Message("assistant", mark), Message("user", text))
            said, found, after = self._render(replace(prompt, messages=turns))[0].partition(mark)
            if found and said == before:
                return self._ids(after)
        return self.continuation("\n" + text)

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Texts of token rows, special tokens left out."""
        if not rows:
            return []
        texts: list[str] = self.tokenizer.batch_decode(
            [list(row) for row in rows], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return texts

    def token_texts(self, tokens: Sequence[int], text: str) -> list[str]:
        """One piece of ``text`` per token, so that the pieces joined give ``text`` as far as the tokenizer allows.

        A character spread over several byte tokens belongs to the last of them; special tokens and whatever a stop string cut off are "".
        """
        for token in set(tokens) - self._pieces.keys():
            self._pieces[token] = self.decode([[token]])[0]
        pieces = [self._pieces[token] for token in tokens]
        if not "".join(pieces).startswith(text) or "\ufffd" in text:
            pieces = self._pieces_in_context(tokens)
        return _cut(pieces, len(text))

    def alternative_texts(self, tokens: Sequence[int], alternatives: Sequence[Sequence[int]]) -> list[list[str]]:
        """What each alternative of each token would add to the text in its place; special tokens add nothing."""
        starts = self.decode([tokens[:t] for t in range(len(tokens))])
        wholes = iter(self.decode([[*tokens[:t], k] for t, ids in enumerate(alternatives) for k in ids]))
        return [[next(wholes)[len(start) :] for _ in ids] for start, ids in zip(starts, alternatives, strict=True)]

    def stop_candidates(self, stops: Sequence[str], vocabulary: int) -> NDArray[np.bool_]:
        """(vocabulary,) bool: tokens that may complete a stop string. Only after these does a row need decoding."""
        if any(stop[-1] == " " for stop in stops):
            return np.ones(vocabulary, dtype=bool)  # decoders add and drop blanks by context: any token may bring one
        last = {stop[-1] for stop in stops}
        if not all(character.isascii() for character in last):
            last.add("\ufffd")  # part of a character that a later token completes
        known = min(vocabulary, len(self.tokenizer))
        pieces = self.decode([[token] for token in range(known)])
        candidates = np.ones(vocabulary, dtype=bool)
        candidates[:known] = [not last.isdisjoint(piece) for piece in pieces]
        return candidates

    def _render(self, prompt: Prompt) -> tuple[str, list[int]]:
        """The prompt's text and the special tokens to put before it."""
        if self.chat and prompt.messages:
            turns = [{"role": message.role, "content": message.content} for message in prompt.messages]
            return self._template(self.tokenizer, turns), []
        if prompt.text is None:
            why = "no text" if not prompt.messages else "only chat messages, and this model has no chat template"
            raise ModelError(f"the prompt has {why}; give Prompt(text=...)")
        return prompt.text, self._prefix

    @staticmethod
    def _template(owner: Any, turns: Sequence[dict[str, Any]]) -> str:
        """Chat turns as the template of a tokenizer or processor writes them."""
        import jinja2

        begun = turns[-1]["role"] == "assistant"  # the model goes on with its own turn
        try:
            rendered: str = owner.apply_chat_template(
                list(turns), add_generation_prompt=not begun, continue_final_message=begun, tokenize=False
            )
            return rendered
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            raise ModelError(f"the chat template refuses the messages: {error}") from error

    def _refuse_huge(self, text: str) -> None:
        """Raise when the beginning of ``text`` alone has twice the tokens of the context: the rest need not be read."""
        if self._context is None or len(text) <= _HEAD_CHARACTERS * self._context:
            return
        head = self._tokenize_one(text[: _HEAD_CHARACTERS * self._context])
        if not isinstance(head, ModelError) and len(head) > 2 * self._context:
            raise PromptTooLong(
                f"the prompt has {len(text)} characters, more than {2 * self._context} tokens, "
                f"and the model's context is {self._context} tokens; shorten it"
            )

    def _with_special(self, prefix: list[int], ids: list[int] | ModelError) -> list[int] | ModelError:
        if isinstance(ids, ModelError):
            return ids
        if whole := [*prefix, *ids, *self._suffix]:
            return whole
        if self.tokenizer.bos_token_id is None:
            return ModelError("the prompt is empty and the tokenizer has no beginning-of-sequence token to start from")
        return [self.tokenizer.bos_token_id]

    def _tokenize(self, texts: Sequence[str]) -> list[list[int] | ModelError]:
        if not texts:
            return []
        try:
            return list(self._call(list(texts)))
        except (TypeError, ValueError):  # one text that cannot be encoded (a lone surrogate, say) fails the whole batch
            return [self._tokenize_one(text) for text in texts]

    def _tokenize_one(self, text: str) -> list[int] | ModelError:
        try:
            return self._ids(text)
        except (TypeError, ValueError) as error:
            return ModelError(f"the tokenizer cannot encode the prompt: {error}")

    def _ids(self, text: str) -> list[int]:
        return self._call([text])[0]

    def _call(self, texts: list[str], *, special: bool = False) -> list[list[int]]:
        rows: list[list[int]] = self.tokenizer(
            texts, add_special_tokens=special, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )["input_ids"]
        return rows

    def _special_tokens(self) -> tuple[list[int], list[int]]:
        """The special tokens that the tokenizer puts before a text, and after one that is read apart from its answer.

        Where the answer goes on in the same sequence, an end-of-sequence token after the prompt would end it.
        """
        bare = self._ids("a")
        full = self._call(["a"], special=True)[0]
        for start in range(len(full) - len(bare) + 1):
            end = start + len(bare)
            if bare and full[start:end] == bare:
                return full[:start], full[end:] if self._apart else []
        bos = self.tokenizer.bos_token_id
        return [bos] if bos is not None and full[:1] == [bos] else [], []

    def _pieces_in_context(self, tokens: Sequence[int]) -> list[str]:
        """Differences of decoded prefixes, held back while a character is incomplete; a short window keeps it linear."""
        pieces: list[str] = []
        start = read = 0
        for end in range(1, len(tokens) + 1):
            before, now = self.decode([tokens[start:read], tokens[start:end]])
            if now.endswith("\ufffd") and end < len(tokens):
                pieces.append("")
                continue
            pieces.append(now[len(before) :])
            start, read = read, end
        return pieces


def _cut(pieces: list[str], length: int) -> list[str]:
    cut = []
    for piece in pieces:
        cut.append(piece[:length])
        length -= len(cut[-1])
    return cut
