"""How expressions of certainty, uncertainty and source in the prompt change a model's answers.

Zhou, Jurafsky and Hashimoto 2023, "Navigating the Grey Area" (arXiv 2302.13439). Every item meets every marker, so all contrasts are
paired. The paper samples 10 tokens once at temperature 1; the default here is the greedy answer (``path="sampled"`` is theirs).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from trueline.audits.marker_answers import Answers, Asking, ask_markers, marker_plan
from trueline.audits.marker_probes import Position, Probes, build_probes
from trueline.audits.marker_summary import marker_document
from trueline.capturing import Progress
from trueline.errors import InputError
from trueline.models.base import Model
from trueline.stats.engine import CI
from trueline.tasks.item import Task
from trueline.tasks.loading import load_task
from trueline.tasks.markers import Marker, load_markers

#: Samples below which a sampled accuracy is noise for the most part.
_FEW_DRAWS = 5


@dataclass(frozen=True, eq=False)
class MarkerReport:
    """What a marker audit found.

    Attributes
    ----------
    document : dict
        JSON-safe. ``markers``: each with labels, metrics and differences from the neutral one; ``classes``: means of each label,
        every marker weighing the same, and the calibration error; ``contrasts``: by metric certainty (weakeners less strengtheners),
        evidential and factive (less the others), with ``p_holm``; ``regression``: by metric, what each label adds while the others are
        held; ``spread``; ``warnings``.
    probes, answers
        What was asked, and the tables of numbers, items by markers.
    """

    document: dict[str, Any]
    probes: Probes
    answers: Answers

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the HTML report; returns the file."""
        from trueline.reports.grey_area import write_grey_area_report

        return write_grey_area_report(self.document, path)


@dataclass(frozen=True)
class MarkerAudit:
    """Put every marker in front of the answer (or the question) of every item.

    Attributes
    ----------
    task : Task or str
    markers : sequence of Marker, optional
        Default: the shipped list.
    position : {"answer_prefix", "question_prefix"}
        Before the answer: a completion model goes on after the marker, a chat model's own turn begins with it.
    n_items : int
        A fixed pseudo-random sample of so many items, if there are more.
    max_new_tokens, top_k : int
        Tokens of an answer, and most likely tokens read at each.
    draws : int
        Sampled answers (temperature 1) beside the greedy one: ``sampled_accuracy``.
    path : {"greedy", "sampled"}
        The answer whose tokens are read. ``"sampled"`` is the paper's; it needs ``draws``, and is averaged over them.
    multi_token : bool
        Answers of any length: the probability of each alias as a sequence, right and wrong by the task's grader.
    fluency : bool
        Measure how natural each marker is (its own mean log-prob a token), where the model can score texts.
    legacy : bool
        Add the paper's unpaired tests.
    ci : CI
        Level, replicates (2,000) and their seed.
    seed : int
        Of the draws.
    """

    task: Task | str
    markers: Sequence[Marker] | None = None
    position: Position = "answer_prefix"
    n_items: int = 200
    max_new_tokens: int = 10
    top_k: int = 50
    draws: int = 0
    path: str = "greedy"
    multi_token: bool = False
    fluency: bool = True
    legacy: bool = False
    ci: CI = field(default_factory=CI)
    seed: int = 0
    batch_size: int = 64
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        for name, least in (("n_items", 1), ("max_new_tokens", 1), ("top_k", 1), ("draws", 0), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if self.path not in ("greedy", "sampled") or (self.path == "sampled" and not self.draws):
            raise InputError(f"path is {self.path!r} with {self.draws} draws; expected 'greedy', or 'sampled' with at least one draw")

    def probes(self, model: Model) -> Probes:
        """The prompts."""
        return build_probes(
            self._task, load_markers() if self.markers is None else self.markers, model, position=self.position, n_items=self.n_items,
            multi_token=self.multi_token, max_new_tokens=self.max_new_tokens,
        )  # fmt: skip

    def plan(self, model: Model) -> dict[str, int]:
        """How many items, markers and calls of the model it takes."""
        probes = self.probes(model)
        return {"items": len(probes.items), "markers": len(probes.markers), **marker_plan(model, probes, self._asking).calls}

    def run(self, model: Model, *, out: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> MarkerReport:
        """Ask the model and sum up.

        out: run directory that keeps the answers; the same audit goes on there where it was stopped. progress: callable(step, done, total).

        Raises
        ------
        InputError
            No usable reference, a model that answers nothing, a table of other settings in ``out`` (SettingsMismatch).
        """
        probes = self.probes(model)
        answers = ask_markers(model, probes, self._task, self._asking, out=out, progress=progress)
        head = {
            "format": 1,
            "audit": "grey_area",
            "model": model.uri,
            "task": self._task.name,
            "path": self.path,
            "draws": self.draws,
            "seed": self.seed,
            "multi_token": self.multi_token,
            "top_k": self.top_k,
            "max_new_tokens": self.max_new_tokens,
            "legacy": self.legacy,
        }
        document: dict[str, Any] = head | marker_document(probes, answers, ci=self.ci, legacy=self.legacy)
        document["warnings"] += turn_warnings(model, self.position)
        if 0 < self.draws < _FEW_DRAWS:
            document["warnings"].append(f"{self.draws} sampled answers an item are noisy; {_FEW_DRAWS} are advised (seed {self.seed}).")
        return MarkerReport(document, probes, answers)

    @cached_property
    def _task(self) -> Task:
        return load_task(self.task) if isinstance(self.task, str) else self.task

    @property
    def _asking(self) -> Asking:
        return Asking(
            self.top_k, self.draws, self.path, self.multi_token, self.fluency, self.seed, self.batch_size, self.max_cost
        )  # fmt: skip


def turn_warnings(model: Model, position: str) -> list[str]:
    """What a server may make of a turn of its own that has begun already."""
    if position == "answer_prefix" and "chat" in model.capabilities and not hasattr(model, "continuation"):
        return [
            "The marker begins the assistant's turn; a server that does not go on with a turn that has begun answers anew. "
            "Ask its completions route (-O api=completions), or put markers before the question (--position question_prefix)."
        ]
    return []
