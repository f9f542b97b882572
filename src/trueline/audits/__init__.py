"""Audits: each builds its probes, has them judged and sums the answers up into findings."""

from __future__ import annotations

from trueline.audits.discretion import DiscretionAudit, DiscretionReport
from trueline.audits.distribution import audit_distribution
from trueline.audits.incoherence import audit_errors
from trueline.audits.preferring import Likelihood, RewardModel
from trueline.audits.principle_oracle import judge_pairs, principle_oracle
from trueline.audits.principles import LISTS, Principle, load_principles, parse_principles

__all__ = [
    "LISTS",
    "DiscretionAudit",
    "DiscretionReport",
    "Likelihood",
    "Principle",
    "RewardModel",
    "audit_distribution",
    "audit_errors",
    "judge_pairs",
    "load_principles",
    "parse_principles",
    "principle_oracle",
]
