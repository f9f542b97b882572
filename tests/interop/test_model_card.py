"""Metrics of a run in the metadata of a local model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import trueline as tl
from trueline.cli.app import app
from trueline.errors import InputError, TruelineError
from trueline.interop import model_card
from trueline.interop.model_card import card_results, push_model_card, write_model_card

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tl.Run:
    made = tl.import_generations(next(DATA.glob("samples_facts_choice_*")), tmp_path_factory.mktemp("card") / "run")
    made.score(["sequence_nll", "topk_margin"])
    made.validate(n_boot=50)
    return made


def index(path: Path) -> dict[str, Any]:
    from huggingface_hub import ModelCard

    return {r.metric_type: r for r in ModelCard.load(path).data.eval_results}


def test_a_new_card_holds_values_with_their_intervals(run: tl.Run, tmp_path: Path) -> None:
    path = write_model_card(run, tmp_path / "README.md")
    found = index(path)
    headline = (run.metrics or {})["headline"]["accuracy"]
    assert set(found) == {"accuracy", "auroc", "prr", "smooth_ece"}
    accuracy = found["accuracy"]
    assert accuracy.metric_value == pytest.approx(headline["value"])
    assert accuracy.metric_args["low"] == pytest.approx(headline["low"])
    assert (accuracy.metric_args["n"], accuracy.dataset_name) == (12, "lm-eval:facts_choice")
    assert found["auroc"].metric_name == "AUROC of sequence_nll"
    assert "model-index:\n- name: world-base" in path.read_text()
    assert {r.metric_config for r in card_results(run, "topk_margin")} == {None, "topk_margin"}


def test_what_a_card_says_stays_and_older_results_are_replaced(run: tl.Run, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(
        "---\nlicense: mit\nmodel-index:\n- name: mine\n  results:\n  - task: {type: text-generation}\n"
        "    dataset: {name: other, type: other}\n"
        "    metrics:\n    - {type: bleu, value: 3.5}\n---\n\n# Mine\n\nBy hand: `<b>`.\n"
    )
    for _ in range(2):
        write_model_card(run, path)
    text = path.read_text()
    assert text.endswith("# Mine\n\nBy hand: `<b>`.\n")
    assert "license: mit" in text
    assert text.count("type: accuracy") == 1
    found = index(path)
    assert found["bleu"].metric_value == 3.5
    assert "name: mine" in text


def test_cards_and_runs_that_cannot_be_used(run: tl.Run, tmp_path: Path) -> None:
    for content in ("---\nlicense: [mit\n---\n# x\n", "---\nmodel-index: 7\nmodel_name: x\n---\n", "---\n- a\n---\n"):
        path = tmp_path / "README.md"
        path.write_text(content)
        with pytest.raises(InputError, match="cannot be read"):
            write_model_card(run, path)
        assert path.read_text() == content
    with pytest.raises(InputError, match="no folder"):
        write_model_card(run, tmp_path / "none" / "README.md")
    with pytest.raises(InputError, match="no metrics of 'x'"):
        card_results(run, "x")
    bare = tl.import_generations(next(DATA.glob("samples_facts_choice_*")), tmp_path / "bare")
    with pytest.raises(InputError, match="trueline validate"):
        card_results(bare)


def test_a_card_is_pushed_only_when_asked_and_the_token_is_never_shown(
    run: tl.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import ModelCard

    pushed: list[str] = []

    def push(self: ModelCard, repo: str, **options: Any) -> str:
        pushed.append(repo)
        if repo == "me/closed":
            from huggingface_hub.errors import LocalTokenNotFoundError

            raise LocalTokenNotFoundError("no token")
        return f"https://hub.example/{repo}"

    monkeypatch.setattr(ModelCard, "push_to_hub", push)
    monkeypatch.setenv("HF_TOKEN", "hf_planted_secret")
    path = str(tmp_path / "README.md")
    runner = CliRunner()
    done = runner.invoke(app, ["report", str(run.path), "--model-card", path])
    assert (done.exit_code, pushed) == (0, [])
    done = runner.invoke(app, ["report", str(run.path), "--model-card", path, "--push", "me/model"])
    assert (done.exit_code, pushed) == (0, ["me/model"])
    assert "pushed: https://hub.example/me/model" in done.output
    done = runner.invoke(app, ["report", str(run.path), "--push", "me/model"])
    assert (done.exit_code, "--model-card" in done.output) == (2, True)
    with pytest.raises(TruelineError, match="HF_TOKEN"):
        push_model_card(path, "me/closed")
    assert "hf_planted_secret" not in Path(path).read_text() + done.output
    assert model_card.SOURCE == "trueline"
