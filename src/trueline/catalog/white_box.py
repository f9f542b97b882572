"""The estimators that look inside a white box; the trained ones take a fit, ``name(fit=RUN)``."""

from __future__ import annotations

from typing import Any

from trueline.catalog.entry import Entry

_PROOF = "proofs/white-box.md"
_POEL = "van der Poel, Cotterell, Meister, arXiv 2210.13210"
_LEE = "Lee et al., arXiv 1807.03888"
_REN = "Ren et al., arXiv 2209.15558"
_ALAIN = "Alain and Bengio, arXiv 1610.01644"
_KADAVATH = "Kadavath et al., arXiv 2207.05221"
_SETTINGS: dict[str, dict[str, Any]] = {"relative_mahalanobis": {"relative": True}, "p_ik": {"place": "prompt", "depth": 1.0}}

# fmt: off
WHITE_BOX = tuple(
    Entry(name, "estimator", f"trueline.estimators.{target}", summary, source, cost, "white", _PROOF, _SETTINGS.get(name, {}))
    for name, target, summary, source, cost in (
        ("pmi", "pmi:MeanPMI", "mean pointwise mutual information of prompt and answer, negated", _POEL, "1 F"),
        ("conditional_pmi", "pmi:ConditionalPMI", "PMI counted at uncertain tokens, negated", _POEL, "1 F"),
        ("rauq", "attention:RAUQ", "confidence carried by attention to the token before", "Vazhentsev et al., arXiv 2505.20045", "1 F"),
        ("attention_score", "attention:AttentionScore", "log attention of tokens to themselves, negated", "Sriramanan et al., 2024", "1 F"),
        ("csl", "attention:CSL", "NLL weighted by an eliciting prompt's attention", "Lin, Trivedi, Sun, arXiv 2406.01806", "1 F"),
        ("eigenscore", "eigenscore:EigenScore", "spread of the samples' hidden states", "Chen et al., arXiv 2402.03744", "M D + M F"),
        ("mahalanobis", "mahalanobis:Mahalanobis", "distance to states of right answers; trained", _LEE, "1 F"),
        ("relative_mahalanobis", "mahalanobis:Mahalanobis", "the same less that to a background; trained", _REN, "1 F"),
        ("linear_probe", "linear_probe:LinearProbe", "logistic regression on the answer's state; trained", _ALAIN, "1 F"),
        ("saplma", "saplma:SAPLMA", "a small network on the answer's state; trained", "Azaria and Mitchell, arXiv 2304.13734", "1 F"),
        ("p_ik", "linear_probe:LinearProbe", "P(IK), the same on the question's state; trained", _KADAVATH, "0"),
    )
)
# fmt: on
