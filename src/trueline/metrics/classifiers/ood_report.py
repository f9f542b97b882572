"""How well an uncertainty score tells inputs of another distribution from those of the model's own.

Hendrycks and Gimpel, arXiv 1610.02136 (AUROC, AUPR in both directions); Liang et al., arXiv 1706.02690 (FPR at 95 % TPR with the own
distribution as the positive class; others take the foreign one, so both are given).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.evaluate import evaluate
from trueline.metrics.ranking import auroc
from trueline.metrics.risk_coverage import aurc
from trueline.stats.engine import as_ci
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import as_vector


@dataclass(frozen=True)
class OODReport:
    """Detection of foreign inputs ("out") among own ones ("in") by an uncertainty score.

    Attributes
    ----------
    auroc : Estimate
        P(a foreign input is less certain than an own one); .5 is chance.
    auprc_out, auprc_in : Estimate
        Average precision for finding foreign inputs, and own ones. Chance is their share, `share_out` and 1 - `share_out`.
    fpr_at_95_in : Estimate
        Share of foreign inputs accepted where 95 % of the own ones are.
    fpr_at_95_out : Estimate
        Share of own inputs rejected where 95 % of the foreign ones are.
    aurc : Estimate
        Area under the risk-coverage curve of both sets together, each foreign input an error; undefined without `correct_in`.
    failure_auroc : Estimate
        AUROC of errors among the own inputs; undefined without `correct_in`.
    share_out : float
        Foreign inputs among all.
    """

    auroc: Estimate
    auprc_out: Estimate
    auprc_in: Estimate
    fpr_at_95_in: Estimate
    fpr_at_95_out: Estimate
    aurc: Estimate
    failure_auroc: Estimate
    share_out: float

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in vars(self).items())


def ood_report(scores_in: ArrayLike, scores_out: ArrayLike, *, correct_in: ArrayLike | None = None, ci: CIArgument = "auto") -> OODReport:
    """Compare the uncertainty of own and foreign inputs.

    Parameters
    ----------
    scores_in, scores_out : (n_in,), (n_out,) float64
        Uncertainty, higher = less certain.
    correct_in : (n_in,) in {0, 1}, optional
        Whether the model was right on its own inputs.
    ci
        As in `auroc`; replicates keep the sizes of the two sets.

    Raises
    ------
    InputError
        On NaN, an empty set, or a correctness other than 0 and 1, naming the first index.

    Examples
    --------
    >>> ood_report([0.1, 0.2, 0.4], [0.3, 0.9], ci=None).auroc.value
    0.8333333333333334
    """
    own, foreign = _finite(scores_in, "scores_in"), _finite(scores_out, "scores_out")
    scores = np.concatenate([own, foreign])
    out = np.r_[np.zeros(len(own)), np.ones(len(foreign))]
    names = ["auprc", "fpr_at_tpr"]
    of_out = evaluate(scores, out, names, strata=out, ci=ci)
    of_in = evaluate(-scores, 1 - out, names, strata=out, ci=ci)
    risk = failure = Estimate.undefined("correct_in was not given", level=as_ci(ci).level)
    if correct_in is not None:
        wrong = 1 - _finite(correct_in, "correct_in")
        if len(wrong) != len(own):
            raise InputError(f"correct_in has {len(wrong)} values for {len(own)} scores_in")
        failure = auroc(own, wrong, ci=ci)
        risk = aurc(scores, np.r_[wrong, np.ones(len(foreign))], ci=ci)
    return OODReport(
        auroc(scores, out, ci=ci),
        of_out["auprc"],
        of_in["auprc"],
        of_in["fpr_at_tpr"],
        of_out["fpr_at_tpr"],
        risk,
        failure,
        len(foreign) / len(scores),
    )


def _finite(values: ArrayLike, name: str) -> FloatArray:
    found = as_vector(values, name)
    bad = np.flatnonzero(np.isnan(found))
    if len(bad):
        raise InputError(f"{name}[{bad[0]}] is NaN; leave such items out, and count them")
    return found
