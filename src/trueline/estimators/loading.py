"""Estimators and equivalences by name: ``semantic_entropy``, ``semantic_entropy(estimator=monte_carlo)``, ``nli:PATH``."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from trueline.catalog import Entry, all_entries
from trueline.errors import InputError, nearest
from trueline.estimators.base import Estimator
from trueline.estimators.equivalence.base import Equivalence
from trueline.estimators.equivalence.keys import Exact, Normalised, Oracle
from trueline.estimators.similarity.base import Similarity

#: Similarities by checkpoint: scheme -> class.
_ENCODERS = {"cross": "CrossEncoder", "encoder": "SentenceEncoder", "bertscore": "BERTScore"}
_SIMILARITY = re.compile(r"(\w+(?:\([^()]*\))?):(.*)", re.DOTALL)
_JUDGE = re.compile(r"((?:nli|llm)(?:\([^()]*\))?):(.*)", re.DOTALL)
_SPEC = re.compile(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def estimator_entries() -> dict[str, Entry]:
    """The estimators of the catalog and of installed plugins, by name."""
    return {entry.name: entry for entry in all_entries() if entry.kind == "estimator"}


def load_estimator(spec: str) -> tuple[str, Estimator]:
    """``(name, estimator)`` from ``"name"`` or ``"name(option=value,...)"``; the name keeps the options given, in the order given.

    ``span=reasoning`` or ``span=all`` reads other tokens than the answer's (see ``trueline.estimators.spans``).
    A trained estimator is fitted here: ``"name(fit=RUN)"``, a graded run directory with other items, or a ``.safetensors`` file.
    Raises ``InputError`` for an unknown name (with the nearest ones), option or value.

    >>> load_estimator("sequence_nll")
    ('sequence_nll', SequenceNLL(length_normalize=False, on_empty='raise'))
    """
    name, options = parse_spec(spec)
    entries = estimator_entries()
    if name not in entries:
        raise InputError(f"unknown estimator {name!r}{nearest(name, entries)} (`trueline catalog` lists all)")
    entry = entries[name]
    shown = f"{name}({','.join(f'{k}={_shown(v)}' for k, v in options.items())})" if options else name
    source, span = options.pop("fit", None), options.pop("span", None)
    estimator = build(entry, options)
    if source is not None:
        from trueline.estimators.fitting import Trained, fit_from

        if not isinstance(estimator, Trained):
            raise InputError(f"{name} is not trained, so it takes no fit")
        estimator = fit_from(estimator, str(source))
    return shown, estimator if span is None else _in_span(estimator, str(span))


def _in_span(estimator: Estimator, span: str) -> Estimator:
    from trueline.estimators.spans import InSpan
    from trueline.traces.schema import SPANS

    if span not in SPANS:
        raise InputError(f"unknown span {span!r}{nearest(span, SPANS)}; choose one of {', '.join(SPANS)}")
    return InSpan(estimator, span)


def load_estimators(specs: str | Iterable[str] = "all") -> dict[str, Estimator]:
    """Several estimators, by name: ``"all"``, a comma-separated string, or a list of specs; repeated names are kept once."""
    wanted = split_specs(specs) if isinstance(specs, str) else list(specs)
    names = [name for spec in wanted for name in (estimator_entries() if spec.strip() == "all" else [spec])]
    if not names:
        raise InputError("no estimator was named; say 'all' or give names from `trueline catalog`")
    return dict(load_estimator(name) for name in names)


def build(entry: Entry, options: dict[str, Any]) -> Estimator:
    """The estimator of a catalog entry with some settings changed."""
    module, _, name = entry.target.partition(":")
    make = getattr(importlib.import_module(module), name)
    known = {f.name for f in dataclasses.fields(make) if f.name != "state" and not f.name.startswith("_")}
    for option in options:
        if option not in known:
            raise InputError(f"{entry.name} has no option {option!r}{nearest(option, known)}; it has: {', '.join(sorted(known))}")
    settings = {**entry.settings, **options}
    for f in dataclasses.fields(make):
        if f.name in settings:
            settings[f.name] = _typed(entry.name, f.name, settings[f.name], f.default)
    estimator: Estimator = make(**settings)
    return estimator


def load_equivalence(
    spec: str, *, canonical: Callable[[str, str], str] | None = None, model_options: dict[str, Any] | None = None, **options: Any
) -> Equivalence:
    """The judge that a spec names: ``exact``, ``normalised``, ``oracle``, ``nli:PATH``, ``llm:MODEL``.

    canonical: (item id, text) -> canonical form, for ``oracle``. options: settings of the judge (``numbers``, ``labels``, ``self_pairs``,
    ``prefix_question``, ``batch_size``, ``device``, ``template``); they may also stand in the spec, ``normalised(numbers=false)``,
    ``nli(prefix_question=false):PATH``. model_options: passed to
    ``load_model`` for ``llm:``. Raises ``InputError`` for an unknown name, ``oracle`` without an oracle, or an unknown option.
    """
    judge = _JUDGE.fullmatch(spec)
    name, given = parse_spec(judge[1] if judge else spec)
    options = {**given, **options}
    if judge:
        if not judge[2]:
            raise InputError(f"{spec!r} names nothing after the colon; give {name}:{'PATH' if name == 'nli' else 'MODEL'}")
        return _load_judge(name, judge[2], model_options or {}, options)
    if name == "oracle":
        if canonical is None:
            raise InputError(
                "equivalence 'oracle' needs a task whose truth is known (world:...); choose normalised, exact, nli:PATH or llm:MODEL"
            )
        return cast(Equivalence, _make(Oracle, "oracle", {"canonical": canonical, **options}))
    if name in ("exact", "normalised"):
        return cast(Equivalence, _make(Exact if name == "exact" else Normalised, name, options))
    known = ("exact", "normalised", "oracle", "nli:PATH", "llm:MODEL")
    raise InputError(f"unknown equivalence {spec!r}{nearest(name, known)}; known: {', '.join(known)}")


def load_similarity(spec: str, **options: Any) -> Similarity:
    """The similarity that a spec names: ``char3`` (spelling), ``cross:DIR``, ``encoder:DIR``, ``bertscore:DIR`` (local checkpoints).

    options: settings such as ``batch_size`` and ``device``; they may also stand in the spec, ``encoder(batch_size=32):DIR``.
    Raises ``InputError`` for an unknown name or option, ``ModelError`` for a directory that holds no checkpoint.
    """
    from trueline.estimators import similarity

    match = _SIMILARITY.fullmatch(spec)
    name, given = parse_spec(match[1] if match else spec)
    options = {**given, **options}
    if match and name in _ENCODERS:
        if not match[2]:
            raise InputError(f"{spec!r} names nothing after the colon; give {name}:DIR")
        loaded: Similarity = _make(getattr(similarity, _ENCODERS[name]), name, {"path": match[2], **options}, "similarity")
        loaded.fingerprint()  # a directory that cannot be used is reported now
        return loaded
    if name == "char3" and not match:
        return cast(Similarity, _make(similarity.Char3, name, options, "similarity"))
    known = ("char3", *(f"{scheme}:DIR" for scheme in _ENCODERS))
    raise InputError(f"unknown similarity {spec!r}{nearest(name, known)}; known: {', '.join(known)}")


def _load_judge(scheme: str, rest: str, model_options: dict[str, Any], options: dict[str, Any]) -> Equivalence:
    if scheme == "nli":
        from trueline.estimators.equivalence.nli import NLI

        return cast(Equivalence, _make(NLI, "nli", {"path": rest, **options}))
    from trueline.estimators.equivalence.llm import LLMJudge
    from trueline.models.loading import load_model

    return cast(Equivalence, _make(LLMJudge, "llm", {"model": load_model(rest, **model_options), **options}))


def _make(make: Any, name: str, options: dict[str, Any], kind: str = "equivalence") -> Any:
    fields = {f.name: f for f in dataclasses.fields(make) if not f.name.startswith("_")}
    for option in options:
        if option not in fields:
            raise InputError(f"{kind} {name!r} has no option {option!r}; it has: {', '.join(sorted(fields)) or 'none'}")
    return make(**{k: _typed(name, k, v, fields[k].default) for k, v in options.items()})


def split_specs(text: str) -> list[str]:
    """Split at commas that stand outside parentheses."""
    parts = re.split(r",(?![^()]*\))", text)
    return [part.strip() for part in parts if part.strip()]


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """``"name(a=1,b=x)"`` -> ``("name", {"a": 1, "b": "x"})``. Raises ``InputError`` when it does not have that form."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise InputError(f"{spec!r} is not of the form name or name(option=value,...)")
    options: dict[str, Any] = {}
    for part in re.split(r",(?![^\[\]]*\])", match[2] or ""):  # not at the commas of a list
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"{part.strip()!r} in {spec!r} is not of the form option=value")
        options[key.strip()] = _value(value.strip())
    return match[1], options


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except json.JSONDecodeError:
        return text


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(owner: str, option: str, value: Any, default: Any) -> Any:
    """Check a setting against the type of its default; an int passes for a float."""
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(v, int | float) for v in value):
        return tuple(float(v) for v in value)
    if default is dataclasses.MISSING or (isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool)):
        return value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise InputError(f"{owner}: {option}={value!r} has the wrong type; expected {type(default).__name__} (default {default!r})")
