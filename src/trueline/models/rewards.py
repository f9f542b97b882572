"""Reward models: sequence classifiers with one output that score a response in its conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import ModelError
from trueline.tasks.preferences import Turns, dialogue


@dataclass(frozen=True)
class RewardCheckpoint:
    """A reward model on disk or the hub: transformers sequence classification with one label, safetensors only.

    Conversations go through the tokenizer's chat template where there is one, else as a dialogue of ``Human:`` and ``Assistant:``. Loaded
    at the first call. A conversation longer than the context gets no reward (NaN): a cut response would be scored as another one.
    """

    path: str
    device: str = "auto"
    batch_size: int = 16
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, conversations: Sequence[Turns], responses: Sequence[str], /) -> NDArray[np.float64]:
        """(n,) float64 rewards, higher = better. Raises ``ModelError`` when the checkpoint cannot be loaded or is no reward model."""
        import torch

        tokenizer, model = self._model()
        limit = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
        rows = [_encode(tokenizer, (*turns, ("assistant", response))) for turns, response in zip(conversations, responses, strict=True)]
        rewards = np.full(len(rows), np.nan)
        order = [i for i in sorted(range(len(rows)), key=lambda i: len(rows[i])) if 0 < len(rows[i]) <= limit]
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            width = max(len(rows[i]) for i in batch)
            fill = model.config.pad_token_id
            ids = torch.full((len(batch), width), fill, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for line, i in enumerate(batch):
                ids[line, : len(rows[i])] = torch.tensor(rows[i])
                mask[line, : len(rows[i])] = 1
            with torch.inference_mode():
                logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
            rewards[batch] = logits[:, 0].double().cpu().numpy()
        return rewards

    def _model(self) -> tuple[Any, Any]:
        if "model" not in self._loaded:
            from trueline.models.checkpoints import read_classifier

            tokenizer, model = read_classifier(self.path, self.device, "reward model")
            if model.config.num_labels != 1:
                raise ModelError(f"{self.path} has {model.config.num_labels} outputs; a reward model has 1")
            if model.config.pad_token_id is None:
                # causal classifiers find the last token of a row by the pad token
                model.config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
            if model.config.pad_token_id is None:
                raise ModelError(f"{self.path} names no pad token and no end-of-sequence token; set one in its config.json")
            self._loaded["model"] = (tokenizer, model)
        loaded: tuple[Any, Any] = self._loaded["model"]
        return loaded


def _encode(tokenizer: Any, turns: Turns) -> list[int]:
    if tokenizer.chat_template:
        import jinja2

        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False)
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            raise ModelError(f"the chat template of the reward model refuses the messages: {error}") from error
        ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids
    plain: list[int] = tokenizer(dialogue(turns), verbose=False)["input_ids"]
    return plain
