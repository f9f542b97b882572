"""The twelve scores of Huang et al.: single-inference by sentence, variation ratios of samples and of perturbed answers."""

from __future__ import annotations

from typing import Any

from trueline.catalog.entry import Entry

_PROOF = "proofs/look-before-you-leap.md"
_HUANG = "Huang et al., arXiv 2307.10236"
_POINTS = {"max_entropy": "least certain token", "min_entropy": "surest token", "max_increase": "largest rise of entropy"}


def _entry(name: str, target: str, summary: str, cost: str, color: str, **settings: Any) -> Entry:
    return Entry(name, "estimator", f"trueline.estimators.{target}", summary, _HUANG, cost, color, _PROOF, settings)


# fmt: off
VARIATION = (
    _entry("sentence_max_nll", "sentence:SentenceNLL", "largest token NLL of a sentence, mean over sentences", "0", "logprobs"),
    _entry("sentence_avg_nll", "sentence:SentenceNLL", "mean token NLL of a sentence, mean over sentences", "0", "logprobs", reduce="mean"),
    _entry("sentence_max_entropy", "sentence:SentenceEntropy", "largest token entropy of a sentence, mean over sentences", "0", "white"),
    _entry(
        "sentence_avg_entropy", "sentence:SentenceEntropy", "mean token entropy of a sentence, mean over sentences", "0", "white",
        reduce="mean",
    ),
    _entry(
        "sentence_max_entropy_topk", "sentence:SentenceEntropy", "the same from the 5 best tokens that an API shows", "0", "logprobs",
        law="topk",
    ),
    _entry(
        "sentence_avg_entropy_topk", "sentence:SentenceEntropy", "the same from the 5 best tokens that an API shows", "0", "logprobs",
        reduce="mean", law="topk",
    ),
    _entry("sample_vr", "variation_ratio:SampleVR", "mean distance between samples", "M D", "black"),
    _entry("sample_vro", "variation_ratio:SampleVRO", "mean distance of the samples to the greedy answer", "M D", "black"),
    *(
        _entry(
            f"perturb_{short}_{point}", f"variation_ratio:Perturb{short.upper()}", f"{what}, one token replaced at the {where}",
            "4 D", "white", point=point,
        )
        for point, where in _POINTS.items()
        for short, what in (("vr", "distance between answers"), ("vro", "distance to the greedy answer"))
    ),
)
# fmt: on
