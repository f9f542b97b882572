"""Weights over several places, in other numbers, or quantised: the library's own options, checked before anything is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError, MissingExtra, ModelError
from trueline.models import GenerationRequest, GenerationSettings, Prompt, RequestResult, load_model
from trueline.models.local import LocalModel, load
from trueline.models.placement import place

MakeModel = Callable[..., LocalModel]
REQUESTS = [GenerationRequest(Prompt(text=text), sample_seeds=(1, 2)) for text in ("The capital of the north", "x", "She said that")]


@pytest.fixture(scope="module")
def saved(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_model("llama", hidden_size=64, intermediate_size=64)
    folder = tmp_path_factory.mktemp("checkpoint")
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def answers(model: Any, batch_size: int = 64) -> list[RequestResult]:
    found: list[RequestResult] = model.generate(REQUESTS, GenerationSettings(max_new_tokens=6, batch_size=batch_size))
    return found


def tokens_and_logprobs(results: list[RequestResult]) -> tuple[list[list[int] | None], np.ndarray]:
    rows = [row for result in results for row in (result.greedy, *result.samples)]
    assert all(row is not None and row.token_logprobs is not None for row in rows)
    return [row.tokens for row in rows if row is not None], np.concatenate([row.token_logprobs for row in rows if row is not None])


@pytest.mark.parametrize(
    "device_map",
    [
        "auto",
        {"": "cpu"},
        # one layer stays on the disk and is fetched when its turn comes
        {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk", "model.norm": "cpu", "lm_head": "cpu"}
        | {"model.rotary_emb": "cpu"},
    ],
    ids=["auto", "whole", "disk"],
)
def test_a_model_that_is_spread_answers_as_one_that_is_not(saved: Path, device_map: Any) -> None:
    spread, whole = load_model(f"hf:{saved}", device_map=device_map), load_model(f"hf:{saved}")
    assert isinstance(spread, LocalModel)
    if isinstance(device_map, dict) and "disk" in device_map.values():
        assert spread.model.hf_device_map["model.layers.1"] == "disk"
    expected = tokens_and_logprobs(answers(whole))
    for batch_size in (64, 1):
        tokens, logprobs = tokens_and_logprobs(answers(spread, batch_size))
        assert tokens == expected[0]
        np.testing.assert_allclose(logprobs, expected[1], atol=1e-5, rtol=0)
    assert spread.fingerprint() == whole.fingerprint()


@pytest.mark.parametrize(
    ("options", "layer"),
    [
        ({"load_in_8bit": True}, "Linear8bitLt"),
        ({"load_in_4bit": True}, "Linear4bit"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}, "Linear4bit"),
        ({"load_in_8bit": True, "device_map": "auto"}, "Linear8bitLt"),
    ],
)
def test_quantised_weights_answer_nearly_as_their_originals(
    saved: Path, options: dict[str, Any], layer: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = load(str(saved), **options)
    assert type(model.model.model.layers[0].mlp.up_proj).__name__ == layer
    whole = load(str(saved))
    prompt, given = REQUESTS[0].prompt, [20, 33, 41, 77, 90, 120]
    [few], [full] = model.score_tokens([prompt], [given]), whole.score_tokens([prompt], [given])
    assert np.isfinite(few).all()
    assert 0 < np.abs(few - full).max() < 2
    assert np.corrcoef(few, full)[0, 1] > 0.9
    assert model.fingerprint()["config"] != whole.fingerprint()["config"]  # a run of the one is not taken up with the other
    together, alone = tokens_and_logprobs(answers(model)), tokens_and_logprobs(answers(model, 1))
    assert together[0] == alone[0]
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_named_with_how_to_install_it(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    for missing, options in (
        ("accelerate", {"device_map": "auto"}),
        ("accelerate", {"load_in_8bit": True}),
        ("bitsandbytes", {"load_in_4bit": True}),
        ("bitsandbytes", {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}),
    ):
        monkeypatch.setattr("trueline.models.placement.find_spec", lambda name, gone=missing: None if name == gone else real(name))
        with pytest.raises(MissingExtra, match=rf"need {missing}; install it: pip install 'trueline\[large\]'"):
            load_model(f"hf:{saved}", **options)
    monkeypatch.undo()
    with pytest.raises((MissingExtra, ModelError), match=r"needs a package that is not installed: .*quanto"):
        load_model(f"hf:{saved}", quantization_config={"quant_method": "quanto", "weights": "int8"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cpu", "device_map": "auto"}, "give one of them"),
        ({"load_in_8bit": True, "load_in_4bit": True}, "give one of quantization_config"),
        ({"load_in_8bit": True, "quantization_config": {"load_in_8bit": True}}, "give one of quantization_config"),
        ({"quantization_config": {"quant_method": "nonsense"}}, "nonsense"),
        ({"quantization_config": "4bit"}, "must be an object"),
        ({"max_memory": {"0": "1GB"}}, "device_map='auto'"),
        ({"dtype": "int3"}, "unknown dtype"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        place(**options)


def test_numbers_of_devices_come_as_text_from_the_command_line() -> None:
    assert place(device_map="auto", max_memory={"0": "1GB", "cpu": "2GB"}).arguments["max_memory"] == {0: "1GB", "cpu": "2GB"}


def test_a_place_that_is_none_is_one_clear_line(saved: Path) -> None:
    for device_map in ("nowhere", {"": "cuda:77"}):
        with pytest.raises(ModelError, match=str(saved)):
            load_model(f"hf:{saved}", device_map=device_map)


@pytest.mark.parametrize("family", ["mixtral", "bloom", "gemma2"])
def test_float64_gives_the_numbers_of_float32(make_model: MakeModel, family: str, tmp_path: Path) -> None:
    model = make_model(family)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    expected, found = (tokens_and_logprobs(answers(load_model(f"hf:{tmp_path}", dtype=dtype))) for dtype in ("float32", "float64"))
    assert found[0] == expected[0]
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5, rtol=0)
