"""Plain greedy decoding and exact answer probabilities for the shipped checkpoints, on transformers alone.

The proof of the known world stands on this module and not on the capture engine, so that the two check each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from trueline.tasks.item import Item


class Asker:
    """A checkpoint with its tokenizer, float32.

    Parameters
    ----------
    folder : Path
        Checkpoint folder in the Hugging Face format.
    chat : bool
        Ask by the chat template; otherwise by the plain prompt text.
    """

    def __init__(self, folder: Path, *, chat: bool) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.chat = chat

    def prompt(self, item: Item) -> list[int]:
        """Token ids of an item's prompt."""
        if not self.chat:
            return list(self.tokenizer(item.prompt_text)["input_ids"])
        return self.turns(item.messages or (("user", item.question),))

    def turns(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of a conversation up to the assistant's next word."""
        chat = [{"role": role, "content": content} for role, content in messages]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def greedy(self, prompts: Sequence[list[int]], max_new_tokens: int, batch_size: int = 128) -> list[str]:
        """Greedy answers, in order; special tokens left out, surrounding space stripped."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        out = [""] * len(prompts)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            padded = self.tokenizer.pad({"input_ids": [prompts[i] for i in rows]}, return_tensors="pt")
            with torch.inference_mode():
                ids = self.model.generate(**padded, max_new_tokens=max_new_tokens, do_sample=False)
            texts = self.tokenizer.batch_decode(ids[:, padded["input_ids"].shape[1] :], skip_special_tokens=True)
            for i, text in zip(rows, texts, strict=True):
                out[i] = text.strip()
        return out

    def option_logprobs(self, prompt: list[int], options: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Exact log-probabilities (nats) that the reply is each option, the end-of-turn token included.

        Parameters
        ----------
        prompt : list of int
            Token ids.
        options : sequence of str
            Whole replies.

        Returns
        -------
        (n_options,) float64
        """
        replies = [[*self.tokenizer(option, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id] for option in options]
        width = max(map(len, replies))
        pad = self.tokenizer.pad_token_id
        # Right padding under a causal mask cannot reach an earlier position.
        ids = torch.tensor([prompt + r + [pad] * (width - len(r)) for r in replies])
        with torch.inference_mode():
            logits = self.model(input_ids=ids).logits[:, len(prompt) - 1 : len(prompt) - 1 + width]
        logprobs = logits.double().log_softmax(-1)
        sums = [float(sum(logprobs[i, t, token] for t, token in enumerate(r))) for i, r in enumerate(replies)]
        return np.array(sums, dtype=np.float64)
