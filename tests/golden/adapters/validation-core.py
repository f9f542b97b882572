"""Golden adapter of the statistics core: a case's kind (its name less the suffix) says which functions make the expected keys."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from trueline.metrics import (
    accuracy,
    augrc,
    auprc,
    aurc,
    auroc,
    brier,
    calibration_intercept,
    calibration_line,
    calibration_slope,
    classwise_ece,
    corp,
    coverage_at_risk,
    debiased_ece,
    e_aurc,
    ece,
    fit_temperature,
    fpr_at_tpr,
    mce,
    multiclass_brier,
    multiclass_nll,
    murphy,
    nll,
    prr,
    prr_unconditional,
    recalibrate,
    selective_risk,
    signed_ece,
    smooth_ece,
    top_label_ece,
    top_label_signed_ece,
)
from trueline.metrics.accuracy import ACCURACY
from trueline.metrics.conformal import (
    aps_scores,
    conformal_p_values,
    conformal_threshold,
    lac_scores,
    mondrian_thresholds,
    prediction_sets,
    raps_scores,
    residual_scores,
)
from trueline.metrics.proper import count_infinite
from trueline.metrics.ranking import AUROC
from trueline.metrics.risk_control import conformal_risk_control, learn_then_test
from trueline.metrics.scaling import log_softmax
from trueline.stats import CI, Estimate, clopper_pearson, estimates, sorted_sample, wilson
from trueline.stats.delong import delong_test
from trueline.stats.intervals import acceleration, jackknife_se
from trueline.stats.jackknife import leave_out
from trueline.stats.mcnemar import mcnemar

Values = dict[str, Any]


def run(case: str, inputs: Values) -> Values:
    """Return the values of one case; a ValueError passes through."""
    for kind in sorted(KINDS, key=len, reverse=True):
        if case == kind or case.startswith(f"{kind}_"):
            with warnings.catch_warnings():
                # Small calibration sets and small recalibration sets warn by design.
                warnings.simplefilter("ignore", UserWarning)
                return KINDS[kind](numbers(inputs))
    raise KeyError(f"no function for case {case!r}")


def numbers(value: Any) -> Any:
    """Read "nan", "inf" and "-inf" as numbers."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [numbers(v) for v in value]
    return float(value) if value in ("nan", "inf", "-inf") else value


def _value(estimate: Estimate) -> float:
    if math.isnan(estimate.value) and not estimate.reason:
        raise AssertionError("a NaN needs a reason")
    return estimate.value


def binned(i: Values) -> Values:
    p, y, m = i["p"], i["y"], i["n_bins"]
    return {
        "ece_equal_width": _value(ece(p, y, n_bins=m, ci=None)),
        "ece_equal_width_l2": _value(ece(p, y, n_bins=m, norm=2, ci=None)),
        "mce_equal_width": _value(mce(p, y, n_bins=m, ci=None)),
        "debiased_squared_l2": _value(debiased_ece(p, y, n_bins=m, squared=True, ci=None)),
        "debiased_l2": _value(debiased_ece(p, y, n_bins=m, ci=None)),
        "ece_equal_mass": _value(ece(p, y, n_bins=m, bins="mass", ci=None)),
        "weighted_ece_equal_width": _value(ece(p, y, n_bins=m, weights=i["weights"], ci=None)),
        "signed_ece": _value(signed_ece(p, y, ci=None)),
    }


def smooth(i: Values) -> Values:
    found = _value(smooth_ece(i["p"], i["y"], ci=None))
    return {"smece": found, "bandwidth": found}


def decompositions(i: Values) -> Values:
    p, y, w = i["p"], i["y"], i["weights"]
    by_value, parts = murphy(p, y, ci=None), corp(p, y, ci=None)
    return {
        "murphy_unique": {k: _value(getattr(by_value, k)) for k in ("reliability", "resolution", "uncertainty", "brier")},
        "corp": {k: _value(getattr(parts, k)) for k in ("miscalibration", "discrimination", "uncertainty")},
        "log_loss": _value(nll(p, y, ci=None)),
        "log_loss_weighted": _value(nll(p, y, weights=w, ci=None)),
        "brier_weighted": _value(brier(p, y, weights=w, ci=None)),
    }


def ranking(i: Values) -> Values:
    p, y, w = i["p"], i["y"], i["weights"]
    return {
        "auroc": _value(auroc(p, y, ci=None)),
        "auroc_weighted": _value(auroc(p, y, weights=w, ci=None)),
        "average_precision": _value(auprc(p, y, ci=None)),
        "average_precision_weighted": _value(auprc(p, y, weights=w, ci=None)),
        "fpr_at_95_tpr": _value(fpr_at_tpr(p, y, ci=None)),
    }


