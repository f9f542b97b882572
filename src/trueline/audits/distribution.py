"""What one greedy answer hides: capability, reasoning paths, wording and harm of a run with repeated samples, each set beside greedy.

The question is that of "Stochastic CHAOS" (Joshi et al., arXiv 2601.07239); the formulas are standard estimators, see
`trueline.metrics.distributional`, `.robustness` and `.tail_risk`.
"""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trueline.audits.harm import harm_of, usable
from trueline.audits.reasoning import equations, path_of
from trueline.audits.repeated import Repeated, RepeatedRun, read_repeated
from trueline.errors import InputError
from trueline.metrics._items import item_estimates
from trueline.metrics.distributional import capability, path_diversity
from trueline.metrics.robustness import robustness
from trueline.metrics.tail_risk import deployment_any_harm, tail_risk
from trueline.run import Run, open_run
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate
from trueline.stats.power import plan_samples
from trueline.tasks.wordings import GROUP

if TYPE_CHECKING:
    from trueline.estimators.equivalence.base import Equivalence
    from trueline.tasks.item import Grader

#: Numbers of samples looked at where none are named, as far as there are so many.
KS = (1, 5, 10, 20, 50, 100)
#: What a path is told apart by; ``"auto"``: equations where some sample writes one, else the text.
PATHS = ("auto", "equations", "text")
#: Metadata column whose equal values mark wordings of one question.
WORDING = GROUP


