"""Capture: from needs to one plan to the fewest model passes to a trace."""

from trueline.capture.engine import SHARD_ITEMS, capture, capture_items, draw_seed
from trueline.capture.needs import PROBES, Needs, union
from trueline.capture.planner import Plan, make_plan, refusal
from trueline.capture.probes import answer_prompt, probe_prompt

__all__ = [
    "PROBES",
    "SHARD_ITEMS",
    "Needs",
    "Plan",
    "answer_prompt",
    "capture",
    "capture_items",
    "draw_seed",
    "make_plan",
    "probe_prompt",
    "refusal",
    "union",
]
