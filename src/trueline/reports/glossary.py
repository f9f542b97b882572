"""How to read a report: what each word in it means, in a sentence or two."""

from __future__ import annotations

from trueline.reports.html import Html, el

_WORDS = (
    (
        "Interval",
        "The range of values that fit these items. With other items of the same kind the number would come out differently; a "
        "95 % interval is made so that in 95 of 100 such repetitions it holds the true value.",
    ),
    (
        "Uncertainty score",
        "What an estimator gives each answer: higher means less certain. Scores of different estimators are on different "
        "scales; only the order they give is compared.",
    ),
    (
        "AUROC",
        "Take one right and one wrong answer at random: how often the score says that the wrong one is less certain. 0.5 is a "
        "coin, 1 is perfect.",
    ),
    (
        "PRR",
        "Prediction-rejection ratio: how much of the best possible gain from handing over the least certain answers first the "
        "score gets. 0 is random, 1 is perfect, below 0 is worse than random.",
    ),
    (
        "AURC",
        "Area under the risk-coverage curve: the error rate among the most certain answers, averaged over how many are kept. "
        "Lower is better; it depends on how often the model is wrong at all.",
    ),
    (
        "Calibration error",
        "How far a confidence lies from the share of right answers. The smooth error (smooth ECE) needs no bins; the debiased one is a "
        "root mean square over bins from which the part that chance alone makes is taken off. The usual binned error (plug-in ECE) is "
        "above 0 even for a perfect confidence, about 0.1 with 100 items and 0.07 with 300; it stands in metrics.json. Scores that are "
        "no probability are first turned into a confidence on other folds of the same items.",
    ),
    (
        "Brier",
        "Mean squared distance of the confidence from right (1) or wrong (0). Lower is better; it rewards being calibrated and "
        "being informative together.",
    ),
    (
        "Reliability diagram",
        "For answers given with like confidence, the share that is right. On the diagonal, confidence means what it says; below "
        "it, the model is over-confident. The line is smoothed over neighbours, dots are bins.",
    ),
    (
        "Risk-coverage curve",
        "The error rate (risk) when only the most certain share (coverage) of the questions is answered.",
    ),
    (
        "Aleatoric, epistemic, total",
        "On the known world, truth itself is known: aleatoric is the spread of the true answers, epistemic comes from how "
        "seldom the fact was seen in training, total is the true chance that the given answer is wrong.",
    ),
    (
        "Rank correlation (\u03c1)",
        "Spearman's: 1 when two quantities put the items in the same order, 0 when the orders have nothing to do with each "
        "other, \u22121 when reversed. A high \u03c1 with length says that a score mostly measures how long an answer is.",
    ),
    (
        "Missing",
        "Items for which a score or a verdict could not be had. They are left out of that number and counted; none is filled in. "
        "The effective n is what weighted items are worth in items of equal weight.",
    ),
)


def glossary() -> Html:
    """Return the words of a report with their meanings."""
    return el("dl", *[part for word, meaning in _WORDS for part in (el("dt", word), el("dd", meaning))], cls="facts")
