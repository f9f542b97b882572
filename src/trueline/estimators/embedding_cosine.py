"""1 - cosine of mean-pooled embeddings of a local encoder: the distance that variation ratios were first measured with.

Source: Huang et al., arXiv 2307.10236 (all-mpnet-base-v2 for text, CodeBERT with 500 tokens for code); any encoder's directory will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, ModelError

#: Tokens of a text that are read.
MAX_TOKENS = 500
#: Embeddings that are kept.
_KEPT = 100_000


class EmbeddingCosine:
    """A distance in [0, 2]: 0 for equal texts, 1 between a text without tokens and any other.

    directory: checkpoint of an encoder, safetensors only. It is loaded with the first text; each text is embedded once.
    """

    def __init__(self, directory: str) -> None:
        """Raise ``InputError`` unless the directory is there."""
        if not directory or not Path(directory).expanduser().is_dir():
            raise InputError(f"embedding_cosine:{directory} names no directory; give that of an encoder's checkpoint on this disk")
        self.directory = str(Path(directory).expanduser())
        self._loaded: tuple[Any, Any] | None = None
        self._known: dict[str, NDArray[np.float64]] = {}

    def __call__(self, a: str, b: str) -> float:
        """The distance of two texts."""
        if a == b:
            return 0.0
        self.prepare([a, b])
        one, two = self._known[a], self._known[b]
        norms = float(np.linalg.norm(one) * np.linalg.norm(two))
        if norms == 0.0:
            return float(one.any() != two.any())
        return min(2.0, max(0.0, 1.0 - float(one @ two) / norms))

    def prepare(self, texts: Sequence[str]) -> None:
        """Embed the texts that are not known yet, together."""
        new = sorted({text for text in texts if text not in self._known}, key=len)
        if len(self._known) + len(new) > _KEPT:
            self._known.clear()
            new = sorted(set(texts), key=len)
        for start in range(0, len(new), 32):
            batch = new[start : start + 32]
            self._known.update(zip(batch, self._embed(batch), strict=True))

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n_texts, width) float64: mean of the last hidden states over the tokens of each text."""
        import torch

        if self._loaded is None:
            from trueline.models.checkpoints import read_encoder

            self._loaded = read_encoder(self.directory)
        tokenizer, model = self._loaded
        positions = getattr(model.config, "max_position_embeddings", None) or MAX_TOKENS
        # encoders of the RoBERTa kind count positions from 2
        rows = tokenizer(list(texts), truncation=True, max_length=min(MAX_TOKENS, positions - 2), verbose=False)["input_ids"]
        width = max(1, max(len(row) for row in rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row, dtype=torch.long), 1
        with torch.inference_mode():
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state.double()
        weights = mask[..., None].double()
        means = ((states * weights).sum(1) / weights.sum(1).clamp_min(1.0)).numpy()
        if not np.isfinite(means).all():
            raise ModelError(f"the encoder {self.directory} gives numbers that are not finite")
        return np.asarray(means, dtype=np.float64)


@lru_cache(maxsize=4)
def embedding_cosine(directory: str) -> EmbeddingCosine:
    """The distance of an encoder's directory, loaded once a process."""
    return EmbeddingCosine(directory)
