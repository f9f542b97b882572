"""Ask each question ten times: are the errors systematic, and what does one greedy answer hide?

Usage: python examples/repeated_answers.py [OUT]
"""

from __future__ import annotations

import sys
from pathlib import Path

import trueline as tl
from trueline.reports.audit_page import write_audit


def main(out: Path) -> None:
    """Sums of one to eight steps, then facts asked in six wordings."""
    sums = tl.measure("world:chat", "world:sums", ["self_consistency"], samples=10, limit=80, out=out / "sums")
    errors = tl.audit_errors(sums, by="steps")
    for group in errors["groups"]:
        part = group["brier"]
        print(f"{group['group']} steps: accuracy {part['accuracy']['value']:.2f}, error {part['error']['value']:.2f}")
    agreement = tl.Estimate.from_json(errors["overall"]["wrong_agreement"])
    print(f"two wrong samples of one sum agree: {agreement}")
    write_audit(errors, out / "errors.html")

    facts = tl.measure("world:chat", "world:facts?wordings=paraphrases", ["self_consistency"], samples=6, limit=120, out=out / "facts")
    found = tl.audit_distribution(facts, ks=(1, 5))
    print(f"vote of five less greedy: {tl.Estimate.from_json(found['capability']['gain_vote']['5'])}")
    for part in ("sampling_part", "prompt_part"):
        print(f"{part}: {tl.Estimate.from_json(found['wording'][part])}")
    write_audit(found, out / "distribution.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs"))
