"""Tiny random checkpoints against transformers alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from trueline.errors import InputError, ModelError
from trueline.estimators.loading import load_similarity
from trueline.estimators.similarity import BERTScore, CrossEncoder, SentenceEncoder
from trueline.estimators.similarity.encoders import greedy_match

PAIRS = [("paris is the capital", "it could be marseille"), ("yes", "no"), ("lyon", "lyon is not a cat"), ("42", "42")]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification, RobertaModel

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([a + b for a, b in PAIRS] * 3, vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    bpe._tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, **names, model_max_length=40)
    found = {}
    torch.manual_seed(0)
    for kind, labels in (("encoder", None), ("cross", 1), ("three", 3)):
        config = RobertaConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=80, pad_token_id=1, initializer_range=0.3, **({} if labels is None else {"num_labels": labels}),
        )  # fmt: skip
        folder = tmp_path_factory.mktemp(kind)
        (RobertaModel(config, add_pooling_layer=False) if labels is None else RobertaForSequenceClassification(config)).save_pretrained(
            folder
        )
        tokenizer.save_pretrained(folder)
        found[kind] = folder
    return found


def states(path: Path, text: str) -> np.ndarray:
    import torch
    from transformers import AutoTokenizer, RobertaModel

    model = RobertaModel.from_pretrained(path, add_pooling_layer=False).eval()
    with torch.inference_mode():
        return model(**AutoTokenizer.from_pretrained(path)(text, return_tensors="pt")).last_hidden_state[0].double().numpy()


def test_cross_encoder(checkpoints: dict[str, Path]) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path = checkpoints["cross"]
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForSequenceClassification.from_pretrained(path).eval()
    with torch.inference_mode():
        expected = [float(torch.sigmoid(model(**tokenizer(a, b, return_tensors="pt")).logits[0, 0])) for a, b in PAIRS]
    assert CrossEncoder(str(path)).compare(PAIRS).values == pytest.approx(expected, abs=1e-5)


def test_sentence_encoder_and_bertscore(checkpoints: dict[str, Path]) -> None:
    path = checkpoints["encoder"]
    vectors = {text: states(path, text) for pair in PAIRS for text in pair}
    means = {text: v.mean(0) / np.linalg.norm(v.mean(0)) for text, v in vectors.items()}
    expected = [max(0.0, float(means[a] @ means[b])) for a, b in PAIRS]
    assert SentenceEncoder(str(path)).compare(PAIRS).values == pytest.approx(expected, abs=1e-5)
    units = {text: v / np.linalg.norm(v, axis=1, keepdims=True) for text, v in vectors.items()}
    found = BERTScore(str(path)).compare(PAIRS).values
    assert found == pytest.approx([greedy_match(units[a], units[b]) for a, b in PAIRS], abs=1e-5)
    assert found[3] == pytest.approx(1.0)


def test_greedy_match_by_hand() -> None:
    x, y = np.eye(3)[:2], np.eye(3)[[0, 2]]
    assert greedy_match(x, y) == pytest.approx(0.5)
    assert greedy_match(x, -x) == 0.0
    assert greedy_match(x, x) == 1.0


def test_long_texts_are_cut_and_counted(checkpoints: dict[str, Path]) -> None:
    for similarity in (
        CrossEncoder(str(checkpoints["cross"])),
        SentenceEncoder(str(checkpoints["encoder"])),
        BERTScore(str(checkpoints["encoder"])),
    ):
        found = similarity.compare([("lyon " * 5000, "no"), ("yes", "no")])
        assert found.truncated.tolist() == [True, False]
        assert np.isfinite(found.values).all()


def test_specs(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    for scheme, kind in (("cross", "cross"), ("encoder", "encoder"), ("bertscore", "encoder")):
        loaded = load_similarity(f"{scheme}(batch_size=2):{checkpoints[kind]}")
        assert loaded.batch_size == 2
        assert loaded.name == f"{scheme}:{checkpoints[kind].name}"
        moved = tmp_path / scheme
        shutil.copytree(checkpoints[kind], moved)
        assert load_similarity(f"{scheme}:{moved}").fingerprint() == loaded.fingerprint(), "of the content, not the place"
    prints = {load_similarity(f"{scheme}:{checkpoints['encoder']}").fingerprint() for scheme in ("encoder", "bertscore")}
    assert len(prints) == 2


@pytest.mark.parametrize("spec", ["char4", "char3:x", "cross", "cross:", "encoder(size=3):x", "char3(size=3)", "("])
def test_specs_that_name_nothing(spec: str) -> None:
    with pytest.raises(InputError):
        load_similarity(spec)


def test_directories_that_cannot_be_used(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no directory with safetensors"):
        load_similarity(f"encoder:{tmp_path}/nowhere")
    with pytest.raises(ModelError, match="3 labels"):
        CrossEncoder(str(checkpoints["three"])).compare(PAIRS)
    broken = tmp_path / "broken"
    shutil.copytree(checkpoints["encoder"], broken)
    (broken / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ModelError, match="cannot be loaded"):
        SentenceEncoder(str(broken)).compare(PAIRS)
    with pytest.raises(ModelError, match="lacks"):
        CrossEncoder(str(checkpoints["encoder"])).compare(PAIRS)
