"""Everything trueline ships, by name: one visible table. Nothing here is imported until it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One line of the catalog.

    target: ``module:object``. settings: keyword arguments of this variant. cost: beyond the greedy decode, in D (decode), F (forward pass),
    N (judged pair), M samples. color: ``white`` (needs weights), ``logprobs`` (an API with log-probs), ``black`` (texts alone).
    proof: path of the page under docs/ that shows the method doing what it claims, or "" while there is none.
    """

    name: str
    kind: str
    target: str
    summary: str
    source: str
    cost: str = ""
    color: str = ""
    proof: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


_PROOF_GNLL = "proofs/g-nll.md"
_PROOF_BASE = "proofs/semantic-and-sampling-baselines.md"
_PROOF_STATS = "proofs/validation-core.md"

ENTRIES: tuple[Entry, ...] = ()
#: Entry-point group of other packages' entries; each entry point names a sequence of ``Entry``.
PLUGIN_GROUP = "trueline.plugins"


def all_entries() -> tuple[Entry, ...]:
    """``ENTRIES`` and what installed packages add under the entry-point group ``trueline.plugins``.

    Raises ``InputError`` when a plugin offers something else than entries, or a name that is taken.
    """
    from importlib.metadata import entry_points

    from trueline.errors import InputError

    found = {entry.name: entry for entry in ENTRIES}
    for point in entry_points(group=PLUGIN_GROUP):
        for entry in point.load():
            if not isinstance(entry, Entry):
                raise InputError(f"plugin {point.name!r} ({point.value}) must name a sequence of trueline.catalog.Entry, found {entry!r}")
            if entry.name in found:
                raise InputError(f"plugin {point.name!r} ({point.value}) offers {entry.name!r}, a name that is taken: rename its entry")
            found[entry.name] = entry
    return tuple(found.values())


#: What comes before the colon of a model or task URI -> ``module:function(rest, **options)``.
MODEL_SCHEMES = {
    "hf": "trueline.models.local:load",
    "world": "trueline.knownworld:load_model",
}
TASK_SCHEMES = {
    "world": "trueline.knownworld:load_task",
    "hf-dataset": "trueline.tasks.files:load_hf_dataset",
}
