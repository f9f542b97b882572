"""Measure a vision-language model on questions about images.

A LLaVA of some ten thousand parameters learns for a few seconds to name the colour of a square. Then it is measured on squares that are
a mixture of two colours, the first one with the greater share: the closer the shares, the harder to tell. Usage:
python examples/measure_images.py [OUT]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import trueline as tl

COLOURS = {"red": (230, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 230), "yellow": (230, 220, 30)}
QUESTION = "which colour"
STEPS, BATCH, SIDE = 200, 32, 16


def make_processor() -> transformers.LlavaProcessor:
    """Words as tokens, and images of 16 x 16 pixels in four patches."""
    words = ["<end>", "<image>", "\n", *QUESTION.split(), *COLOURS]
    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(words)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", bos_token="<end>", additional_special_tokens=["<image>"]
    )
    eyes = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    settings = {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return transformers.LlavaProcessor(eyes, wrapped, image_token="<image>", **settings)


def make_model(processor: transformers.LlavaProcessor) -> transformers.LlavaForConditionalGeneration:
    """A network with two layers for the image and two for the text."""
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = processor.tokenizer
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**small, image_size=SIDE, patch_size=8, projection_dim=32),
        text_config=transformers.LlamaConfig(
            **small, vocab_size=len(tokens), max_position_embeddings=64, eos_token_id=tokens.eos_token_id, pad_token_id=None
        ),
        image_token_index=tokens.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    return transformers.LlavaForConditionalGeneration(config)


def square(rng: np.random.Generator) -> tuple[Image.Image, str, float]:
    """A noisy mixture of two colours, the name of the one with the greater share, and that share."""
    one, other = rng.choice(list(COLOURS), size=2, replace=False)
    share = rng.uniform(0.5, 0.7)
    colour = share * np.array(COLOURS[one]) + (1 - share) * np.array(COLOURS[other])
    pixels = colour + rng.normal(0, 120, size=(SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), str(one), float(share)


def train(model: transformers.LlavaForConditionalGeneration, processor: transformers.LlavaProcessor) -> None:
    """Fit the colour and the end of the text after each question."""
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(STEPS):
        squares = [square(rng) for _ in range(BATCH)]
        texts = [f"<image> \n {QUESTION} {name} <end>" for _, name, _ in squares]
        given = processor(text=texts, images=[[image] for image, _, _ in squares], return_tensors="pt")
        logits = model(**given).logits
        loss = torch.nn.functional.cross_entropy(logits[:, -3:-1].flatten(0, 1), given["input_ids"][:, -2:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}/{STEPS}: loss {loss.item():.3f}")


def write_questions(folder: Path, n: int = 200) -> Path:
    """A file of questions, and the images that it names."""
    rng = np.random.default_rng(1)
    (folder / "squares").mkdir(exist_ok=True)
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as lines:
        for k in range(n):
            image, name, share = square(rng)
            image.save(folder / "squares" / f"{k}.png")
            row = {"id": f"square-{k}", "question": QUESTION, "answer": name, "image": f"squares/{k}.png", "share": round(share, 3)}
            lines.write(json.dumps(row) + "\n")
    return folder / "questions.jsonl"


def main(out: Path) -> None:
    """Train, save, measure, report."""
    out.mkdir(parents=True, exist_ok=True)
    processor = make_processor()
    model = make_model(processor)
    train(model, processor)
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(out / "model")
    processor.save_pretrained(out / "model")
    task = tl.load_task(write_questions(out))
    task = tl.Task(task.name, task.items, template=" {question}", max_new_tokens=3)

    run = tl.measure(f"hf:{out / 'model'}", task, ["sequence_nll", "mean_token_entropy", "semantic_entropy"], samples=5, out=out / "run")
    metrics = run.metrics
    assert metrics is not None
    accuracy = metrics["headline"]["accuracy"]
    print(f"accuracy {accuracy['value']:.2f} [{accuracy['low']:.2f}, {accuracy['high']:.2f}] on {accuracy['n']} squares")
    for name, found in metrics["estimators"].items():
        auroc = found["metrics"]["auroc"]
        print(f"{name:20} AUROC {auroc['value']:.2f} [{auroc['low']:.2f}, {auroc['high']:.2f}]")
    print(f"report: {run.report()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/measure_images"))
