"""The known world: a closed world whose truth is known, its oracle and its shipped checkpoints."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.errors import InputError, nearest
from trueline.knownworld import oracle
from trueline.knownworld.generator import World

if TYPE_CHECKING:
    from trueline.models import Model
    from trueline.tasks import Task

__all__ = ["CHECKPOINTS", "World", "load_model", "load_task", "oracle"]

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Folder of the shipped checkpoints: ``base``, ``chat``, ``small``."""


def load_model(name: str, **options: Any) -> Model:
    """Load a shipped checkpoint, computed in float32, or a model of a planted world: its judge, its reader of markers or of risks.

    Parameters
    ----------
    name : {"base", "chat", "small", "planted-judge", "planted-markers", "planted-risk"}
        What stands after ``world:``.
    **options
        Passed to the loader of local models.

    Raises
    ------
    InputError
        For an unknown name.
    """
    if name == "planted-risk":
        from trueline.knownworld.planted_table import PlantedRisk

        settings = [field.name for field in fields(PlantedRisk)]
        for option in options:
            if option not in settings:
                raise InputError(
                    f"unknown option {option!r} of world:planted-risk{nearest(option, settings)}; known: {', '.join(settings)}"
                )
        return PlantedRisk(**options)
    if name == "planted-judge":
        from trueline.knownworld.planted_pairs import PlantedJudge

        return PlantedJudge(**options)
    if name == "planted-markers":
        from trueline.knownworld.planted_markers import PlantedMarkerModel

        return PlantedMarkerModel(**options)
    if name == "planted-emitter":
        from trueline.knownworld.planted_emitter import PlantedEmitter

        return PlantedEmitter(**options)
    from trueline.models.local import load

    known = [
        *sorted(p.name for p in CHECKPOINTS.iterdir() if p.is_dir()),
        "planted-emitter",
        "planted-judge",
        "planted-markers",
        "planted-risk",
    ]
    if name not in known:
        raise InputError(f"the known world has no model {name!r}; it has: {', '.join(known)}")
    return load(str(CHECKPOINTS / name), **{"dtype": "float32", "uri": f"world:{name}", **options})


def load_task(name: str) -> Task:
    """Load a task of the shipped world, ``World(0, "small")``.

    Parameters
    ----------
    name : str
        What stands after ``world:``, for example ``facts``.

    Raises
    ------
    InputError
        For an unknown name; the message lists the nearest ones.
    """
    from trueline.knownworld.questions import build_task

    return build_task(World(), name)
