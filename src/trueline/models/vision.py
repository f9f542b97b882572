"""Prompts with images to tokens and back: what one processor of a vision-language model does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from trueline.errors import InputError, ModelError
from trueline.models.base import Prompt
from trueline.models.encoding import TextCodec
from trueline.models.pictured import PicturedIds

_SAYS_IMAGE = "the prompt says a word that this model reads as an image; take the model's image token out of the text"


class VisionCodec(TextCodec):
    """A `TextCodec` whose prompts may hold images.

    They come at the beginning: of the first turn of the user, or of a completion prompt's text, where each has a line of its own.
    ``image_ids``: the tokens that the network reads as parts of images.
    """

    def __init__(self, processor: Any, *, chat: bool, image_ids: Iterable[int], context: int | None = None) -> None:
        super().__init__(processor.tokenizer, chat=chat, context=context)
        self._processor = processor
        mark: str = processor.image_token
        # apart, for some networks read neighbours as one; PaliGemma's processor sets its own beginning of the text after them
        self._place = mark if type(processor).__name__ == "PaliGemmaProcessor" else mark + "\n"
        self._image_ids = {processor.tokenizer.convert_tokens_to_ids(mark), *image_ids}

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int] | ModelError]:
        """Token ids of each prompt, with its images where it has some, or the reason why it has none."""
        encoded = super().encode([prompt if not prompt.images else Prompt(text="") for prompt in prompts])
        for i, prompt in enumerate(prompts):
            ids = encoded[i]
            if prompt.images:
                try:
                    encoded[i] = self._with_images(prompt)
                except InputError as error:
                    encoded[i] = ModelError(str(error))
                except ModelError as error:
                    encoded[i] = error
            elif not isinstance(ids, ModelError) and not self._image_ids.isdisjoint(ids):
                encoded[i] = ModelError(_SAYS_IMAGE)
        return encoded

    def _with_images(self, prompt: Prompt) -> PicturedIds:
        texts = [message.content for message in prompt.messages] if self.chat and prompt.messages else [prompt.text or ""]
        if any(not isinstance(ids, ModelError) and not self._image_ids.isdisjoint(ids) for ids in self._tokenize(texts)):
            raise ModelError(_SAYS_IMAGE)
        text, prefix = self._render(prompt)
        images = [picture.open() for picture in prompt.images]
        try:
            found = dict(self._processor(images=[images], text=[text], add_special_tokens=False, return_tensors="pt"))
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            raise ModelError(f"the processor of the model refuses the images: {' '.join(str(error).split())[:300]}") from error
        ids = [*prefix, *found.pop("input_ids")[0].tolist()]
        for name in ("attention_mask", "labels"):  # labels: some processors prepare for training, whatever is asked
            found.pop(name, None)
        return PicturedIds(ids, {name: _padded(name, value, len(prefix)) for name, value in found.items() if isinstance(value, Tensor)})

    def _render(self, prompt: Prompt) -> tuple[str, list[int]]:
        if not (self.chat and prompt.messages):
            text, prefix = super()._render(prompt)
            return self._place * len(prompt.images) + text, prefix
        return self._template(self._processor, self._turns(prompt)), []

    def _turns(self, prompt: Prompt) -> list[dict[str, Any]]:
        """Chat turns as lists of parts, the images in the first one of the user."""
        turns: list[dict[str, Any]] = [{"role": m.role, "content": [{"type": "text", "text": m.content}]} for m in prompt.messages]
        shown = next((turn for turn in turns if turn["role"] == "user"), turns[0])
        shown["content"] = [*({"type": "image"} for _ in prompt.images), *shown["content"]]
        return turns


def _padded(name: str, value: Tensor, n_before: int) -> Tensor:
    """Arguments with one value a token get zeros for the special tokens before the text."""
    if n_before and name.endswith("token_type_ids"):
        return torch.cat([value.new_zeros((len(value), n_before)), value], dim=1)
    return value


def image_ids(config: Any) -> list[int]:
    """The tokens that a configuration names as places of images; it may call them by either of two names."""
    named = (getattr(config, name, None) for name in ("image_token_id", "image_token_index"))
    return [token for token in named if isinstance(token, int)]
