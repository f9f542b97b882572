"""Find a model by its URI."""

from __future__ import annotations

import importlib
import numbers
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from trueline.catalog import MODEL_SCHEMES
from trueline.errors import InputError, nearest
from trueline.models.base import Model


def load_model(uri: str, **options: object) -> Model:
    """Load the model that ``uri`` names: ``hf:DIRECTORY_OR_HUB_ID`` for transformers, ``world:NAME`` for the known world.

    ``options`` go to the scheme's loader, such as ``device`` and ``dtype`` of ``hf:`` (see ``trueline.models.local.load``).
    Raises ``InputError`` for an unknown scheme or option and ``ModelError`` for a model that cannot be loaded.
    """
    loader, rest = find_loader(uri, options)
    return loader(rest, **options)


def find_loader(uri: str, options: Mapping[str, object]) -> tuple[Callable[..., Model], str]:
    """The loader of a URI and what it is given beside ``options``; nothing is loaded. Raises ``InputError`` as ``load_model`` does."""
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in MODEL_SCHEMES:
        if Path(uri).expanduser().exists():
            raise InputError(f"a model is named by a URI; for the checkpoint in this directory write hf:{uri}")
        known = ", ".join(f"{name}:..." for name in MODEL_SCHEMES)
        raise InputError(f"unknown model {uri!r}{nearest(scheme, MODEL_SCHEMES)}; a model URI is one of {known}")
    if not rest:
        raise InputError(f"the model URI {uri!r} names nothing after {scheme}:")
    module, _, function = MODEL_SCHEMES[scheme].partition(":")
    loader = cast(Callable[..., Model], getattr(importlib.import_module(module), function))
    _check_options(uri, loader, options)
    return loader, rest


def _check_options(uri: str, loader: Callable[..., Model], options: Mapping[str, object]) -> None:
    import inspect

    parameters = inspect.signature(loader).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    open_end = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    hints = _hints(loader)
    for option, value in options.items():
        if option not in known and not open_end:
            raise InputError(f"unknown option {option!r} of {uri!r}{nearest(option, known)}; known: {', '.join(known)}")
        if option in known and not _fits(value, hints.get(option)):
            expected = inspect.formatannotation(hints[option]).removesuffix(" | None")
            quoted = f"; a text that reads as a number goes in quotes: {option}='\"123\"'" if _fits("", hints[option]) else ""
            raise InputError(f"the option {option} of {uri!r} must be {expected}, got {type(value).__name__}{quoted}")


def _hints(loader: Callable[..., Model]) -> dict[str, Any]:
    try:
        return get_type_hints(loader)
    except (NameError, TypeError):  # names that only a type checker sees
        return {}


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of the kind that a loader's own signature asks for; what is no plain class is the loader's to check."""
    if isinstance(hint, types.UnionType):
        return any(_fits(value, kind) for kind in get_args(hint))
    kind = get_origin(hint) or hint
    if isinstance(value, bool) and kind in (int, float):
        return False
    kind = {int: numbers.Integral, float: numbers.Real}.get(kind, kind)  # those of numpy as well
    return not isinstance(kind, type) or isinstance(value, kind)
