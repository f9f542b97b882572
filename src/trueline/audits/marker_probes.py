"""The prompts of a marker audit: every item under every marker, before the answer or before the question."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from trueline.capture.probes import answer_prompt
from trueline.errors import InputError
from trueline.items import choose
from trueline.models.base import Model, Prompt
from trueline.tasks.item import Item, Task
from trueline.tasks.markers import Marker

Position = Literal["answer_prefix", "question_prefix"]
#: More different answers than this are not a closed set.
_MOST_CANDIDATES = 1000


@dataclass(frozen=True)
class Probes:
    """What is asked.

    Attributes
    ----------
    task : Task
        n_items * n_markers items, all markers of one item after another; the marker of each in its metadata.
    items : n_items items of the task that was given
    aliases : n_items tuples of accepted answers
    candidates : n_items sets of possible answers; empty where the answers are not a closed set
    markers : tuple of Marker
    position : {"answer_prefix", "question_prefix"}
    n_offered : int
        Items that the task had.
    n_usable : int
        Items among them that have a reference of the wanted kind.
    """

    task: Task
    items: tuple[Item, ...]
    aliases: tuple[tuple[str, ...], ...]
    candidates: tuple[frozenset[str], ...]
    markers: tuple[Marker, ...]
    position: Position
    n_offered: int
    n_usable: int

    @property
    def clusters(self) -> list[str] | None:
        """A label an item; None where no two items share one."""
        labels = [item.cluster or f"\0{item.id}" for item in self.items]
        return labels if len(set(labels)) < len(labels) else None

    def prompt(self, item: int) -> Prompt:
        """The prompt of an item without a marker."""
        return answer_prompt(self.items[item], self.task)


def build_probes(
    task: Task, markers: Sequence[Marker], model: Model, *, position: Position, n_items: int, multi_token: bool, max_new_tokens: int
) -> Probes:
    """Cross items and markers. Raises ``InputError`` when no item has a usable reference, or the markers are no list of different ones."""
    if position not in get_args(Position):
        raise InputError(f"position is {position!r}; expected one of {', '.join(get_args(Position))}")
    for name, value in (("n_items", n_items), ("max_new_tokens", max_new_tokens)):
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    if len({m.marker for m in markers}) < max(len(markers), 1):
        raise InputError("the markers are empty, or one of them is given twice")
    aliases = {item.id: _aliases(item, model, multi_token) for item in task.items}
    usable = [item for item in task.items if aliases[item.id]]
    if not usable:
        kind = "a reference" if multi_token else "a reference of one token"
        more = "" if multi_token else "; multi_token=True (--multi-token) scores longer ones"
        raise InputError(f"none of the {len(task.items)} items of {task.name} has {kind}{more}")
    kept = choose(dataclasses.replace(task, items=usable), n_items).items
    crossed = [_with_marker(item, task, marker, k, position) for item in kept for k, marker in enumerate(markers)]
    asked = dataclasses.replace(task, name=f"{len(markers)} markers on {task.name}", items=crossed, max_new_tokens=max_new_tokens)
    everything = frozenset(alias for item in kept for alias in aliases[item.id])
    closed = everything if len(everything) <= _MOST_CANDIDATES else frozenset()
    return Probes(
        task=asked,
        items=tuple(kept),
        aliases=tuple(aliases[item.id] for item in kept),
        candidates=tuple(_own_set(item) or closed for item in kept),
        markers=tuple(markers),
        position=position,
        n_offered=len(task.items),
        n_usable=len(usable),
    )


def _aliases(item: Item, model: Model, multi_token: bool) -> tuple[str, ...]:
    """The references that can be read: of one token after a space, by the model's tokenizer; one word where that is not at hand."""
    known = dict.fromkeys(r.strip() for r in item.references if r.strip())
    if multi_token:
        return tuple(r for r in known if not any(r != other and _begins(r, other) for other in known))
    continuation = getattr(model, "continuation", None)
    return tuple(r for r in known if (len(continuation(f" {r}")) == 1 if continuation is not None else len(r.split()) == 1))


def _begins(text: str, start: str) -> bool:
    """Whether an answer goes on where another one ends: its probability is part of the other's."""
    rest = text[len(start) :]
    return text.startswith(start) and not rest[:1].isalnum()


def _own_set(item: Item) -> frozenset[str]:
    given: Any = item.metadata.get("answers")
    return frozenset(map(str, given)) if isinstance(given, list | tuple) else frozenset()


def _with_marker(item: Item, task: Task, marker: Marker, k: int, position: Position) -> Item:
    plain = answer_prompt(item, task)
    turns = tuple((m.role, m.content) for m in plain.messages)
    text = plain.text or ""
    phrase = marker.marker
    if phrase and position == "answer_prefix":
        text, turns = f"{text.rstrip(' ')} {phrase}", (*turns, ("assistant", phrase))
    elif phrase:
        opened = f"{phrase} {_lowered(item.question) if phrase.endswith(',') else item.question}"
        text = text.replace(item.question, opened) if item.question in text else f"{phrase} {text}"
        last = max((i for i, (role, _) in enumerate(turns) if role == "user"), default=len(turns) - 1)
        role, content = turns[last]
        said = content.replace(item.question, opened) if item.question in content else f"{phrase} {content}"
        turns = (*turns[:last], (role, said), *turns[last + 1 :])
    return dataclasses.replace(
        item, id=f"{item.id}#{k}", prompt_text=text, messages=turns, cluster=item.cluster or item.id, metadata={"marker": phrase}
    )


def _lowered(question: str) -> str:
    """The question as the rest of a sentence: its first letter is small, unless the first word is an abbreviation."""
    return question[:1].lower() + question[1:] if question[1:2].islower() or question[1:2] == " " else question
