"""Distances between texts and programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError, ModelError
from trueline.estimators.bleu import bleu_13a, tokens_13a
from trueline.estimators.code_bleu import code_bleu
from trueline.estimators.distances import ASYMMETRIC, DISTANCES, levenshtein, load_distance
from trueline.estimators.embedding_cosine import embedding_cosine

TEXT = st.text(alphabet="abc .\n=()1", max_size=12) | st.text(max_size=8)


def plain_levenshtein(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        previous, row[0] = row[0], i
        for j, two in enumerate(b, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (one != two))
    return row[-1]


@given(TEXT, TEXT)
def test_levenshtein_equals_the_table(a: str, b: str) -> None:
    assert levenshtein(a, b) == plain_levenshtein(a, b)


@pytest.mark.parametrize("name", DISTANCES)
@given(a=TEXT, b=TEXT)
def test_bounds_identity_and_symmetry(name: str, a: str, b: str) -> None:
    distance = DISTANCES[name]
    assert 0.0 <= distance(a, b) <= 1.0
    assert distance(a, a) == pytest.approx(0.0, abs=1e-12)
    if name not in ASYMMETRIC:
        assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-12)


@pytest.mark.parametrize("name", [n for n in DISTANCES if n != "ast_edit"])
def test_an_empty_text_is_far_from_any_other(name: str) -> None:
    assert DISTANCES[name]("", "") == 0.0
    assert DISTANCES[name]("some words here", "") == 1.0
    assert DISTANCES[name]("", "some words here") == 1.0


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize(
    "hostile", ["\x00", "\ud800", "(" * 5000, "-" * 20_000 + "1", "x" * 300_000, "'\\q'", "1" * 6000, "a=" * 3000 + "1"]
)
def test_hostile_text_is_only_text(name: str, hostile: str) -> None:
    assert 0.0 <= DISTANCES[name](hostile, "x = 1") <= 1.0


def test_thirteen_a_tokens() -> None:
    assert tokens_13a('He said "3,000.5"; 5-year &amp; so\non.') == [
        "He",
        "said",
        '"',
        "3,000.5",
        '"',
        ";",
        "5",
        "-",
        "year",
        "&",
        "so",
        "on",
        ".",
    ]


@pytest.mark.parametrize(
    ("hypothesis", "reference", "value"),
    [  # by hand: precisions 3/4 1/3 (1/2)/2 (1/4)/1; then brevity exp(1 - 4/2), orders 1 and 2 alone
        ("the cat sat down", "the cat stood sat", (3 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25),
        ("a b", "a b c d", np.exp(-1.0)),
        ("x y", "a b", 0.0),
    ],
)
def test_bleu_by_hand(hypothesis: str, reference: str, value: float) -> None:
    assert bleu_13a(hypothesis, reference) == pytest.approx(value, abs=1e-12)


def test_code_bleu_parts() -> None:
    program = "def f(x):\n    y = x + 1\n    return y"
    assert code_bleu(program, program) == pytest.approx(1.0)
    renamed = "def f(a):\n    b = a + 1\n    return b"
    broken = "def f(a):\n    b = a +\n    return b"
    # names changed: trees and flows are whole, words are not; broken: neither
    assert code_bleu(renamed, program) > 0.5 > 0.25 > code_bleu(broken, program) > 0.0
    assert code_bleu("x = y", "x = y") == pytest.approx(1.0)
    assert code_bleu("y = x\nz = x", "y = x\nz = y") < 1.0


def test_ast_edit_reads_the_tree_alone() -> None:
    ast_edit = DISTANCES["ast_edit"]
    assert ast_edit("x = 1  # one", "y   =   2") == 0.0
    assert ast_edit("x = 1", "x = ") == 1.0
    assert ast_edit("not python", "not  python") == 0.0
    assert ast_edit("no python at all", "no python at al") == pytest.approx(1 / 16)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean"):
        load_distance("rouge")
    with pytest.raises(InputError, match="names no directory"):
        load_distance("embedding_cosine")
    own = load_distance(lambda a, b: 0.5)
    assert own("a", "b") == 0.5


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "red", "blue", "green", "house", "car"]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("encoder")
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 16}
    BertModel(BertConfig(vocab_size=len(words), **small), add_pooling_layer=False).eval().save_pretrained(folder)
    return folder


def test_embedding_cosine_of_a_local_encoder(encoder: Path) -> None:
    distance = load_distance(f"embedding_cosine:{encoder}")
    assert distance("red house", "red house") == 0.0
    near, far = distance("red house", "red red house"), distance("red house", "green car")
    assert 0.0 < near < far <= 2.0
    assert distance("red house", "green car") == pytest.approx(distance("green car", "red house"), abs=1e-12)
    assert embedding_cosine(str(encoder)) is distance
    # alone or in a batch, padded: the same embedding
    together, alone = embedding_cosine.__wrapped__(str(encoder)), embedding_cosine.__wrapped__(str(encoder))
    together.prepare(["red", "green car blue house red"])
    alone.prepare(["red"])
    np.testing.assert_allclose(together._known["red"], alone._known["red"], atol=1e-6)
    assert distance("", "red") == 1.0
    assert distance("red " * 400, "red") >= 0.0


def test_an_encoder_without_safe_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="safetensors"):
        load_distance(f"embedding_cosine:{tmp_path}")("a", "b")