def risk_coverage(i: Values) -> Values:
    u = i["uncertainty"]
    loss = np.asarray(i["loss"], dtype=float) if "loss" in i else 1 - np.asarray(i["quality"])
    found = {
        "aurc": _value(aurc(u, loss, ci=None)),
        "e_aurc": _value(e_aurc(u, loss, ci=None)),
        "augrc": _value(augrc(u, loss, ci=None)),
        "selective_risk_at_coverage_0_5": _value(selective_risk(u, loss, coverage=0.5, ci=None)),
        "prr": _value(prr(u, loss, ci=None)),
        "prr_unconditional": _value(prr_unconditional(u, loss, ci=None)),
    }
    if "loss" in i:
        acc = _value(accuracy(1 - loss, ci=None))
        found["augrc_identity"] = (1 - _value(auroc(u, loss, ci=None))) * acc * (1 - acc) + (1 - acc) ** 2 / 2
    return found


def risk_coverage_weighted(i: Values) -> Values:
    u, loss = i["uncertainty"], 1 - np.asarray(i["quality"])
    return {
        key: {f.__name__: _value(f(u, loss, weights=i[key], ci=None)) for f in (aurc, e_aurc, prr, augrc)}
        for key in ("integer_weights", "real_weights")
    }


def selective(i: Values) -> Values:
    u, loss = i["uncertainty"], 1 - np.asarray(i["quality"])
    return {
        "selective_risk": [_value(selective_risk(u, loss, coverage=c, ci=None)) for c in i["coverages"]],
        "coverage_at_risk": [_value(coverage_at_risk(u, loss, risk=t, ci=None)) for t in i["risk_targets"]],
        "prr_max_rejection": _value(prr(u, loss, max_rejection=i["max_rejection"], ci=None)),
    }


def multiclass(i: Values) -> Values:
    p, y, m = np.exp(log_softmax(np.asarray(i["logits"], dtype=float))), i["labels"], i["n_bins"]
    return {
        "top_label_ece": _value(top_label_ece(p, y, n_bins=m, ci=None)),
        "top_label_signed_ece": _value(top_label_signed_ece(p, y, ci=None)),
        "classwise_ece": _value(classwise_ece(p, y, n_bins=m, ci=None)),
        "brier_sum": _value(multiclass_brier(p, y, ci=None)),
        "log_loss": _value(multiclass_nll(p, y, ci=None)),
    }


def slope(i: Values) -> Values:
    line, _ = calibration_line(i["p"], i["y"])
    one, zero = calibration_slope(i["p"], i["y"]), calibration_intercept(i["p"], i["y"], ci=None)
    return {
        "slope": _value(one),
        "intercept_joint": line.coefficients[1],
        "intercept_at_slope_1": _value(zero),
        "se_intercept": line.se[1],
        "se_slope": one.se,
    }


def recalibration(i: Values) -> Values:
    maps = {method: recalibrate(method).fit(i["p"], i["y"]) for method in ("platt", "isotonic", "beta")}  # type: ignore[arg-type]
    return {
        "platt_on_logit_a_b": [maps["platt"].parameters["a"], maps["platt"].parameters["b"]],
        "platt_pred": maps["platt"].predict(i["query"]),
        "isotonic": maps["isotonic"].predict(i["query"]),
        "beta_abm_pred": maps["beta"].predict(i["query"]),
    }


def delong(i: Values) -> Values:
    test = delong_test(i["score_1"], i["score_2"], i["y"])
    return {"auc": test.auc, "cov": test.covariance, "z": test.z, "p": test.p}


def temperature(i: Values) -> Values:
    scaling = fit_temperature(i["logits"], i["labels"])
    return {"temperature": scaling.temperature, "nll": scaling.nll}


def mcnemar_exact(i: Values) -> Values:
    test = mcnemar(i["correct_1"], i["correct_2"])
    return {"b": test.b, "c": test.c, "p": test.p, "midp": test.midp}


def bootstrap_mean(i: Values) -> Values:
    sample = sorted_sample(np.zeros(len(i["x"])), i["x"])
    found: Values = {}
    for kind in ("percentile", "basic", "bca", "bayesian"):
        estimate = estimates(sample, [ACCURACY], CI(kind, level=i["confidence"], n_boot=i["n_boot"]))["accuracy"]  # type: ignore[arg-type]
        found[kind] = [estimate.low, estimate.high]
    ones, n = sum(i["y"]), len(i["y"])
    for name, interval in (("wilson_of_y", wilson), ("clopper_pearson_of_y", clopper_pearson)):
        ends = interval(ones, n, i["confidence"])
        found[name] = [ends.low, ends.high]
    return found


def jackknife(i: Values) -> Values:
    left = leave_out(AUROC, sorted_sample(i["p"], i["y"]))
    return {"acceleration": acceleration(*left), "jackknife_se": jackknife_se(*left)}


