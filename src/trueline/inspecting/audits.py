"""The audits of `trueline audit` by name, each ready to run against a model of Inspect; settings have the names that Python gives them."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from trueline.audits import DiscretionAudit, EmissionAudit, MarkerAudit, NumericMarkerAudit, audit_distribution, audit_errors, audit_risk
from trueline.audits.preferring import Likelihood
from trueline.audits.principles import load_principles
from trueline.audits.quality import audit_quality
from trueline.errors import InputError, nearest
from trueline.estimators.equivalence.cache import PairCache
from trueline.inspecting.running import Reach, Ready
from trueline.measuring import measure
from trueline.models.rewards import RewardCheckpoint
from trueline.reports.audit_page import write_audit
from trueline.reports.quality import write_quality_report
from trueline.run import Run
from trueline.stats import CI
from trueline.tabular import AnswerCache, PromptStyle, load_risk_task
from trueline.tasks.loading import load_task
from trueline.tasks.preferences import load_preferences

#: Audits that ask no model, and why: they have no task.
UNASKED = {
    "annotators": "it reads a table of what annotators said: trueline audit annotators TABLE",
    "classifier": "it reads a table of a classifier's outputs: trueline audit classifier TABLE",
    "marker-corpus": "it reads texts: trueline audit marker-corpus TEXTS",
}
#: Arguments that a task of Inspect gives itself.
_GIVEN = {
    "model",
    "task",
    "run",
    "model_options",
    "on_plan",
    "progress",
    "out",
    "ci",
    "cache",
    "validate",
    "engine",
    "estimators",
    "markers",
}
#: Settings that are lists, also where one value is given.
_LISTS = {"ks", "losses", "ensemble_sizes", "scores", "costs", "levels"}
#: Kinds of settings that are checked here; others by what takes them.
_PLAIN: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "str": str, "None": type(None)}
#: What stands for the run's folder in a record whose run was not kept.
_NOT_KEPT = "not kept"


def ready(name: str, settings: Mapping[str, Any]) -> Ready:
    """The audit of this name. Raises ``InputError`` for unknown settings, and whatever its task or table is refused with."""
    taken: dict[str, Any] = {key: _several(value) if key in _LISTS else value for key, value in settings.items()}
    report = taken.pop("report", None)
    audit = AUDITS[name]
    lacking = [n for n, p in inspect.signature(audit).parameters.items() if p.kind is not p.VAR_KEYWORD and p.default is p.empty]
    for needed in lacking:
        if needed not in taken:
            raise InputError(f"audit {name} needs {' and '.join(lacking)}: give -T {needed}=...")
    made = audit(**taken)
    if report is not None and made.write is None:
        raise InputError(f"audit {name} has no page; leave report out, its record is in the log")
    return replace(made, report=None if report is None else named(report))


def shared(settings: Mapping[str, Any], *functions: Callable[..., Any]) -> list[dict[str, Any]]:
    """Those of the settings that each function takes. Raises ``InputError`` for one that none takes."""
    takes = [{n: str(p.annotation) for n, p in inspect.signature(function).parameters.items() if n not in _GIVEN} for function in functions]
    known = {name: kind for own in takes for name, kind in own.items()}
    for name, value in settings.items():
        if name not in known:
            raise InputError(f"there is no setting {name!r}{nearest(name, known)}; known are {', '.join(sorted(known))}")
        kinds = known[name].split(" | ")
        if set(kinds) <= _PLAIN.keys() and not any(isinstance(value, _PLAIN[kind]) for kind in kinds):
            raise InputError(f"{name} is {value!r}; expected {' or '.join(kinds)}")
    return [{name: value for name, value in settings.items() if name in own} for own in takes]


# -- repeated answers ----------------------------------------------------------------------------------------------------


def errors(task: Any, out: str | None = None, **settings: Any) -> Ready:
    """`audit_errors` of sampled answers."""
    asking, judging = shared(settings, measure, audit_errors)
    return Ready(
        _repeated(task, out, asking, None, lambda run: audit_errors(run, **judging)),
        named(task),
        ("overall", "changing"),
        write=write_audit,
    )


def distribution(task: Any, out: str | None = None, **settings: Any) -> Ready:
    """`audit_distribution` of sampled answers."""
    asking, judging = shared(settings, measure, audit_distribution)
    audit = _repeated(task, out, asking, None, lambda run: audit_distribution(run, **judging))
    return Ready(audit, named(task), ("capability",), write=write_audit)


def quality(task: Any, out: str | None = None, estimators: Any = "all", **settings: Any) -> Ready:
    """`audit_quality` of the scores of a run."""
    asking, judging, interval = shared(settings, measure, audit_quality, CI)

    def judged(run: Run) -> dict[str, Any]:
        return {"run": str(run.path), **audit_quality(run, **judging, ci=CI(**interval)).to_json()}

    names = estimators if estimators == "all" else listed(estimators)
    return Ready(_repeated(task, out, asking, names, judged), named(task), ("scores",), write=write_quality_report)


def _repeated(
    task: Any, out: str | None, asking: Mapping[str, Any], estimators: Any, audit: Callable[[Run], dict[str, Any]]
) -> Callable[[Reach], object]:
    """Measure, then audit the run. out: where the run is kept; without it, the record alone is."""
    chosen = load_task(named(task))

    def run(ask: Reach) -> dict[str, Any]:
        model = ask(None)
        names = estimators or ["semantic_entropy" if "logprobs" in model.capabilities else "self_consistency"]
        with ExitStack() as stack:
            folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
            document = audit(measure(model, chosen, names, out=folder, validate=False, **asking))
        return document | ({} if out else {"run": _NOT_KEPT})

    return run


# -- markers -------------------------------------------------------------------------------------------------------------


def grey_area(task: Any, numeric: bool = False, out: str | None = None, **settings: Any) -> Ready:
    """`MarkerAudit`; numeric: stated levels too."""
    own, interval = shared(settings, MarkerAudit, CI)
    asked: dict[str, Any] = {"task": load_task(named(task)), "ci": CI(**interval), **own}

    def run(ask: Reach) -> object:
        found = MarkerAudit(**asked).run(ask(None), out=out)
        if numeric:
            folder = None if out is None else Path(out) / "numeric"
            found.document["numeric"] = NumericMarkerAudit(**asked).run(ask(None), out=folder)
        return found

    MarkerAudit(**asked)
    return Ready(run, named(task), ("contrasts",), write=lambda found, path: found.write(path))


def emission(task: Any, out: str | None = None, **settings: Any) -> Ready:
    """`EmissionAudit`."""
    own, interval = shared(settings, EmissionAudit, CI)
    audit = EmissionAudit(load_task(named(task)), ci=CI(**interval), **own)
    return Ready(lambda ask: audit.run(ask(None), out=out), named(task), ("gaps", "before", "after"))


# -- judges --------------------------------------------------------------------------------------------------------------


def discretion(
    table: str, annotators: Any, judge: str | bool = True, principles: Any = None, cache: str | None = None, **settings: Any
) -> Ready:
    """`DiscretionAudit`. judge: True, the evaluated model labels the pairs; a name of Inspect's or ``role:NAME``; False, the table does."""
    own, reading, interval = shared(settings, DiscretionAudit, load_preferences, CI)
    pairs = load_preferences(named(table), **reading)
    judged_by = (load_principles(principles or "collective") if judge else listed(principles)) if judge or principles else ()
    said = annotators if isinstance(annotators, Mapping) else {name: name for name in listed(annotators)}
    makers = {name: _annotator(name, source) for name, source in said.items()}
    DiscretionAudit(judged_by, **own)

    def run(ask: Reach) -> object:
        with PairCache(cache) as answers:
            oracle = ask(None if judge is True else str(judge)) if judge else None
            made = {name: make(ask) for name, make in makers.items()}
            audit = DiscretionAudit(judged_by, oracle=oracle, annotators=made, cache=answers, ci=CI(**interval), **own)
            return audit.run(pairs)

    return Ready(run, f"{len(pairs)} pairs of {table}", ("regions", "annotators"), write=lambda found, path: found.write(path))


