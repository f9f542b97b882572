"""Score generations that were made elsewhere: an API log with sampled texts, here without log-probs.

Usage: python examples/import_generations.py [OUT]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from trueline.importing import import_generations

LOG = [
    ("What is the boiling point of water at sea level, in Celsius?", ["100"], ["100", "100 degrees", "It is 100.", "100"]),
    ("Who painted the Mona Lisa?", ["Leonardo da Vinci"], ["Leonardo da Vinci", "Leonardo da Vinci", "Michelangelo", "Leonardo da Vinci"]),
    ("What is the capital of Australia?", ["Canberra"], ["Sydney", "Canberra", "Sydney", "Melbourne"]),
    ("In which year did the Titanic sink?", ["1912"], ["1912", "1912", "In 1912", "1912"]),
    ("Which river flows through Baghdad?", ["Tigris"], ["Euphrates", "Tigris", "The Nile", "Euphrates"]),
    ("Who wrote Middlemarch?", ["George Eliot"], ["George Eliot", "George Eliot", "George Eliot", "George Eliot"]),
]


def main(out: Path) -> None:
    """Write the log, import it, score and validate."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "generations.jsonl"
    lines = [json.dumps({"id": f"q{k}", "question": q, "references": refs, "samples": texts}) for k, (q, refs, texts) in enumerate(LOG)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    run = import_generations(path, out / "run")
    scores = run.score()
    print(scores.select("item_id", "self_consistency", "lexical_similarity", "semantic_entropy_discrete"))
    run.grade("contains")
    accuracy = run.validate()["headline"]["accuracy"]
    print(f"accuracy {accuracy['value']:.2f} [{accuracy['low']:.2f}, {accuracy['high']:.2f}] on {accuracy['n']} questions")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/import_generations"))
