"""Read a checkpoint from disk or the hub: safetensors only, no code from it unless asked, one clear line when it cannot be read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from trueline.errors import ModelError
from trueline.models.placement import Placement


def read_checkpoint(source: str, placement: Placement, *, revision: str | None, trust_remote_code: bool) -> tuple[Any, Any]:
    """The model (evaluation mode, in its place) and tokenizer of a local directory or hub id; raises ``ModelError``.

    A vision-language model comes with its processor in place of a tokenizer.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig

    if source.startswith((".", "/", "~")) or Path(source).is_dir():
        source = str(Path(source).expanduser())
        if not Path(source).is_dir():
            raise ModelError(f"no directory {source!r}; hf: takes a directory with a checkpoint, or a hub id such as org/name")
    common = {"revision": revision, "trust_remote_code": trust_remote_code}
    try:
        with quiet():
            config = AutoConfig.from_pretrained(source, **common)
            reader, kind = _kinds(config)
            tokenizer = reader.from_pretrained(source, **common)
            model, report = kind.from_pretrained(source, use_safetensors=True, output_loading_info=True, **placement.arguments, **common)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, AssertionError, SafetensorError) as error:
        raise ModelError(_explain(source, error)) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"the checkpoint {source!r} lacks {len(missing)} weights of {type(model).__name__} (the first: {missing[0]}); "
            "it is incomplete, or no language model"
        )
    # prompts are padded under a mask of our own; with a pad token that is also an ordinary one, transformers would warn at every run
    model.config.pad_token_id = None
    if placement.device is None or getattr(model, "is_quantized", False):
        return model.eval(), tokenizer
    try:
        return model.to(placement.device).eval(), tokenizer
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"the model cannot be moved to device {placement.device!r}: {error}") from error


