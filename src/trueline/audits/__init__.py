"""Audits: each builds its probes, has them judged and sums the answers up into findings."""

from __future__ import annotations

from trueline.audits.discretion import DiscretionAudit, DiscretionReport
from trueline.audits.distribution import audit_distribution
from trueline.audits.emission import EmissionAudit, EmissionReport
from trueline.audits.incoherence import audit_errors
from trueline.audits.marker_audit import MarkerAudit, MarkerReport
from trueline.audits.marker_corpus import probe_corpus
from trueline.audits.numeric_markers import NumericMarkerAudit
from trueline.audits.preferring import Likelihood, RewardModel
from trueline.audits.principle_oracle import judge_pairs, principle_oracle
from trueline.audits.principles import LISTS, Principle, load_principles, parse_principles
from trueline.audits.risk import RiskAudit, audit_risk
from trueline.tasks.marker_tags import Span, strongest, tag_markers
from trueline.tasks.markers import Marker, load_markers

__all__ = [
    "LISTS",
    "DiscretionAudit",
    "DiscretionReport",
    "EmissionAudit",
    "EmissionReport",
    "Likelihood",
    "Marker",
    "MarkerAudit",
    "MarkerReport",
    "NumericMarkerAudit",
    "Principle",
    "RewardModel",
    "RiskAudit",
    "Span",
    "audit_distribution",
    "audit_errors",
    "audit_risk",
    "judge_pairs",
    "load_markers",
    "load_principles",
    "parse_principles",
    "principle_oracle",
    "probe_corpus",
    "strongest",
    "tag_markers",
]
