"""Models by URI and checkpoints from disk: what loads, and one clear line for what does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trueline.errors import InputError, ModelError
from trueline.models import GenerationRequest, GenerationSettings, Prompt, load_model
from trueline.models.checkpoints import weight_files
from trueline.models.local import LocalModel

MakeModel = Callable[..., LocalModel]


@pytest.fixture(scope="module")
def saved(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_model("gpt2")
    folder = tmp_path_factory.mktemp("checkpoint")
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def broken(saved: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint to damage."""
    return Path(shutil.copytree(saved, tmp_path / "broken"))


def test_a_saved_model_answers_as_the_one_in_memory(saved: Path, make_model: MakeModel, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load_model(f"hf:{saved}")
    assert capfd.readouterr() == ("", "")
    assert loaded.uri == f"hf:{saved}"
    request = GenerationRequest(Prompt(text="The capital"), sample_seeds=(1, 2))
    settings = GenerationSettings(max_new_tokens=8)
    [a], [b] = loaded.generate([request], settings), make_model("gpt2").generate([request], settings)
    assert [row.tokens for row in a.samples] == [row.tokens for row in b.samples]
    assert a.greedy is not None
    assert b.greedy is not None
    np.testing.assert_array_equal(a.greedy.token_logprobs, b.greedy.token_logprobs)


def test_the_fingerprint_follows_the_content_and_not_the_place(saved: Path, broken: Path) -> None:
    here, there = load_model(f"hf:{saved}"), load_model(f"hf:{broken}")
    assert here.fingerprint() == there.fingerprint()
    assert json.loads(json.dumps(here.fingerprint())) == here.fingerprint()
    assert str(saved) not in json.dumps(here.fingerprint())
    assert load_model(f"hf:{saved}", dtype="bfloat16").fingerprint()["dtype"] == "bfloat16"
    [file] = weight_files(str(broken))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert load_model(f"hf:{broken}").fingerprint()["weights"] != here.fingerprint()["weights"]


def test_sharded_weights_are_all_hashed(saved: Path, make_model: MakeModel, tmp_path: Path) -> None:
    make_model("gpt2").model.save_pretrained(tmp_path, max_shard_size="30KB")
    files = weight_files(str(tmp_path))
    assert len(files) > 1
    assert {file.name for file in files} == {file.name for file in tmp_path.glob("*.safetensors")}


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_other_number_types_give_finite_float64_logprobs(saved: Path, dtype: str) -> None:
    model = load_model(f"hf:{saved}", dtype=dtype)
    settings = GenerationSettings(max_new_tokens=6, greedy_columns=frozenset({"token_entropy"}))
    [result] = model.generate([GenerationRequest(Prompt(text="x"), sample_seeds=(1,))], settings)
    assert result.greedy is not None
    assert result.greedy.token_logprobs is not None
    assert result.greedy.token_logprobs.dtype == np.float64
    assert np.isfinite(result.greedy.token_logprobs).all()
    assert np.isfinite(result.greedy.stats["token_entropy"]).all()


def test_an_eager_attention_can_be_asked_for(saved: Path) -> None:
    model = load_model(f"hf:{saved}", attn_implementation="eager")
    assert isinstance(model, LocalModel)
    assert model.model.config._attn_implementation == "eager"


def test_pickled_weights_are_not_loaded(broken: Path, make_model: MakeModel) -> None:
    (broken / "model.safetensors").unlink()
    torch.save(make_model("gpt2").model.state_dict(), broken / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no usable safetensors.*save_pretrained"):
        load_model(f"hf:{broken}")


def test_code_of_a_checkpoint_needs_a_word_in_that_call(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    config |= {"model_type": "homemade", "architectures": ["Homemade"]}
    config["auto_map"] = {"AutoConfig": "homemade.HomemadeConfig", "AutoModelForCausalLM": "homemade.Homemade"}
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "homemade.py").write_text(f"open({str(broken / 'ran')!r}, 'w').close()\n")
    with pytest.raises(ModelError, match="trust_remote_code=True"):
        load_model(f"hf:{broken}")
    assert not (broken / "ran").exists()


def test_a_broken_checkpoint_says_what_is_wrong(broken: Path) -> None:
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match="SafetensorError"):
        load_model(f"hf:{broken}")
    (broken / "config.json").write_text("{not json")
    with pytest.raises(ModelError, match="broken"):
        load_model(f"hf:{broken}")
    (broken / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(f"hf:{broken}")


def test_missing_weights_are_not_filled_with_noise(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "n_layer": 3}))
    with pytest.raises(ModelError, match="lacks"):
        load_model(f"hf:{broken}")


def test_weights_of_other_shapes_are_refused(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, "n_embd": 64}))
    with pytest.raises(ModelError, match="broken"):
        load_model(f"hf:{broken}")


def test_a_model_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no directory"):
        load_model(f"hf:{tmp_path / 'nowhere'}")
    with pytest.raises(ModelError, match="hub"):
        load_model("hf:trueline-tests/no-such-model")


def test_uris_and_options_that_mean_nothing(saved: Path) -> None:
    with pytest.raises(InputError, match=r"did you mean world\?"):
        load_model("wrld:chat")
    with pytest.raises(InputError, match=f"write hf:{saved}"):
        load_model(str(saved))
    with pytest.raises(InputError, match="names nothing"):
        load_model("hf:")
    with pytest.raises(InputError, match=r"did you mean dtype\?"):
        load_model(f"hf:{saved}", dtyp="float32")
    with pytest.raises(InputError, match="float32"):
        load_model(f"hf:{saved}", dtype="int4")
    with pytest.raises(ModelError, match="device"):
        load_model(f"hf:{saved}", device="cuda:77")
    with pytest.raises(ModelError, match="chat template"):
        load_model(f"hf:{saved}", chat=True)


def test_every_scheme_of_the_catalog_is_resolved_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    fake = types.ModuleType("fake_models")
    seen: list[Any] = []
    fake.load = lambda rest, **options: seen.append((rest, options)) or "model"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fake_models", fake)
    monkeypatch.setitem(__import__("trueline.catalog").catalog.MODEL_SCHEMES, "fake", "fake_models:load")
    assert load_model("fake:a:b", size=3) == "model"
    assert seen == [("a:b", {"size": 3})]
