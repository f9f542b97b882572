from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from trueline.errors import InputError, ModelError
from trueline.estimators.engine import judge_trace, score_trace
from trueline.estimators.equivalence import NLI
from trueline.estimators.equivalence.nli import label_order
from trueline.estimators.loading import load_estimators
from trueline.traces import make_trace

PAIRS = [("paris is the capital", "it could be marseille"), ("yes", "no"), ("lyon", "lyon is not a cat"), ("42", "42")]

ORDERS = [
    {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"},
    {0: "entailment", 1: "neutral", 2: "contradiction"},
    {0: "Entails", 1: "Contradicts", 2: "Neutral"},
]


def reference(path, pairs):
    """Softmax of the checkpoint's logits, one pair at a time, through transformers alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForSequenceClassification.from_pretrained(path).eval()
    with torch.inference_mode():
        logits = [model(**tokenizer(a, b, return_tensors="pt")).logits[0] for a, b in pairs]
    return torch.stack(logits).softmax(-1).numpy()


@pytest.mark.parametrize("family", ["deberta", "roberta"])
@pytest.mark.parametrize("order", ORDERS)
def test_columns_follow_the_labels_of_the_config(make_nli, family, order) -> None:
    path = make_nli(family, order)
    verdicts = NLI(str(path)).judge(PAIRS)
    by_name = {name[:3].lower(): k for k, name in order.items()}
    expected = reference(path, PAIRS)[:, [by_name["ent"], by_name["neu"], by_name["con"]]]
    assert verdicts.probs == pytest.approx(expected, abs=1e-5), "padding and batching change nothing"
    assert verdicts.probs.sum(axis=1) == pytest.approx(np.ones(len(PAIRS)), abs=1e-6)
    assert np.abs(verdicts.probs[0] - verdicts.probs[1]).max() > 1e-3
    assert not verdicts.truncated.any()


@pytest.mark.parametrize(
    "labels",
    [
        {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"},
        {0: "entailment", 1: "not_entailment"},
        {0: "entailment", 1: "entailment", 2: "neutral"},
        {0: "positive", 1: "neutral", 2: "negative"},
        {},
    ],
)
def test_labels_that_are_not_nli_are_refused(labels) -> None:
    with pytest.raises(InputError, match=r"labels='contradiction,neutral,entailment'"):
        label_order({"id2label": {str(k): v for k, v in labels.items()}})


def test_labels_can_be_given(make_nli) -> None:
    path = make_nli("deberta", {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"})
    judge = NLI(str(path), labels="neutral,entailment,contradiction")
    assert judge.judge(PAIRS).probs == pytest.approx(reference(path, PAIRS)[:, [1, 0, 2]], abs=1e-5)
    assert judge.fingerprint() != NLI(str(path), labels="entailment,neutral,contradiction").fingerprint()


def test_long_pairs_are_cut_and_counted(make_nli) -> None:
    path = make_nli("deberta", max_length=20)
    long = "paris is the capital of france " * 20
    verdicts = NLI(str(path)).judge([("yes", "no"), (long, "no"), ("no", long)])
    assert verdicts.truncated.tolist() == [False, True, True]
    assert np.isfinite(verdicts.probs).all()
    trace = make_trace([{"item_id": "a", "kind": "sample", "text": t} for t in ("yes", "no", long)])
    assert judge_trace(trace, NLI(str(path))).settings["truncated"] == 4


def test_a_megabyte_is_cut_before_it_is_tokenized(make_nli) -> None:
    judge = NLI(str(make_nli("deberta", max_length=20)))
    text = "paris is the capital of france "
    verdicts = judge.judge([(text * 30_000, "no"), (text * 100, "no")])
    assert verdicts.truncated.all()
    assert verdicts.probs[0] == pytest.approx(verdicts.probs[1], abs=1e-6)


def test_roberta_positions_limit_the_length(make_nli) -> None:
    judge = NLI(str(make_nli("roberta", max_length=10_000)))
    verdicts = judge.judge([("paris is the capital of france " * 20, "no")])
    assert verdicts.truncated.all()
    assert np.isfinite(verdicts.probs).all()


def test_question_goes_in_front_of_both_answers(make_nli) -> None:
    path = str(make_nli())
    assert NLI(path).render("who wrote it?", "a", "b") == ("who wrote it? a", "who wrote it? b")
    assert NLI(path).render("", "a", "b") == ("a", "b")
    assert NLI(path, prefix_question=False).render("who wrote it?", "a", "b") == ("a", "b")
    rows = [{"item_id": "a", "kind": "sample", "text": t} for t in ("yes", "no")]
    one = judge_trace(make_trace(rows, questions={"a": "who wrote it?"}), NLI(path)).items[0]
    assert one is not None
    expected = NLI(path).judge([("who wrote it? yes", "who wrote it? no")]).probs[0]
    assert one.probs[0, 1] == pytest.approx(expected, abs=1e-6)


def test_scores_from_a_checkpoint_and_from_its_cache(make_nli, tmp_path) -> None:
    path = str(make_nli())
    rng = np.random.default_rng(0)
    answers = ["paris", "lyon", "it is paris", "a cat"]
    rows = [{"item_id": f"q{k}", "kind": "greedy", "text": answers[k % 4], "token_logprobs": [-0.5]} for k in range(6)]
    rows += [
        {"item_id": f"q{k}", "kind": "sample", "text": str(rng.choice(answers)), "token_logprobs": [-1.0, -0.5]}
        for k in range(6)
        for _ in range(5)
    ]
    trace = make_trace(rows)
    names = "semantic_entropy,num_semantic_sets,eigv_nli,deg_nli,ecc_nli,kernel_language_entropy,luq,contradiction,semantic_density"
    estimators = load_estimators(names)
    first = score_trace(trace.with_judgements(judge_trace(trace, NLI(path), tmp_path / "c.sqlite")), estimators)
    judged = judge_trace(trace, NLI(path), tmp_path / "c.sqlite")
    assert judged.settings["asked"] == 0
    again = score_trace(trace.with_judgements(judged), estimators)
    for name, scores in first.items():
        assert np.isfinite(scores).all(), name
        assert scores.tobytes() == again[name].tobytes()


def test_fingerprint_is_of_the_content_not_the_place(make_nli, tmp_path) -> None:
    path = make_nli()
    shutil.copytree(path, tmp_path / "copy")
    assert NLI(str(path)).fingerprint() == NLI(str(tmp_path / "copy")).fingerprint()
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**config, "num_attention_heads": 4}))
    assert NLI(str(path)).fingerprint() != NLI(str(tmp_path / "copy")).fingerprint()
    assert str(path.parent) not in NLI(str(path)).name


def test_unusable_checkpoints_are_refused(make_nli, tmp_path) -> None:
    path = make_nli()
    pickled = tmp_path / "pickled"
    shutil.copytree(path, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    (pickled / "pytorch_model.bin").write_bytes(b"no matter")
    with pytest.raises(ModelError, match="safetensors"):
        NLI(str(pickled)).judge(PAIRS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"config\.json"):
        NLI(str(tmp_path / "empty")).fingerprint()
    broken = tmp_path / "broken"
    shutil.copytree(path, broken)
    (broken / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(ModelError, match="cannot be loaded"):
        NLI(str(broken)).judge(PAIRS)


@pytest.mark.parametrize(("path", "message"), [("/no/such/place", "no directory"), ("~/nothing-here", "no directory"), ("org/none", "Hub")])
def test_places_without_a_checkpoint_are_named(path, message) -> None:
    for call in (NLI(path).fingerprint, lambda: NLI(path).judge(PAIRS)):
        with pytest.raises(ModelError, match=message):
            call()


def test_base_model_gets_no_random_head(make_nli, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "headless"
    shutil.copytree(make_nli(), path)
    weights = {k: v for k, v in load_file(path / "model.safetensors").items() if not k.startswith("classifier")}
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="no NLI checkpoint"):
        NLI(str(path)).judge(PAIRS)
