"""Find a model by its URI."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

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
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise InputError(f"unknown option {option!r} of {uri!r}{nearest(option, known)}; known: {', '.join(known)}")