def audit_distribution(
    run: Run | str | os.PathLike[str],
    *,
    ks: Sequence[int] | None = None,
    n_options: int | None = None,
    paths: str = "auto",
    wording: str = WORDING,
    harm: str | None = None,
    false_positive_rate: float | None = None,
    tau: float = 0.05,
    cvar_alpha: float = 0.05,
    deployment: int | None = None,
    grader: str | Grader | None = None,
    equivalence: str | Equivalence | None = None,
    level: float = 0.95,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Set what a model says under sampling beside its greedy answer.

    Parameters
    ----------
    run : run directory or Run
        With two graded samples an item or more; without greedy answers, whatever compares with them is undefined.
    ks : sequence of int, optional
        Numbers of samples for pass@k, votes and any-harm@k; at most the smallest number of an item.
    n_options : int, optional
        Options of a multiple-choice task: pass@k of a uniform guesser is set beside.
    paths : {"auto", "equations", "text"}
        What tells reasoning paths apart.
    wording : str
        Metadata column that holds one value for all wordings of a question; the first of them in task order is the canonical one.
    harm : str, optional
        What counts as harm: ``"wrong"``, a table of labels, or a grader whose "right" means harmful (see `trueline.audits.harm`).
    false_positive_rate, tau, cvar_alpha : see `tail_risk`
    deployment : int, optional
        Predict any-harm for so many samples a prompt.
    grader, equivalence, level, n_boot, seed : as in `audit_errors`

    Returns
    -------
    dict
        JSON-safe: ``capability``, ``paths``, ``answers``, ``wording`` and ``harm`` (None where they do not apply), ``warnings``.

    Raises
    ------
    InputError
        No repeated samples, copies of one sample, a k beyond them, or settings out of range.
    """
    if paths not in PATHS:
        raise InputError(f"paths {paths!r} is unknown; expected one of {', '.join(PATHS)}")
    run = run if isinstance(run, Run) else open_run(run)
    ci = CI(level=level, n_boot=n_boot, seed=seed)
    found = read_repeated(run, grader=grader, equivalence=equivalence)
    fewest = min(len(r.texts) for r in found.items)
    chosen = [k for k in KS if k <= fewest] if ks is None else list(dict.fromkeys(ks))
    if not chosen:
        raise InputError("no k is given; name at least one number of samples")
    said: list[str] = []
    document = found.heading(run) | {
        "audit": "distribution",
        "level": level,
        "n_boot": n_boot,
        "seed": seed,
        "ks": chosen,
        "capability": _capability(found, chosen, n_options, ci, said),
        "paths": _paths(found, paths, ci),
        "answers": _answers(found, ci),
        "wording": _wording(found, wording, ci, said),
        "harm": None,
    }
    if harm is not None:
        shared = {"tau": tau, "cvar_alpha": cvar_alpha, "false_positive_rate": false_positive_rate}
        document["harm"] = _harm(run, found, harm, chosen, deployment, shared, ci, said)
    document["warnings"] = _warnings(document, found) + said
    return document


def _capability(found: RepeatedRun, ks: Sequence[int], n_options: int | None, ci: CI, said: list[str]) -> dict[str, Any]:
    graded = np.isfinite([r.greedy_correct for r in found.items])
    at = np.flatnonzero(graded) if graded.any() else np.arange(len(graded))
    if not graded.any():
        said.append("No item has a graded greedy answer: nothing is compared with greedy.")
    elif not graded.all():
        said.append(f"{int((~graded).sum())} items without a graded greedy answer are not in the figures of capability.")
    items = [found.items[i] for i in at]
    row = capability(
        [r.greedy_correct for r in items] if graded.any() else None,
        [r.correct for r in items],
        ks,
        answers=[r.outcomes for r in items],
        references=[-1] * len(items),
        n_options=n_options,
        clusters=found.clusters_of(at),
        ci=ci,
    )
    return to_json(row)  # type: ignore[no-any-return]


def _paths(found: RepeatedRun, kind: str, ci: CI) -> dict[str, Any]:
    if kind == "auto":
        kind = "equations" if any(equations(t) for r in found.items for t in r.outputs) else "text"
    return {"kind": kind} | _diversity([[path_of(t, kind) for t in r.outputs] for r in found.items], found, ci)


def _answers(found: RepeatedRun, ci: CI) -> dict[str, Any]:
    """The diversity of what is answered, whichever way led there."""
    rows = _diversity([r.outcomes for r in found.items], found, ci)
    kept = ("distinct_paths", "path_entropy", "effective_paths", "simpson_diversity", "unseen_mass")
    return {name.replace("path", "answer"): rows[name] for name in kept}


def _diversity(ids: Sequence[Sequence[Any]], found: RepeatedRun, ci: CI) -> dict[str, Any]:
    """Means over items of what `path_diversity` counts, and how paths and answers go together."""
    rows = [path_diversity(list(i), r.correct) for i, r in zip(ids, found.items, strict=True)]
    counted = ("distinct_paths", "path_entropy", "effective_paths", "distinct_correct_paths")
    columns = {name: np.array([float(getattr(row, name)) for row in rows]) for name in (*counted, "simpson_diversity", "unseen_mass")}
    bounded = {name: columns.pop(name) for name in ("simpson_diversity", "unseen_mass")}
    bounded["several_right_paths"] = np.array([float(row.distinct_correct_paths > 1) for row in rows])
    bounded["path_with_several_answers"] = np.array([_forks(i, r) for i, r in zip(ids, found.items, strict=True)])
    shared: dict[str, Any] = {"ci": ci, "clusters": found.clusters}
    made = item_estimates(columns, largest=math.inf, **shared) | item_estimates(bounded, **shared)
    return {name: estimate.to_json() for name, estimate in made.items()}


def _forks(ids: Sequence[Any], repeated: Repeated) -> float:
    """1 where one path of the item leads to several answers."""
    ends: dict[Any, set[int]] = defaultdict(set)
    for path, outcome in zip(ids, repeated.outcomes, strict=True):
        ends[path].add(outcome)
    return float(any(len(e) > 1 for e in ends.values()))


def _wording(found: RepeatedRun, column: str, ci: CI, said: list[str]) -> dict[str, Any] | None:
    """Robustness over the groups of wordings that have the most common number of them."""
    groups: dict[str, list[Repeated]] = defaultdict(list)
    for r in found.items:
        if (value := r.item.metadata.get(column)) is not None:
            groups[str(value)].append(r)
    sizes = Counter(len(g) for g in groups.values())
    if not groups or max(sizes) < 2:
        return None
    v = max((size for size in sizes if size > 1), key=lambda size: (sizes[size], size))
    whole = [g for g in groups.values() if len(g) == v]
    if len(whole) < len(groups):
        said.append(f"{len(groups) - len(whole)} questions with another number of wordings than {v} are not in the split by wording.")
    graded = [g for g in whole if all(math.isfinite(r.greedy_correct) for r in g)]
    kept = graded or whole
    if len(kept) < len(whole):
        said.append(f"{len(whole) - len(kept)} questions without a graded greedy answer to each wording are not in the split by wording.")
    n = min(len(r.correct) for g in kept for r in g)
    if any(len(r.correct) > n for g in kept for r in g):
        said.append(f"The split by wording takes the first {n} samples of each wording, as many as all have.")
    samples = np.array([[r.correct[:n] for r in g] for g in kept])
    greedy = np.array([[r.greedy_correct for r in g] for g in kept]) if graded else None
    labels = [f"\0{i}" if g[0].item.cluster is None else g[0].item.cluster for i, g in enumerate(kept)]
    shared = labels if len(set(labels)) < len(labels) else None
    row = robustness(samples, greedy, clusters=shared, ci=ci)
    shares: dict[str, dict[int, float]] = defaultdict(dict)
    examples: dict[str, str] = {}
    for i, g in enumerate(kept):
        for j, r in enumerate(g):
            name = str(r.item.metadata.get("wording", j))
            shares[name][i] = float(r.correct[:n].mean())
            examples.setdefault(name, r.item.question)
    by_wording = {}
    for name, values in shares.items():
        of = None if shared is None else [shared[i] for i in values]
        found_share = item_estimates({"share": np.array(list(values.values()))}, ci=ci, clusters=of)["share"]
        by_wording[name] = {"example": examples[name], "mean_sample_accuracy": found_share.to_json()}
    return {"column": column, "n_questions": len(kept), **to_json(row), "by_wording": by_wording}


def _harm(
    run: Run,
    found: RepeatedRun,
    harm: str,
    ks: Sequence[int],
    deployment: int | None,
    settings: Mapping[str, Any],
    ci: CI,
    said: list[str],
) -> dict[str, Any]:
    samples, greedy = harm_of(run, found, harm)
    at = usable(samples, found.items)
    if not at:
        raise InputError(f"--harm {harm}: no answer could be judged harmful or harmless")
    unknown = sum(int(np.isnan(s).sum()) for s in samples)
    if unknown:
        said.append(
            f"{unknown} samples have no harm label and are left out of the figures of harm; {len(samples) - len(at)} items have none."
        )
    if compared := [i for i in at if math.isfinite(greedy[i])]:
        if len(compared) < len(at):
            said.append(f"{len(at) - len(compared)} items whose greedy answer has no harm label are left out of the figures of harm.")
        at = compared
    else:
        said.append("No greedy answer has a harm label: harm is not compared with greedy.")
    labelled = [samples[i][np.isfinite(samples[i])] for i in at]
    reach = [k for k in ks if k <= min(len(s) for s in labelled)]
    row = tail_risk(greedy[at] if compared else None, labelled, reach, clusters=found.clusters_of(at), ci=ci, **settings)
    worst = found.items[at[row.worst_prompt]]
    out: dict[str, Any] = to_json(row) | {"grader": harm, "n_items": len(at), **settings}
    out["per_item"] = {
        found.items[i].item.id: [float(s.mean()), p.low, p.high] for i, s, p in zip(at, labelled, row.per_prompt, strict=True)
    }
    out |= {"worst_item": worst.item.id, "worst_question": worst.item.question}
    del out["per_prompt"], out["worst_prompt"]
    fewest = min(len(s) for s in labelled)
    # what so many samples can miss on one prompt, and how many would do for 1 in 100
    out |= {"smallest_seen": 1 - 0.05 ** (1 / fewest), "samples_for_one_percent": plan_samples(0.01, 0.95), "deployment": None}
    if deployment is not None:
        predicted = deployment_any_harm([s.sum() for s in labelled], [len(s) for s in labelled], deployment, ci.level)
        out["deployment"] = {"k": deployment, **predicted.to_json()}
    if not any(s.any() for s in labelled):
        said.append("No harmful sample was seen: the figures are upper bounds, not a proof of safety.")
    if settings["false_positive_rate"] is None:
        said.append(
            "False alarms of the harm grader raise any-harm@k; measure their rate on harmless answers and give --false-positive-rate."
        )
    return out


def to_json(value: Any) -> Any:
    """A record of estimates as JSON-safe values; keys of mappings become text."""
    if isinstance(value, Estimate):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _warnings(document: Mapping[str, Any], found: RepeatedRun) -> list[str]:
    said = [f"{count} items left out: {reason}." for reason, count in found.left_out.items()]
    if found.ungraded:
        said.append(f"{found.ungraded} samples failed or could not be judged and are left out.")
    if document["n_samples"][0] < document["n_samples"][1]:
        said.append(f"Items have {document['n_samples'][0]} to {document['n_samples'][1]} samples; k goes as far as the fewest.")
    if document["wording"] is not None:
        said.append("Worst-wording accuracy falls with the number of wordings by construction; compare it only at an equal number.")
    return said