def _kinds(config: Any) -> tuple[Any, Any]:
    """What loads the tokenizer or processor, and what loads the network, of a checkpoint with this configuration."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    if getattr(config, "is_encoder_decoder", False):
        return transformers.AutoTokenizer, transformers.AutoModelForSeq2SeqLM
    if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and getattr(config, "vision_config", None) is not None:
        return transformers.AutoProcessor, transformers.AutoModelForImageTextToText
    return transformers.AutoTokenizer, transformers.AutoModelForCausalLM


def read_classifier(path: str, device: str, what: str) -> tuple[Any, Any]:
    """The tokenizer and the sequence classifier (float32, evaluation mode) of a local directory or hub id; ``what`` it should be, in words.

    Raises ``ModelError``; a checkpoint without a classification head is refused, for it would get a random one.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path = str(Path(path).expanduser()) if Path(path).expanduser().is_dir() else path
    if Path(path).is_dir() and not any(Path(path).glob("*.safetensors")):
        raise ModelError(f"{path} holds no safetensors weights; other formats can run code when loaded, so convert the checkpoint first")
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(path)
            model, report = AutoModelForSequenceClassification.from_pretrained(
                path, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be loaded as a sequence-classification checkpoint: {error}") from error
    if report["missing_keys"]:
        lacking = sorted(report["missing_keys"])
        raise ModelError(f"{path} lacks {len(lacking)} weights of {type(model).__name__} (first: {lacking[0]}); it is no {what}")
    where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    return tokenizer, model.to(where).eval()


def read_encoder(path: str) -> tuple[Any, Any]:
    """The tokenizer and the bare network (float32, evaluation mode, CPU) of a local directory; safetensors only. Raises ``ModelError``."""
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    if not any(Path(path).glob("*.safetensors")):
        raise ModelError(f"{path} holds no safetensors weights; other formats can run code when loaded, so convert the checkpoint first")
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            model, report = AutoModel.from_pretrained(
                path, use_safetensors=True, dtype=torch.float32, output_loading_info=True, local_files_only=True
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be loaded as an encoder: {error}") from error
    # a pooling head is not used, so an encoder may come without it
    lacking = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if lacking:
        raise ModelError(f"{path} lacks {len(lacking)} weights of {type(model).__name__} (first: {lacking[0]}); it is incomplete")
    return tokenizer, model.eval()


def weight_files(source: str, revision: str | None = None) -> list[Path]:
    """The safetensors files that a checkpoint is loaded from, in the order of their names; none when it has none."""
    from transformers.utils import cached_file

    def find(name: str) -> Path | None:
        found = cached_file(
            source, name, revision=revision, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
        )
        return None if found is None else Path(found)

    if single := find("model.safetensors"):
        return [single]
    index = find("model.safetensors.index.json")
    if index is None:
        return []
    shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return [path for shard in shards if (path := find(shard)) is not None]


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 over names and contents, read in pieces."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as stream:
            while piece := stream.read(1 << 22):
                digest.update(piece)
    return digest.hexdigest()


def hash_weights(model: Any) -> str:
    """SHA-256 over the names, types, shapes and values of a model in memory."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def hash_config(config: Any) -> str:
    """SHA-256 of what the configuration sets, without the place it came from and the versions that wrote it."""
    settings = json.loads(config.to_json_string(use_diff=True))
    for key in ("_name_or_path", "transformers_version", "dtype", "torch_dtype"):
        settings.pop(key, None)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def hash_tokenizer(tokenizer: Any) -> str:
    """SHA-256 of vocabulary, rules, special tokens and chat template."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend is not None else {"vocabulary": tokenizer.get_vocab()}
    # how a call pads and cuts off is remembered in the rules, but is not the tokenizer's
    rules = {key: value for key, value in rules.items() if key not in ("padding", "truncation")}
    parts = [rules, {key: str(value) for key, value in tokenizer.special_tokens_map.items()}, tokenizer.chat_template]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def hash_processor(processor: Any) -> str:
    """SHA-256 of how images are prepared, and of the chat template that shows them."""
    settings = {**processor.image_processor.to_dict(), "class": type(processor).__name__, "template": processor.chat_template}
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def _explain(source: str, error: BaseException) -> str:
    """One line: what is wrong with the checkpoint and what to do."""
    text = without_token(" ".join(str(error).split()))
    if "trust_remote_code" in text:
        return f"the checkpoint {source!r} runs code of its own; if you trust it, say so in this call: trust_remote_code=True"
    folder = Path(source)
    if isinstance(error, ImportError):
        return f"the checkpoint {source!r} needs a package that is not installed: {text[:400]}"
    if folder.is_dir() and not (folder / "config.json").is_file():
        return f"the directory {source!r} has no config.json, so it is not a checkpoint of transformers"
    if (folder.is_dir() and not list(folder.glob("*.safetensors"))) or (
        isinstance(error, OSError) and ("safetensors" in text or "pytorch_model.bin" in text)
    ):
        return (
            f"the checkpoint {source!r} has no usable safetensors weights, and pickles are never loaded; convert it where you trust it: "
            f"AutoModelForCausalLM.from_pretrained(SOURCE, use_safetensors=False).save_pretrained(TARGET) [{text[:200]}]"
        )
    if "not a valid git identifier" in text:
        return f"the hub has {source!r}, but no such revision of it [{text[:200]}]"
    if not folder.is_dir() and isinstance(error, OSError):
        return (
            f"the model {source!r} is not on this machine and the hub did not give it; "
            f"check the name and the network, or give a directory [{text[:300]}]"
        )
    return f"the checkpoint {source!r} cannot be read: {type(error).__name__}: {text[:400]}"


def without_token(text: str) -> str:
    """A message of the hub without the token that it was asked with."""
    from huggingface_hub import get_token

    token = get_token()
    return text.replace(token, "***") if token else text


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bar and no advice while a checkpoint loads; the settings are put back."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def eos_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Every end-of-sequence token that the checkpoint names anywhere; each named place alone is known to be forgotten by someone."""
    ids: set[int] = set()
    text = model.config.get_text_config() if hasattr(model.config, "get_text_config") else None
    for place in (getattr(model, "generation_config", None), model.config, text, tokenizer):
        named = getattr(place, "eos_token_id", None)
        ids.update([named] if isinstance(named, int) else named or [])
    return tuple(sorted(ids))


def context_length(config: Any) -> int | None:
    """Most tokens of prompt and answer together; None for a model without a limit of its own."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    if getattr(config, "relative_attention_num_buckets", None):
        return None  # T5: positions are distances
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        if isinstance(length := getattr(text, name, None), int) and length > 0:
            return length
    return None
