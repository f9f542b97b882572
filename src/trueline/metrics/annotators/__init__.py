"""Truth from annotators who disagree: plausibilities, their certainty, metrics that count it, and prediction sets that cover it."""

from __future__ import annotations

from trueline.metrics.annotators.adjusted import (
    Adjusted,
    aggregated_coverage,
    aggregated_topk,
    standard_topk_accuracy,
    ua_average_overlap,
    ua_set_accuracy,
    ua_topk_accuracy,
)
from trueline.metrics.annotators.adjusted_scores import drawn_errors, ua_evaluate
from trueline.metrics.annotators.agreement import leave_one_reader_out_agreement, reader_agreement
from trueline.metrics.annotators.certainty import annotation_certainty, group_certainty, rank_certainty, topk_weights
from trueline.metrics.annotators.dirichlet_irn import DirichletIRN, dirichlet_argmax
from trueline.metrics.annotators.irn import irn
from trueline.metrics.annotators.monte_carlo_conformal import (
    FittedConformal,
    MonteCarloConformal,
    conformity_threshold,
    ecdf_corrected,
    expected_conformity,
    mean_p_values,
    weighted_conformity_threshold,
)
from trueline.metrics.annotators.overlap import average_overlap, partial_average_overlap
from trueline.metrics.annotators.plackett_luce import PlackettLuce, PlackettLucePosterior, plackett_luce_loglik
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.metrics.annotators.summary import Annotated, adjusted_scores, annotator_summary, supported

__all__ = [
    "Adjusted",
    "Annotated",
    "DirichletIRN",
    "FittedConformal",
    "MonteCarloConformal",
    "PartialRankings",
    "PlackettLuce",
    "PlackettLucePosterior",
    "adjusted_scores",
    "aggregated_coverage",
    "aggregated_topk",
    "annotation_certainty",
    "annotator_summary",
    "average_overlap",
    "conformity_threshold",
    "dirichlet_argmax",
    "drawn_errors",
    "ecdf_corrected",
    "expected_conformity",
    "group_certainty",
    "irn",
    "leave_one_reader_out_agreement",
    "mean_p_values",
    "partial_average_overlap",
    "plackett_luce_loglik",
    "rank_certainty",
    "reader_agreement",
    "standard_topk_accuracy",
    "supported",
    "topk_weights",
    "ua_average_overlap",
    "ua_evaluate",
    "ua_set_accuracy",
    "ua_topk_accuracy",
    "weighted_conformity_threshold",
]
