"""Token pieces, prompts with special tokens, and continuations for tokenizers of several kinds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from trueline.models import Prompt
from trueline.models.encoding import TextCodec

WORDS = ["the", "flag", "is", "A", "B", "green", "answer"]


def sentence_pieces() -> PreTrainedTokenizerFast:
    """Words with a blank before them, bytes for the rest, and a decoder that drops the first blank, as Llama 2 has it."""
    vocabulary: dict[str, int] = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for piece in [*(f"<0x{byte:02X}>" for byte in range(256)), "▁", *(chr(c) for c in range(97, 123)), "A", "B"]:
        vocabulary[piece] = len(vocabulary)
    merges = []
    for word in WORDS:
        for piece in (word, f"▁{word}"):
            for n in range(2, len(piece) + 1):
                if piece[:n] not in vocabulary:
                    vocabulary[piece[:n]] = len(vocabulary)
                    merges.append((piece[: n - 1], piece[n - 1]))
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def words() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordLevel({"[UNK]": 0, **{word: i + 1 for i, word in enumerate(WORDS)}}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")


@pytest.fixture(scope="module")
def codecs(tokenizer: Any) -> dict[str, TextCodec]:
    return {name: TextCodec(t, chat=False) for name, t in (("bytes", tokenizer), ("pieces", sentence_pieces()), ("words", words()))}


@pytest.mark.parametrize("kind", ["bytes", "pieces", "words"])
@pytest.mark.parametrize("text", ["the flag is green", "A", "the answer is 東京 ž", " ", "B\n\nA  the", "🏳️‍🌈"])
def test_pieces_join_to_the_text(codecs: dict[str, TextCodec], kind: str, text: str) -> None:
    codec = codecs[kind]
    tokens = codec.tokenizer(text, add_special_tokens=False)["input_ids"]
    decoded = codec.decode([tokens])[0]
    pieces = codec.token_texts(tokens, decoded)
    assert len(pieces) == len(tokens)
    assert "".join(pieces) == decoded


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["bytes", "pieces"]))
def test_pieces_of_any_tokens_are_one_a_token_and_never_more_than_the_text(
    codecs: dict[str, TextCodec], data: st.DataObject, kind: str
) -> None:
    codec = codecs[kind]
    tokens = data.draw(st.lists(st.integers(0, len(codec.tokenizer) - 1), min_size=1, max_size=12))
    decoded = codec.decode([tokens])[0]
    pieces = codec.token_texts(tokens, decoded)
    assert len(pieces) == len(tokens)
    assert len("".join(pieces)) <= len(decoded)
    if "\ufffd" not in decoded:
        assert "".join(pieces) == decoded


def test_a_character_of_several_tokens_belongs_to_the_last(tokenizer: Any) -> None:
    codec = TextCodec(tokenizer, chat=False)
    tokens = tokenizer("é")["input_ids"]
    assert len(tokens) > 1
    assert codec.token_texts(tokens, "é") == [*[""] * (len(tokens) - 1), "é"]


def test_prompts_get_the_special_tokens_before_and_none_after(codecs: dict[str, TextCodec]) -> None:
    [ids] = codecs["pieces"].encode([Prompt(text="the flag")])
    assert isinstance(ids, list)
    assert ids[0] == 1
    assert ids[-1] != 2
    assert codecs["pieces"].encode([Prompt(text="")]) == [[1]]
    assert codecs["bytes"].encode([Prompt(text="")]) == [[codecs["bytes"].tokenizer.bos_token_id]]
    assert "empty" in str(codecs["words"].encode([Prompt(text="")])[0])


@pytest.mark.parametrize("kind", ["bytes", "pieces", "words"])
@pytest.mark.parametrize("option", ["A", " A", " green", "is", " the flag"])
def test_a_continuation_goes_on_where_the_prompt_ends(codecs: dict[str, TextCodec], kind: str, option: str) -> None:
    codec = codecs[kind]
    [prompt] = codec.encode([Prompt(text="answer")])
    assert isinstance(prompt, list)
    ids = codec.continuation(option)
    assert not set(ids) & set(codec.tokenizer.all_special_ids)
    joined = codec.decode([prompt + ids])[0]
    assert joined == ("answer " + option.strip() if kind == "words" else "answer" + option)


@pytest.mark.parametrize("kind", ["bytes", "pieces", "words"])
@pytest.mark.parametrize("stop", ["\n", "e", " ", "is g", "東", ". "])
def test_no_token_that_completes_a_stop_string_is_missed(codecs: dict[str, TextCodec], kind: str, stop: str) -> None:
    codec = codecs[kind]
    candidates = codec.stop_candidates((stop,), len(codec.tokenizer) + 3)
    assert candidates[-3:].all()
    for text in ("the flag is green", "B\nA", "the. answer 東京", "is 東\n\nis"):
        tokens = codec.tokenizer(text, add_special_tokens=False)["input_ids"]
        before = False
        for n in range(1, len(tokens) + 1):
            now = stop in codec.decode([tokens[:n]])[0]
            assert not now or before or candidates[tokens[n - 1]]
            before = now


def test_most_tokens_need_no_look_for_a_stop_string(codecs: dict[str, TextCodec]) -> None:
    assert codecs["bytes"].stop_candidates(("\n",), 400).sum() == 1
    assert codecs["bytes"].stop_candidates(("\n", ".", "q"), 400).sum() < 10


def test_a_huge_text_is_refused_from_its_beginning_and_a_long_one_of_few_tokens_is_read(codecs: dict[str, TextCodec]) -> None:
    codec = TextCodec(codecs["words"].tokenizer, chat=False, context=4)
    few, huge = codec.encode([Prompt(text=" " * 1000 + "the flag"), Prompt(text="the flag " * 1000)])
    assert isinstance(few, list)
    assert len(few) == 2
    assert "more than 8 tokens" in str(huge)
