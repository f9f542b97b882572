"""The battery in LM-Polygraph 0.7, timed. Runs in the peer's own environment; prints one JSON line."""

from __future__ import annotations

import argparse
import json
import logging
import resource
import time
from pathlib import Path

import torch
from lm_polygraph.defaults.register_default_stat_calculators import register_default_stat_calculators
from lm_polygraph.estimators import (
    SAR,
    DegMat,
    EigValLaplacian,
    LexicalSimilarity,
    MaximumSequenceProbability,
    MeanTokenEntropy,
    Perplexity,
    PTrue,
    SemanticEntropy,
)
from lm_polygraph.generation_metrics import AccuracyMetric
from lm_polygraph.model_adapters import WhiteboxModel
from lm_polygraph.ue_metrics import ROCAUC, PredictionRejectionArea
from lm_polygraph.utils.builder_enviroment_stat_calculator import BuilderEnvironmentStatCalculator
from lm_polygraph.utils.dataset import Dataset
from lm_polygraph.utils.generation_parameters import GenerationParameters
from lm_polygraph.utils.manager import UEManager
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fixture", type=Path)
    parser.add_argument("--batch-size", type=int, default=8)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    folder = args.fixture
    tokenizer = AutoTokenizer.from_pretrained(folder / "model", padding_side="left")
    network = AutoModelForCausalLM.from_pretrained(folder / "model").eval()
    model = WhiteboxModel(network, tokenizer, model_path="small", generation_parameters=GenerationParameters(allow_newlines=True, top_k=0))
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    data = Dataset([r["asked"] for r in rows], [" " + r["answer"] for r in rows], batch_size=args.batch_size)
    # its default, attention maps, fails with transformers 5 unless the model is loaded with eager attention
    calculators = register_default_stat_calculators("Whitebox", output_attentions=False)
    for calculator in calculators:
        if "nli_model" in calculator.cfg:
            calculator.cfg.nli_model.deberta_path = str(folder / "nli")
            calculator.cfg.nli_model.device = "cpu"
        if "cross_encoder_name" in calculator.cfg:
            calculator.cfg.cross_encoder_name = str(folder / "cross")
        if calculator.name == "SamplingGenerationCalculator":
            calculator.cfg.samples_n = 10
    battery = [
        Perplexity(), MeanTokenEntropy(), MaximumSequenceProbability(), SemanticEntropy(), LexicalSimilarity("rougeL"), DegMat(),
        EigValLaplacian(), PTrue(), SAR(),
    ]  # fmt: skip
    manager = UEManager(
        data, model, battery, BuilderEnvironmentStatCalculator(model), calculators, [AccuracyMetric()],
        [ROCAUC(), PredictionRejectionArea()], [], ignore_exceptions=False, verbose=False, max_new_tokens=20,
    )  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    manager()
    print(
        json.dumps(
            {
                "cpu_s": round(time.process_time() - cpu, 2),
                "wall_s": round(time.perf_counter() - wall, 2),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