def _annotator(name: str, source: Any) -> Callable[[Reach], Any]:
    """A column, two columns, ``judge:MODEL``, ``likelihood:MODEL`` (nothing behind the colon: the evaluated one) or ``reward:PATH``."""
    if isinstance(source, list | tuple):
        if len(source) != 2:
            raise InputError(f"annotator {name!r}: expected two columns of scores, got {len(source)}")
        return lambda ask: tuple(source)
    kind, colon, rest = str(source).partition(":")
    makers: dict[str, Callable[[Reach], Any]] = {
        "judge": lambda ask: ask(rest or None),
        "likelihood": lambda ask: Likelihood(ask(rest or None)),
        "reward": lambda ask: RewardCheckpoint(rest),
    }
    return makers[kind] if colon and kind in makers else lambda ask: str(source)


# -- tables --------------------------------------------------------------------------------------------------------------


def risk(
    table: str, codebook: str | None = None, cache: str | None = None, places: Mapping[str, Any] | None = None, **settings: Any
) -> Ready:
    """`audit_risk`. places: options of `load_risk_task`, such as ``{data_dir: data}``."""
    own, style, interval = shared(settings, audit_risk, PromptStyle, CI)
    task = load_risk_task(named(table), codebook, **(places or {}))
    ci = CI(**{"n_boot": 200, "seed": 42, **interval})

    def run(ask: Reach) -> object:
        with AnswerCache(cache) as answers:
            return audit_risk(ask(None), task, style=PromptStyle(**style) if style else None, cache=answers, ci=ci, **own)

    return Ready(run, named(table), ("report.metrics",), write=lambda found, path: found.write(path))


def named(given: Any) -> str:
    """A name that Inspect's command line cut at its commas (``?wordings=case,space``), whole again."""
    return ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given)


def _several(given: Any) -> list[Any]:
    """Values of a list, as numbers where they are (Inspect's command line leaves ``1,5`` as texts)."""
    parts = list(given) if isinstance(given, list | tuple) else [given]
    return [float(p) if isinstance(p, str) and p.replace(".", "", 1).isdecimal() and "." in p else _whole(p) for p in parts]


def _whole(given: Any) -> Any:
    return int(given) if isinstance(given, str) and given.isdecimal() else given


def listed(given: Any) -> Sequence[str]:
    """Names, also where only one is given."""
    return [str(name) for name in given] if isinstance(given, list | tuple) else [] if given is None else [str(given)]


AUDITS: dict[str, Callable[..., Ready]] = {
    "errors": errors,
    "distribution": distribution,
    "quality": quality,
    "grey-area": grey_area,
    "emission": emission,
    "discretion": discretion,
    "risk": risk,
}
