"""Similarities of local checkpoints: cross-encoders, sentence encoders, and BERTScore on an encoder's token vectors.

Sources: Sentence-BERT, Reimers and Gurevych, arXiv 1908.10084; BERTScore, Zhang et al., arXiv 1904.09675 (no idf, no rescaling).
Checkpoints are directories with safetensors weights; nothing in them is executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from trueline.errors import ModelError
from trueline.estimators.similarity.base import Compared

#: No vocabulary has longer tokens: what is cut at this many characters a token could not be read anyway.
_CHARACTERS_A_TOKEN = 64


@dataclass(frozen=True)
class _Checkpoint:
    """What the three have in common: a local directory, loaded when it is first needed."""

    path: str
    batch_size: int = 128
    device: str = "auto"
    kept: bool = True
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _kind: ClassVar[str]

    @property
    def name(self) -> str:
        """The kind and the directory's own name."""
        return f"{self._kind}:{Path(self.path).name}"

    def fingerprint(self) -> str:
        """Hash of weights, tokenizer and configuration."""
        return _fingerprint(self._kind, self.path, self._loaded)


@dataclass(frozen=True)
class CrossEncoder(_Checkpoint):
    """Reads both texts at once and gives one number: a sequence-classification checkpoint with one label, through a sigmoid.

    path: directory of a checkpoint such as stsb-roberta. device: "auto" is CUDA where there is one.
    """

    _kind: ClassVar[str] = "cross"

    def compare(self, pairs: Sequence[tuple[str, str]]) -> Compared:
        """Similarities of pairs. Raises ``ModelError`` when the checkpoint cannot be used."""
        import torch

        if "model" not in self._loaded:
            tokenizer, model = _load("AutoModelForSequenceClassification", self.path, self.device)
            if model.config.num_labels != 1:
                raise ModelError(f"{self.path} has {model.config.num_labels} labels; a cross-encoder of similarity has one")
            self._loaded["model"] = (tokenizer, model)
        tokenizer, model = self._loaded["model"]
        batch, truncated = _encode(tokenizer, model, [a for a, _ in pairs], [b for _, b in pairs])
        with torch.inference_mode():
            values = torch.sigmoid(model(**batch).logits.float()[:, 0]).double().cpu().numpy()
        return Compared(values, truncated)


@dataclass(frozen=True)
class SentenceEncoder(_Checkpoint):
    """Cosine of the texts' vectors, the mean over their tokens; a negative cosine counts as 0. Each text is encoded once."""

    _kind: ClassVar[str] = "encoder"

    def compare(self, pairs: Sequence[tuple[str, str]]) -> Compared:
        """Similarities of pairs. Raises ``ModelError`` when the checkpoint cannot be used."""
        vectors = self._loaded.setdefault("vectors", {})
        for text, tokens, cut in _token_vectors(self, [t for t in _texts(pairs) if t not in vectors]):
            mean = tokens.mean(axis=0)
            vectors[text] = (mean / max(float(np.linalg.norm(mean)), 1e-12), cut)
        values = [float(np.clip(vectors[a][0] @ vectors[b][0], 0.0, 1.0)) for a, b in pairs]
        return Compared(np.array(values), np.array([vectors[a][1] or vectors[b][1] for a, b in pairs], dtype=bool))


@dataclass(frozen=True)
class BERTScore(_Checkpoint):
    """F1 of greedy matching: each token vector of one text with its most similar one of the other; cosines below 0 count as 0.

    Special tokens take part, as in the authors' code without idf.
    """

    _kind: ClassVar[str] = "bertscore"

    def compare(self, pairs: Sequence[tuple[str, str]]) -> Compared:
        """Similarities of pairs. Raises ``ModelError`` when the checkpoint cannot be used."""
        vectors = {}
        for text, tokens, cut in _token_vectors(self, _texts(pairs)):
            vectors[text] = (tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12), cut)
        values = [greedy_match(vectors[a][0], vectors[b][0]) for a, b in pairs]
        return Compared(np.array(values), np.array([vectors[a][1] or vectors[b][1] for a, b in pairs], dtype=bool))


def greedy_match(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """BERTScore F1 in [0, 1] of unit token vectors (n, d) and (m, d); 0 where nothing matches."""
    cosine = np.clip(one @ two.T, 0.0, 1.0)
    recall, precision = float(cosine.max(axis=1).mean()), float(cosine.max(axis=0).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _texts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return sorted({text for pair in pairs for text in pair}, key=len)


def _token_vectors(encoder: _Checkpoint, texts: Sequence[str]) -> list[tuple[str, NDArray[np.float64], bool]]:
    """(text, its last hidden states (n_tokens, d) float64, cut?) of each text."""
    import torch

    loaded = encoder._loaded
    if "model" not in loaded:
        loaded["model"] = _load("AutoModel", encoder.path, encoder.device)
    tokenizer, model = loaded["model"]
    found = []
    for start in range(0, len(texts), encoder.batch_size):
        part = list(texts[start : start + encoder.batch_size])
        batch, truncated = _encode(tokenizer, model, part)
        with torch.inference_mode():
            states = model(**batch).last_hidden_state.double().cpu().numpy()
        lengths = batch["attention_mask"].sum(1).tolist()
        found += [(text, states[k, : lengths[k]], bool(truncated[k])) for k, text in enumerate(part)]
    return found


def _encode(tokenizer: Any, model: Any, first: list[str], second: list[str] | None = None) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    import torch

    positions = getattr(model.config, "max_position_embeddings", None) or 512
    if model.config.model_type in ("roberta", "xlm-roberta", "camembert"):
        positions -= 2  # these count positions from padding_idx + 1
    limit = int(min(tokenizer.model_max_length, positions))
    longest = limit * _CHARACTERS_A_TOKEN
    texts = [[t[:longest] for t in part] for part in (first, second) if part is not None]
    whole = tokenizer(*texts, verbose=False)["input_ids"]
    truncated = np.array([len(ids) > limit for ids in whole], dtype=bool)
    batch = tokenizer(
        *texts,
        padding=True,
        truncation="longest_first",
        max_length=limit,
        padding_side="right",
        return_tensors="pt",
        return_attention_mask=True,
    )
    return {name: values.to(model.device) for name, values in batch.items() if isinstance(values, torch.Tensor)}, truncated


def _load(kind: str, path: str, device: str) -> tuple[Any, Any]:
    import torch
    import transformers
    from safetensors import SafetensorError

    from trueline.models.checkpoints import quiet

    folder = _folder(path)
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
            model, report = getattr(transformers, kind).from_pretrained(
                str(folder), use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be loaded as an encoder: {' '.join(str(error).split())[:300]}") from error
    lacking = sorted(name for name in report["missing_keys"] if "pooler" not in name)  # the pooler is not used
    if lacking:
        raise ModelError(f"{path} lacks {len(lacking)} weights of {type(model).__name__} (first: {lacking[0]})")
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    return tokenizer, model.to(where).eval()


def _folder(path: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir() or not any(folder.glob("*.safetensors")):
        raise ModelError(f"{path} is no directory with safetensors weights; give the directory of an encoder checkpoint")
    return folder


def _fingerprint(kind: str, path: str, loaded: dict[str, Any]) -> str:
    if "fingerprint" not in loaded:
        digest = hashlib.blake2b(digest_size=16)
        for file in sorted(f for f in _folder(path).iterdir() if f.suffix in (".json", ".safetensors", ".txt", ".model")):
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        loaded["fingerprint"] = f"{kind}-{digest.hexdigest()}"
    fingerprint: str = loaded["fingerprint"]
    return fingerprint
