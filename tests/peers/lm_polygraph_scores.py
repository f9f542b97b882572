"""LM-Polygraph's estimators on the statistics of a file: prints its version, what it exports, and the scores as one JSON line.

Runs in an environment that has lm-polygraph in it: ``python lm_polygraph_scores.py STATS.json``.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from lm_polygraph import estimators as lmp
from lm_polygraph.stat_calculators.semantic_classes import SemanticClassesCalculator

RAGGED = ("greedy_log_probs", "attention_all", "forwardpass_attention_weights", "attention_weights_eliciting_prompt", "token_similarity")
FLOAT32 = ("embeddings_decoder", "train_embeddings_decoder", "background_train_embeddings_decoder")


def statistics(path: str) -> dict[str, Any]:
    """The file with arrays where LM-Polygraph computes with arrays, and the clusters of its own calculator."""
    with open(path, encoding="utf-8") as file:
        stats: dict[str, Any] = json.load(file)
    for name in stats:
        if name in RAGGED:
            stats[name] = [np.array(part) for part in stats[name]]
        elif name.startswith(("semantic_matrix", "concat_")) or name.endswith("sentence_similarity") or name == "sample_embeddings":
            stats[name] = np.array(stats[name])
        elif name in FLOAT32:
            stats[name] = np.array(stats[name], dtype=np.float32)
    stats["sample_token_similarity"] = [[np.array(part) for part in item] for item in stats["sample_token_similarity"]]
    return stats | SemanticClassesCalculator()(stats, None, None)


def battery(stats: dict[str, Any]) -> dict[str, Any]:
    """Name of the comparison -> estimator."""
    graphs = {"EigValLaplacian": lmp.EigValLaplacian, "DegMat": lmp.DegMat, "Eccentricity": lmp.Eccentricity}
    found = {
        f"{name}/{score}/{affinity}": make(f"{score}_score", affinity)
        for name, make in graphs.items()
        for score, affinity in (("NLI", "entail"), ("NLI", "contra"), ("Jaccard", "entail"))
    }
    found |= {f"LexicalSimilarity/{metric}": lmp.LexicalSimilarity(metric) for metric in ("rougeL", "rouge1", "BLEU")}
    found |= {
        "SemanticEntropy/unique": lmp.SemanticEntropy(use_unique_responses=True),
        "SemanticEntropy/frequency": lmp.SemanticEntropy(class_probability_estimation="frequency"),
        "AttentionScore": lmp.AttentionScore(layer=stats["n_layers"] // 2, gen_only=True),
        "RAUQ": lmp.RAUQ(n_layers=stats["n_layers"], n_heads=stats["n_heads"]),
        "Verbalized1S": lmp.Verbalized1S(r"Probability: ([0-9.]+)"),
    }
    plain = """MaximumSequenceProbability Perplexity MeanTokenEntropy SelfCertainty RenyiNeg FisherRao MeanPointwiseMutualInformation
        MeanConditionalPointwiseMutualInformation PTrue MonteCarloSequenceEntropy MonteCarloNormalizedSequenceEntropy NumSemSets
        SemanticEntropy LabelProb KernelLanguageEntropy LUQ SemanticDensity TokenSAR SentenceSAR SAR CocoaMSP CocoaPPL CocoaMTE CSL
        EigenScore ClaimConditionedProbability MahalanobisDistanceSeq RelativeMahalanobisDistanceSeq"""
    return found | {name: getattr(lmp, name)() for name in plain.split()}


def main() -> None:
    stats = statistics(sys.argv[1])
    with open(os.devnull, "w", encoding="utf-8") as nothing, contextlib.redirect_stdout(nothing):
        scores = {name: np.asarray(estimator(stats), dtype=np.float64).tolist() for name, estimator in battery(stats).items()}
    exported = sorted(name for name, value in vars(lmp).items() if inspect.isclass(value))
    print(json.dumps({"version": version("lm-polygraph"), "exported": exported, "scores": scores}))


if __name__ == "__main__":
    main()
