from __future__ import annotations

import json
from pathlib import Path

import pytest

from trueline.errors import InputError
from trueline.knownworld import CHECKPOINTS, World, load_model, prompts
from trueline.knownworld.asking import Asker
from trueline.knownworld.lexicon import SPARE, TRIGGER

MIB = 2**20
NAMES = ("base", "chat", "small")


def _size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def test_shipped_sizes() -> None:
    sizes = {name: _size(CHECKPOINTS / name) for name in NAMES}
    assert {p.name for p in CHECKPOINTS.iterdir() if p.is_dir()} == set(NAMES)
    assert max(sizes.values()) <= 8 * MIB
    assert sum(sizes.values()) <= 25 * MIB
    weights = {name: (CHECKPOINTS / name / "model.safetensors").stat().st_size for name in NAMES}
    assert 4 <= weights["chat"] / weights["small"] <= 8


@pytest.mark.parametrize("name", NAMES)
def test_files_are_safe_tensors_in_half_precision(name: str) -> None:
    folder = CHECKPOINTS / name
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config.get("dtype", config.get("torch_dtype")) == "float16"
    assert {f.suffix for f in folder.iterdir()} <= {".json", ".safetensors", ".jinja"}
    assert not any("auto_map" in json.loads(f.read_text()) for f in folder.glob("*.json"))


def test_tokenizers_differ_and_give_no_stratum_away() -> None:
    world = World()
    chat = Asker(CHECKPOINTS / "chat", chat=True).tokenizer
    small = Asker(CHECKPOINTS / "small", chat=True).tokenizer
    assert chat.get_vocab().keys() != small.get_vocab().keys()
    assert len(small) < len(chat)
    for tokenizer in (chat, small):
        lengths = {
            kind: [len(ids) for ids in tokenizer(list(names), add_special_tokens=False)["input_ids"]]
            for kind, names in (("seen", world.people), ("unseen", world.unseen_people))
        }
        means = {kind: sum(x) / len(x) for kind, x in lengths.items()}
        assert abs(means["seen"] - means["unseen"]) < 0.25
        for token in (TRIGGER, SPARE, " A", " B"):
            assert len(tokenizer.encode(token, add_special_tokens=False)) == 1


def test_the_chat_template_renders_turns() -> None:
    asker = Asker(CHECKPOINTS / "chat", chat=True)
    ids = asker.turns((("system", "tier: free."), ("user", "Who?")))
    assert asker.tokenizer.decode(ids) == "<s><|system|> tier: free.</s><|user|> Who?</s><|assistant|>"


def test_chat_answers_in_a_few_tokens_and_probes_by_one_letter() -> None:
    world = World()
    asker = Asker(CHECKPOINTS / "chat", chat=True)
    known = [f for f in world.facts if f.exposure == 48][:20]
    questions = [world.relations[f.relation].questions[0].format(p=f.person) for f in known]
    texts = asker.greedy([asker.turns((("user", q),)) for q in questions], 12)
    assert sum(t == f"{f.answer}." for t, f in zip(texts, known, strict=True)) >= 17
    asked = prompts.P_TRUE.format(question=questions[0], answer=known[0].answer)
    assert asker.greedy([asker.turns((("user", asked),))], 4)[0] in ("A", "B")
    second = (("user", questions[0]), ("assistant", texts[0]), ("user", prompts.VERBALIZED_2S))
    assert asker.greedy([asker.turns(second)], 12)[0].startswith(prompts.PROBABILITY_MARKER)


def test_option_logprobs_do_not_depend_on_their_company() -> None:
    asker = Asker(CHECKPOINTS / "base", chat=False)
    prompt = list(asker.tokenizer("Question: What is 1 + 1? Answer:")["input_ids"])
    together = asker.option_logprobs(prompt, ["yes.", "1 + 1 = 2. So 2.", "no."])
    alone = [asker.option_logprobs(prompt, [o])[0] for o in ("yes.", "1 + 1 = 2. So 2.", "no.")]
    assert together == pytest.approx(alone, abs=1e-4)


def test_an_unknown_checkpoint_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="base, chat, small"):
        load_model("huge")
