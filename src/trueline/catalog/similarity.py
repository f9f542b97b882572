"""The estimators that compare texts, what compares them, and further forms of stated confidence."""

from __future__ import annotations

from typing import Any

from trueline.catalog.entry import Entry

_SAR = "Duan et al., arXiv 2307.01379"
_COCOA = "Vashurin et al., arXiv 2502.04964"
_CHECK = "Manakul, Liusie, Gales, arXiv 2303.08896"
_UQLM = "uqlm (Apache-2.0, cvs-health)"
_FOMICHEVA = "Fomicheva et al., arXiv 2005.10608"
_AT = "trueline.estimators"
_VERBALIZED = "trueline.estimators.verbalized:Verbalized"
_TIAN = "Tian et al., arXiv 2305.14975"
_BASE = "proofs/semantic-and-sampling-baselines.md"
_PROOF = "proofs/text-comparison.md"
_SETTINGS: dict[str, dict[str, Any]] = {
    "cocoa_ppl": {"base": "ppl"},
    "cocoa_mte": {"base": "mte"},
    "pairwise_similarity": {"reference": "samples"},
    "selfcheck_ngram": {"n": 2},
}

# fmt: off
TEXT_COMPARISON = tuple(
    Entry(name, "estimator", f"{_AT}.{target}", summary, source, cost, color, _PROOF, _SETTINGS.get(name, {}))
    for name, target, summary, source, cost, color in (
        ("token_sar", "sar:TokenSAR", "NLL with tokens weighted by relevance", _SAR, "T N", "logprobs"),
        ("sentence_sar", "sar:SentSAR", "NLL of samples, helped by similar ones", _SAR, "M D + M^2 N", "logprobs"),
        ("sar", "sar:SAR", "both shifts to relevance", _SAR, "M D + (M^2 + M T) N", "logprobs"),
        ("cocoa_msp", "cocoa:CoCoA", "sequence NLL times distance to the samples", _COCOA, "M D + M N", "logprobs"),
        ("cocoa_ppl", "cocoa:CoCoA", "mean NLL times distance to the samples", _COCOA, "M D + M N", "logprobs"),
        ("cocoa_mte", "cocoa:CoCoA", "mean token entropy times distance to the samples", _COCOA, "M D + M N", "white"),
        ("text_similarity", "text_similarity:TextSimilarity", "1 - likeness to samples: cosine, BERTScore", _UQLM, "M D + M N", "black"),
        ("pairwise_similarity", "text_similarity:TextSimilarity", "1 - similarity among the samples", _FOMICHEVA, "M D + M^2 N", "black"),
        ("ccp", "claim_conditioned:CCP", "certainty of tokens given the claim", "Fadeeva et al., arXiv 2403.04696", "T k N", "logprobs"),
        ("selfcheck_nli", "selfcheck:SelfCheckNLI", "samples contradict the answer's sentences", _CHECK, "M D + S M N", "black"),
        ("selfcheck_bertscore", "selfcheck:SelfCheckSimilarity", "no sample says a sentence in like words", _CHECK, "M D + S M N", "black"),
        ("selfcheck_unigram", "selfcheck:SelfCheckNgram", "the rarest word of a sentence among all samples", _CHECK, "M D", "black"),
        ("selfcheck_ngram", "selfcheck:SelfCheckNgram", "the rarest word pair of a sentence", _CHECK, "M D", "black"),
        ("selfcheck_prompt", "selfcheck:SelfCheckPrompt", "the model says that samples do not support it", _CHECK, "M D + S M D", "black"),
    )
)
STATED = tuple(
    Entry(name, "estimator", _VERBALIZED, summary, _TIAN, "1 D", "black", _BASE, {"form": name.removeprefix("verbalized_")})
    for name, summary in (
        ("verbalized_topk", "1 - the stated probability of the best of four guesses"),
        ("verbalized_linguistic", "1 - what the stated expression of confidence stands for"),
    )
)
SIMILARITIES = tuple(
    Entry(name, "similarity", f"trueline.estimators.similarity:{target}", summary, source, cost, "black", _PROOF)
    for name, target, summary, source, cost in (
        ("char3", "Char3", "cosine of character 3-grams", "spelling alone", "0"),
        ("cross", "CrossEncoder", "a cross-encoder of one label, cross:DIR", "Reimers and Gurevych, arXiv 1908.10084", "N a pair"),
        ("encoder", "SentenceEncoder", "cosine of mean token vectors, encoder:DIR", "Reimers and Gurevych, arXiv 1908.10084", "N a text"),
        ("bertscore", "BERTScore", "greedy matching of token vectors, bertscore:DIR", "Zhang et al., arXiv 1904.09675", "N a text"),
    )
)
# fmt: on