def conformal(i: Values) -> Values:
    cal, y, test, alpha = np.asarray(i["cal_probs"]), np.asarray(i["cal_labels"]), np.asarray(i["test_probs"]), i["alpha"]
    own = lac_scores(cal, y)

    def split(cal_scores: Any, test_scores: Any, rate: float) -> Values:
        t = conformal_threshold(cal_scores, rate)
        return {"threshold": t, "sets": prediction_sets(test_scores, t).astype(int).tolist()}

    groups = mondrian_thresholds(own, i["cal_group"], alpha)
    of_item = np.array([groups[g] for g in i["test_group"]])[:, None]
    lambdas = np.asarray(i["lambdas"])
    missed = (cal[np.arange(len(y)), y][:, None] < 1 - lambdas).astype(float)
    control = conformal_risk_control(missed, lambdas, alpha)
    raps = {"lambda_reg": i["lambda_reg"], "k_reg": i["k_reg"]}
    return {
        "lac": {str(rate): split(own, lac_scores(test), rate) for rate in i["alphas_lac"]},
        "p_values": conformal_p_values(own, lac_scores(test)),
        "conformal_risk_control": {"adjusted_risk": control.adjusted_risk, "chosen_lambda": control.chosen},
        "mondrian": {
            "thresholds": {str(g): t for g, t in groups.items()},
            "sets": prediction_sets(lac_scores(test), of_item).astype(int).tolist(),
        },
        "aps_nonrandomised": split(aps_scores(cal, y), aps_scores(test), alpha),
        "raps_nonrandomised": split(raps_scores(cal, y, **raps), raps_scores(test, **raps), alpha),
        "learn_then_test_p": learn_then_test(missed, lambdas, i["alpha_learn_then_test"]).p_values,
    }


def conformal_regression(i: Values) -> Values:
    return {"half_width": conformal_threshold(residual_scores(i["cal_pred"], i["cal_y"]), i["alpha"])}


def edge(i: Values) -> Values:
    """Edge cases name their keys by what they need; every key that the inputs allow is offered."""
    if "cal_scores" in i:
        t = conformal_threshold(i["cal_scores"], i["alpha"])
        return {"threshold": t, "all_classes": bool(prediction_sets(np.linspace(0, 1, 5)[None, :], t).all())}
    if "uncertainty" in i:
        return {f.__name__: _value(f(i["uncertainty"], i["loss"], ci=None)) for f in (aurc, e_aurc, augrc, prr)}
    if "weights" in i:
        return {"auroc": _value(auroc(i["p"], i["y"], weights=i["weights"], ci=None))}
    if "clip" in i:
        return {
            "log_loss": _value(nll(i["p"], i["y"], ci=None)),
            "n_infinite": count_infinite(sorted_sample(i["p"], i["y"])),
            "log_loss_clipped": _value(nll(i["p"], i["y"], clip=i["clip"], ci=None)),
        }
    return edge_ranking(i["p"], i["y"])


def edge_nan(i: Values) -> Values:
    found: Values = {}
    try:
        found["default"] = _value(auroc(i["p"], i["y"], ci=None))
    except ValueError as error:
        found["default"] = error
    kept = auroc(i["p"], i["y"], ci=None, nan_policy="drop")
    found["drop"] = {"n": kept.n, "n_missing": kept.n_missing, "auroc": _value(kept)}
    return found


def edge_ranking(p: Any, y: Any) -> Values:
    found = {
        "ece_10": _value(ece(p, y, n_bins=10, ci=None)),
        "calibration_slope": _value(calibration_slope(p, y, ci=None)),
        "auroc": _value(auroc(p, y, ci=None)),
        "average_precision": _value(auprc(p, y, ci=None)),
        "fpr_at_95_tpr": _value(fpr_at_tpr(p, y, ci=None)),
    }
    u, loss = 1 - np.asarray(p), 1 - np.asarray(y)
    return found | {f.__name__: _value(f(u, loss, ci=None)) for f in (aurc, e_aurc, augrc, prr)}


KINDS = {
    "ece_10_bins": binned,
    "ece_15_bins": binned,
    "ece": binned,
    "smooth_ece": smooth,
    "brier_decompositions": decompositions,
    "ranking": ranking,
    "risk_coverage_continuous_quality": risk_coverage,
    "risk_coverage_weighted": risk_coverage_weighted,
    "risk_coverage": risk_coverage,
    "selective": selective,
    "multiclass": multiclass,
    "calibration_slope": slope,
    "recalibration": recalibration,
    "delong": delong,
    "temperature": temperature,
    "mcnemar_exact": mcnemar_exact,
    "bootstrap_mean": bootstrap_mean,
    "auroc_jackknife_acceleration": jackknife,
    "conformal_regression": conformal_regression,
    "conformal": conformal,
    "edge_nan": edge_nan,
    "edge": edge,
}
