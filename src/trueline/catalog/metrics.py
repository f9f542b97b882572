"""The metrics."""

from __future__ import annotations

from trueline.catalog.entry import Entry

_PROOF_STATS = "proofs/validation-core.md"

# fmt: off
METRICS = tuple(
    Entry(name, "metric", f"trueline.metrics.{module}:{name}", summary, source, proof=_PROOF_STATS)
    for module, name, summary, source in (
        ("accuracy", "accuracy", "share of right answers, Wilson interval", "Wilson 1927"),
        ("ranking", "auroc", "area under the ROC curve, ties one half", "DeLong et al. 1988; Sun and Xu 2014"),
        ("ranking", "auprc", "average precision, step sum", "Davis and Goadrich 2006"),
        ("ranking", "fpr_at_tpr", "false-positive rate at 95 % true-positive rate", "Hendrycks and Gimpel, arXiv 1610.02136"),
        ("risk_coverage", "aurc", "area under the risk-coverage curve, ties by expectation", "Geifman and El-Yaniv, arXiv 1705.08500"),
        ("risk_coverage", "e_aurc", "AURC less the exact oracle's", "Geifman et al., arXiv 1805.08206"),
        ("risk_coverage", "augrc", "area under the generalised risk-coverage curve", "Traub et al., arXiv 2407.01032"),
        ("risk_coverage", "prr", "prediction-rejection ratio on AURC", "Malinin and Gales, arXiv 2002.07650"),
        ("risk_coverage", "prr_unconditional", "prediction-rejection ratio on generalised risk", "Malinin and Gales, arXiv 2002.07650"),
        ("risk_coverage", "selective_risk", "mean loss at a coverage", "Geifman and El-Yaniv, arXiv 1705.08500"),
        ("risk_coverage", "coverage_at_risk", "largest coverage at a risk target", "Geifman and El-Yaniv, arXiv 1705.08500"),
        ("ece", "ece", "expected calibration error, equal width or mass, any norm", "Naeini et al. 2015; Guo et al., arXiv 1706.04599"),
        ("ece", "mce", "maximum calibration error", "Naeini et al. 2015"),
        ("ece", "signed_ece", "mean confidence minus accuracy", "Guo et al., arXiv 1706.04599"),
        ("ece", "debiased_ece", "debiased L2 calibration error", "Kumar et al., arXiv 1909.10155"),
        ("smooth_ece", "smooth_ece", "calibration error without bins, at its own bandwidth", "Blasiok and Nakkiran, arXiv 2309.12236"),
        ("proper", "brier", "mean (p - y)^2", "Brier 1950"),
        ("proper", "brier_skill", "1 - Brier / Brier of the base rate", "Murphy 1973"),
        ("proper", "nll", "mean negative log-likelihood, nats", "Good 1952"),
        ("proper", "murphy", "reliability, resolution, uncertainty by distinct forecast", "Murphy 1973"),
        ("corp", "corp", "miscalibration and discrimination by isotonic fit", "Dimitriadis et al., PNAS 2021"),
        ("calibration_slope", "calibration_slope", "slope on logit(p); below 1: over-confident", "Cox 1958; Van Calster et al. 2016"),
        ("calibration_slope", "calibration_intercept", "intercept of truth on logit(p) at slope 1", "Cox 1958"),
        ("correlation", "pearson", "linear correlation", "Pearson 1895"),
        ("correlation", "spearman", "rank correlation, mid-ranks", "Spearman 1904"),
        ("correlation", "kendall", "tau-b", "Kendall 1945"),
        ("correlation", "concordance", "concordance index", "Harrell et al. 1982"),
        ("multiclass", "top_label_ece", "ECE of the largest class probability", "Guo et al., arXiv 1706.04599"),
        ("multiclass", "classwise_ece", "mean of the per-class ECEs", "Kull et al., arXiv 1910.12656"),
        ("multiclass", "multiclass_brier", "Brier score summed over classes", "Brier 1950"),
        ("multiclass", "multiclass_nll", "NLL of the label, nats", "Good 1952"),
        ("confidence", "calibrated_confidence", "cross-fitted confidence of any score", "Platt 1999; Zadrozny, Elkan 2002"),
        ("recalibration", "recalibrate", "Platt, isotonic, beta, Venn-ABERS, ...", "Platt 1999; Kull et al. 2017; Vovk, Petej 2014"),
        ("conformal", "conformal_threshold", "split conformal prediction", "Vovk et al. 2005; Angelopoulos et al., arXiv 2009.14193"),
        ("risk_control", "conformal_risk_control", "setting with expected risk under a target", "Angelopoulos et al., arXiv 2208.02814"),
        ("risk_control", "learn_then_test", "settings with certified risk, Hoeffding-Bentkus", "Angelopoulos et al., arXiv 2110.01052"),
        ("compare", "compare", "paired difference of a metric with test and interval", "DeLong et al. 1988; McNemar 1947; Good 2005"),
        ("gate", "gate", "pass / fail / not shown for a bound, by the whole interval", "Wellek 2010"),
        ("curves", "roc_curve_band", "ROC curve with a pointwise band", "Efron 1987"),
        ("curves", "risk_coverage_band", "risk-coverage curve with a pointwise band", "Efron 1987"),
        ("curves", "smooth_reliability", "reliability curve without bins, with a pointwise band", "Blasiok and Nakkiran, arXiv 2309.12236"),
        ("curves", "reliability", "reliability bins with intervals", "Murphy and Winkler 1977"),
    )
)
_BUYL = "Buyl et al., arXiv 2502.10441"
_BETLEY = "Betley et al., arXiv 2502.17424"
_DICKSON = "Dickson, arXiv 2511.20104"
SET_METRICS = tuple(
    Entry(name, "metric", f"trueline.metrics.{module}:{name}", summary, source, proof=f"proofs/{page}.md")
    for module, name, summary, source, page in (
        ("incoherence", "incoherence", "share of the error that varies between runs", "Haegele et al., arXiv 2601.23045", "hot-mess"),
        ("distributional", "capability", "pass@k and votes beside greedy", "Chen et al., arXiv 2107.03374", "stochastic-chaos"),
        ("tail_risk", "tail_risk", "any-harm@k, concealed risk, CVaR", "Joshi et al., arXiv 2601.07239", "stochastic-chaos"),
        ("robustness", "robustness", "wording against sampling", "Joshi et al., arXiv 2601.07239", "stochastic-chaos"),
        ("discretion", "discretion_arbitrariness", "how often an annotator defies all principles that speak", _BUYL, "discretion"),
        ("principle_priority", "principle_priority", "order of principles by who wins their conflicts", _BUYL, "discretion"),
        ("discretion_discrepancy", "compare_discretion", "how far two annotators' orders differ", _BUYL, "discretion"),
        ("judged_rates", "judged_rates", "misalignment rates of judged answers by question", _BETLEY, "emergent-misalignment"),
        ("judged_rates", "threshold_multiverse", "how the rate moves with its thresholds", _BETLEY, "emergent-misalignment"),
        ("correlation_levels", "correlation_levels", "correlation pooled, within, between groups", _DICKSON, "emergent-misalignment"),
    )
)
_TRILEMMA = "Sahoo et al., arXiv 2511.19504"
PREFERENCE_METRICS = tuple(
    Entry(name, "metric", f"trueline.metrics.preferences:{name}", summary, source, proof="proofs/rlhf-trilemma.md")
    for name, summary, source in (
        ("label_plan", "labels, trials and cost of epsilon and delta", "Hoeffding 1963; Maurer and Pontil 2009; Kish 1965"),
        ("paper_order", "order of growth of the RLHF trilemma, constant unknown", _TRILEMMA),
        ("sample_representativeness", "annotators against a target population", "Kish 1965; Deming and Stephan 1940"),
        ("reward_representativeness", "unbiased gap of a reward to each group, and its floor", _TRILEMMA),
        ("preference_collapse", "exaggerated majorities and overruled groups", "Cox 1958; Zhang 2012"),
        ("flip_robustness", "flips under perturbation, exact bounds, by family", "Clopper and Pearson 1934; Holm 1979"),
        ("trilemma_report", "which of representative, robust, tractable was given up", _TRILEMMA),
    )
)
_CRUZ = "Cruz et al., arXiv 2407.14614"
RISK_METRICS = tuple(
    Entry(name, "metric", f"trueline.metrics.risk:{name}", summary, source, proof="proofs/folktexts.md")
    for name, summary, source in (
        ("evaluate_risk", "all metrics of risk scores, overall and by group", _CRUZ),
        ("confidence_bias", "over- or under-confidence of risk scores", _CRUZ),
        ("quantile_ece", "ECE on quantile bins, repeated edges kept", _CRUZ),
        ("score_bias", "difference of two groups' signed calibration errors", _CRUZ),
        ("group_fairness", "rates by group, against shuffled groups", "Hardt et al., arXiv 1610.02413"),
        ("fit_threshold", "threshold of least cost from a few rows", _CRUZ),
    )
)
_AO = "Ao et al., arXiv 2308.03172"
_OPTIMAL_RISK = "Ao et al., arXiv 2308.03179"
_CONFIDENT = "Ao et al., arXiv 2301.12589"
_PROOF_CLASSIFIERS = "proofs/safety-critical-vl.md"
CLASSIFIERS = (
    *(
        Entry(name, "metric", f"trueline.metrics.{module}:{name}", summary, source, proof=_PROOF_CLASSIFIERS)
        for module, name, summary, source in (
            ("trust_index", "trust_index", "accuracy where a perfect ranking has no errors left", _OPTIMAL_RISK),
            ("trust_index", "excess_optimal_risk", "area above the optimal risk, from that point on", _OPTIMAL_RISK),
            ("classifiers", "miscalibration_score", "over- and under-confidence, overall and by class", _AO),
            ("classifiers", "ClasswiseTemperature", "a temperature for each class (MCS-TS)", _AO),
            ("classifiers", "overfit_gap", "training against held-out items", "Yeom et al., arXiv 1709.01604"),
            ("classifiers", "ood_report", "foreign inputs told from own ones", "Hendrycks and Gimpel, arXiv 1610.02136"),
        )
    ),
    *(
        Entry(name, "score", f"trueline.perception:{name}", summary, source, proof=_PROOF_CLASSIFIERS)
        for name, summary, source in (
            ("max_softmax", "1 - largest class probability", "Hendrycks and Gimpel, arXiv 1610.02136"),
            ("softmax_entropy", "entropy of the class distribution, nats", "Shannon 1948"),
            ("softmax_margin", "1 - distance of the two largest class probabilities", "Scheffer et al. 2001"),
            ("max_logit", "negated largest logit", "Hendrycks et al., arXiv 1911.11132"),
            ("energy", "free energy of the logits", "Liu et al., arXiv 2010.03759"),
        )
    ),
    *(
        Entry(name, "objective", f"trueline.objectives:{name}", summary, _CONFIDENT, proof=_PROOF_CLASSIFIERS)
        for name, summary in (
            ("ConfidenceLabelSmoothing", "label smoothing by class confidence"),
            ("ConfidenceCurriculum", "confident items first, all by a given epoch"),
        )
    ),
    Entry(
        "perturbation_report",
        "metric",
        "trueline.perception:perturbation_report",
        "accuracy, confidence and failures under rising shifts of images and texts",
        "Hendrycks and Dietterich, arXiv 1903.12261",
        proof=_PROOF_CLASSIFIERS,
    ),
    Entry(
        "classifier",
        "audit",
        "trueline.perception:safety_report",
        "calibration by class, failures, foreign inputs, overfitting, perturbations from a table of outputs",
        "Ao, arXiv 2308.03176",
        proof=_PROOF_CLASSIFIERS,
    ),
)
_STUTZ = "Stutz et al., arXiv 2307.02191"
ANNOTATOR_METRICS = tuple(
    Entry(name, "metric", f"trueline.metrics.annotators:{name}", summary, source, proof="proofs/uncertain-ground-truth.md")
    for name, summary, source in (
        ("irn", "inverse-rank normalisation: one label law from partial rankings", _STUTZ),
        ("DirichletIRN", "probabilistic IRN: how certain the annotation itself is", _STUTZ),
        ("PlackettLuce", "Plackett-Luce model of partial rankings", _STUTZ),
        ("leave_one_reader_out_agreement", "agreement of each reader with the others", _STUTZ),
        ("ua_topk_accuracy", "top-k accuracy averaged over plausible truths", _STUTZ),
        ("ua_evaluate", "any metric of scores, averaged over plausible truths", _STUTZ),
        ("MonteCarloConformal", "conformal sets for truth that is a law", "Stutz et al., arXiv 2307.09302"),
    )
)
# fmt: on
