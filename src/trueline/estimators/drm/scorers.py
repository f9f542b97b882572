"""Relevance and coherence: token overlap by rule, or local checkpoints with a sequence-classification head."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trueline.errors import InputError, ModelError
from trueline.estimators.race.steps import content_words


class Relevance(Protocol):
    """Relevance of text ``a`` (the reasoning as premise, or the query) to ``b``; in [0, 1]."""

    def __call__(self, a: str, b: str) -> float: ...


class Coherence(Protocol):
    """A scalar of a reasoning's quality from question, reasoning and context (or None); it must not be shown the answer."""

    def __call__(self, question: str, reasoning: str, context: str | None) -> float: ...


@dataclass(frozen=True)
class TokenOverlap:
    """Share of the second text's content words that the first one has; 0 when it has none. Wording only, no meaning."""

    def __call__(self, a: str, b: str) -> float:
        """In [0, 1]."""
        wanted = content_words(b)
        return len(wanted & content_words(a)) / len(wanted) if wanted else 0.0


@dataclass(frozen=True)
class CrossEncoder:
    """A local reranker or NLI checkpoint (safetensors): the probability that it gives a pair of texts.

    One logit: its sigmoid. Several: the softmax probability of ``label`` (``entailment`` for NLI).
    """

    path: str
    label: str = "entailment"
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, a: str, b: str) -> float:
        """In [0, 1]. Raises ``ModelError`` when the checkpoint cannot be loaded, ``InputError`` without such a label."""
        import torch

        tokenizer, model = classifier(self.path, self._loaded)
        with torch.inference_mode():
            logits = model(**tokenizer(a, b, truncation=True, return_tensors="pt")).logits[0].double()
        if len(logits) == 1:
            return float(torch.sigmoid(logits[0]))
        names = {str(name).strip().lower(): int(k) for k, name in model.config.id2label.items()}
        if self.label not in names:
            raise InputError(f"{self.path} has the labels {', '.join(names)}, not {self.label!r}; name one of them with label=")
        return float(torch.softmax(logits, dim=0)[names[self.label]])


@dataclass(frozen=True)
class RewardModel:
    """A local outcome reward model (safetensors, one logit) as the judge of coherence; it reads question, context and reasoning."""

    path: str
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, question: str, reasoning: str, context: str | None) -> float:
        """The logit. Raises ``ModelError`` for another kind of checkpoint."""
        import torch

        tokenizer, model = classifier(self.path, self._loaded)
        if model.config.num_labels != 1:
            raise ModelError(f"{self.path} has {model.config.num_labels} labels; a reward model has one")
        asked = question if context is None else f"{question}\n{context}"
        with torch.inference_mode():
            return float(model(**tokenizer(asked, reasoning, truncation=True, return_tensors="pt")).logits[0, 0])


def classifier(path: str, loaded: dict[str, Any]) -> tuple[Any, Any]:
    """Tokenizer and model of a local sequence-classification checkpoint, kept in ``loaded``."""
    if "model" not in loaded:
        from safetensors import SafetensorError
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        from trueline.models.checkpoints import quiet

        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise ModelError(f"no directory {path!r}; give the directory of a sequence-classification checkpoint")
        try:
            with quiet():
                tokenizer = AutoTokenizer.from_pretrained(str(folder))
                model, report = AutoModelForSequenceClassification.from_pretrained(
                    str(folder), use_safetensors=True, output_loading_info=True
                )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{path} cannot be loaded as a sequence-classification checkpoint: {error}") from error
        if report["missing_keys"]:  # a head that is not there would be a random one
            raise ModelError(f"{path} lacks {len(report['missing_keys'])} weights of {type(model).__name__}; it has no such head")
        loaded["model"] = (tokenizer, model.float().eval())
    found: tuple[Any, Any] = loaded["model"]
    return found
