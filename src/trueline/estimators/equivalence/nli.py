"""Any sequence-classification checkpoint trained for natural language inference, as a judge of ordered pairs.

Source: bidirectional entailment, Kuhn, Gal, Farquhar, arXiv 2302.09664; the question is put in front of both answers, as there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, ModelError
from trueline.estimators.equivalence.base import Verdicts

_CLASSES = ("entail", "neutral", "contradict")
_CHARACTERS_A_TOKEN = 64


@dataclass(frozen=True)
class NLI:
    """A judge that reads P(entail), P(neutral), P(contradict) off a checkpoint (safetensors only; softmax in float32).

    path: local directory, or a Hub id. labels: the classes in the order of the logits, comma separated, for a config that names none
    ("contradiction,neutral,entailment"); empty: read from ``config.id2label``. self_pairs: also send (text, text) instead of taking
    that an answer entails itself. prefix_question: put the question in front of both answers (short answers need it; without it equal
    pairs of different questions are judged once). device: "auto" is CUDA where there is one.
    """

    path: str
    labels: str = ""
    self_pairs: bool = False
    prefix_question: bool = True
    batch_size: int = 128
    device: str = "auto"
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """``nli:`` and the checkpoint's last path component (never a machine path)."""
        return f"nli:{Path(self.path).name}" if Path(self.path).is_dir() else f"nli:{self.path}"

    def fingerprint(self) -> str:
        """Hash of weights, tokenizer and label order; the model is not loaded for it."""
        if "fingerprint" not in self._loaded:
            digest = hashlib.blake2b(digest_size=16)
            for file in _files(self.path):
                digest.update(file.name.encode())
                with file.open("rb") as stream:
                    while block := stream.read(1 << 20):
                        digest.update(block)
            digest.update(",".join(map(str, label_order(self._config(), self.labels))).encode())
            self._loaded["fingerprint"] = f"nli-{digest.hexdigest()}"
        fingerprint: str = self._loaded["fingerprint"]
        return fingerprint

    def render(self, question: str, premise: str, hypothesis: str) -> tuple[str, str]:
        """Question and answer, twice; the answers alone without ``prefix_question``."""
        if not question or not self.prefix_question:
            return premise, hypothesis
        return f"{question} {premise}", f"{question} {hypothesis}"

    def judge(self, pairs: Sequence[tuple[str, str]]) -> Verdicts:
        """Verdicts on rendered pairs, one forward pass. Raises ``ModelError`` when the checkpoint cannot be loaded."""
        import torch

        tokenizer, model, order, limit = self._model()
        encoded, truncated = _encode(tokenizer, pairs, limit)
        batch = {name: torch.from_numpy(array).to(model.device) for name, array in _pad(tokenizer, encoded).items()}
        with torch.inference_mode():
            logits = model(**batch).logits.float()
        probs = torch.softmax(logits, dim=-1).cpu().numpy().astype(np.float64)
        return Verdicts(probs[:, list(order)], truncated)

    def _config(self) -> Mapping[str, Any]:
        if "config" not in self._loaded:
            file = next((f for f in _files(self.path) if f.name == "config.json"), None)
            if file is None:
                raise ModelError(f"{self.path} holds no config.json; give the directory of a sequence-classification checkpoint")
            self._loaded["config"] = json.loads(file.read_text(encoding="utf-8"))
        config: Mapping[str, Any] = self._loaded["config"]
        return config

    def _model(self) -> tuple[Any, Any, tuple[int, int, int], int]:
        if "model" not in self._loaded:
            from trueline.models.checkpoints import read_classifier

            order = label_order(self._config(), self.labels)
            tokenizer, model = read_classifier(self.path, self.device, "NLI checkpoint")
            if model.config.num_labels != len(_CLASSES):
                raise ModelError(f"{self.path} has {model.config.num_labels} classes; an NLI judge has 3")
            self._loaded["model"] = (tokenizer, model, order, _limit(tokenizer, model))
        loaded: tuple[Any, Any, tuple[int, int, int], int] = self._loaded["model"]
        return loaded


def label_order(config: Mapping[str, Any], labels: str = "") -> tuple[int, int, int]:
    """Positions of entail, neutral, contradict among the logits, from ``labels`` or ``config["id2label"]``.

    Raises ``InputError`` unless each class is named exactly once.
    """
    if labels:
        names = {i: name for i, name in enumerate(labels.split(","))}
    else:
        names = {int(i): str(name) for i, name in dict(config.get("id2label") or {}).items()}
    position: list[int] = []
    for wanted in _CLASSES:
        found = [i for i, name in names.items() if name.strip().lower().startswith(wanted)]
        if len(found) != 1 or len(names) != len(_CLASSES):
            shown = ", ".join(names[i] for i in sorted(names)) or "none"
            raise InputError(
                f"the checkpoint's labels are {shown}; an NLI judge needs entailment, neutral and contradiction once each. "
                "If the order is known, pass labels='contradiction,neutral,entailment' (in the order of the logits)"
            )
        position.append(found[0])
    return position[0], position[1], position[2]


def _files(path: str) -> list[Path]:
    """Files that decide a verdict, by name."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        if path.startswith(("/", ".", "~")):
            raise ModelError(f"no directory {path!r}; nli: takes the directory of a sequence-classification checkpoint, or a Hub id")
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(path, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
        except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
            raise ModelError(f"{path} is neither a directory nor a checkpoint on the Hub that can be reached: {error}") from error
    return sorted(file for file in folder.iterdir() if file.suffix in (".json", ".safetensors", ".txt", ".model"))


def _limit(tokenizer: Any, model: Any) -> int:
    """Most tokens of a pair: the tokenizer's own limit or the positions of the model, whichever is less."""
    positions = getattr(model.config, "max_position_embeddings", None) or 512
    if model.config.model_type in ("roberta", "xlm-roberta", "camembert"):
        positions -= 2  # these count positions from padding_idx + 1
    if not getattr(model.config, "position_biased_input", True):
        positions = max(positions, 512)  # relative positions only
    return int(min(tokenizer.model_max_length, positions))


def _encode(tokenizer: Any, pairs: Sequence[tuple[str, str]], limit: int) -> tuple[list[dict[str, list[int]]], NDArray[np.bool_]]:
    # no vocabulary has so long tokens: what is cut here could not be seen, and a megabyte is not tokenized to keep 512 tokens
    longest = limit * _CHARACTERS_A_TOKEN
    first, second = [a[:longest] for a, _ in pairs], [b[:longest] for _, b in pairs]
    whole = tokenizer(first, second, verbose=False)
    rows = [{name: whole[name][i] for name in whole} for i in range(len(pairs))]
    truncated = np.array([len(row["input_ids"]) > limit for row in rows], dtype=bool)
    for i in np.flatnonzero(truncated):
        rows[i] = dict(tokenizer(first[i], second[i], truncation="longest_first", max_length=limit))
    return rows, truncated


def _pad(tokenizer: Any, rows: list[dict[str, list[int]]]) -> dict[str, NDArray[np.int64]]:
    width = max(len(row["input_ids"]) for row in rows)
    batch: dict[str, NDArray[np.int64]] = {}
    for name in rows[0]:
        fill = tokenizer.pad_token_id if name == "input_ids" else 0
        array = np.full((len(rows), width), fill or 0, dtype=np.int64)
        for i, row in enumerate(rows):
            array[i, : len(row[name])] = row[name]
        batch[name] = array
    return batch
