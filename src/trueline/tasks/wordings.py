"""Wordings of one question: paraphrases and seeded noise, each checked to leave the answer alone.

An item and its wordings share the metadata ``wording_group``; ``wording`` names each, ``canonical`` first. A task is asked for with them by
a suffix of its name: ``world:facts?wordings=paraphrases``, ``questions.csv?wordings=case,typos:0.02``.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from trueline.errors import InputError, nearest
from trueline.tasks.item import Item, Task
from trueline.tasks.normalise import contains_words, normalise

SUFFIX = "?wordings="
GROUP, NAME, CANONICAL = "wording_group", "wording", "canonical"
#: Kinds of wordings. ``paraphrases``: the task's own, or those of a metadata column ``paraphrases``.
KINDS = ("paraphrases", "case", "space", "typos:RATE")

_TRIES = 8
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_DIGITS = re.compile(r"[0-9]+")


def split_name(uri: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of a task without its suffix, and the kinds of wordings that the suffix asks for.

    Raises ``InputError`` for an unknown kind or a rate outside (0, 1).
    """
    base, found, listed = uri.partition(SUFFIX)
    kinds = tuple(dict.fromkeys(part.strip() for part in listed.split(","))) if found else ()
    for kind in kinds:
        _check(kind)
    return base, kinds


def with_wordings(task: Task, kinds: Sequence[str], seed: int = 0) -> Task:
    """Return the task with every item followed by its wordings; the name gets the suffix that asks for them.

    kinds: ``paraphrases``, ``case`` (lower case, or upper case where that changes nothing), ``space`` (doubled white space),
    ``typos:0.02`` (that share of the letters outside names swapped, dropped or replaced by a neighbour on the keyboard). A wording that
    changes a number, or that loses a reference which the question names, is not used; how many were not stands in ``notes``.

    Raises ``InputError`` for an unknown kind, a task without paraphrases, or an item whose prompt does not hold its question.
    """
    kinds = tuple(dict.fromkeys(kinds))
    for kind in kinds:
        _check(kind)
    items: list[Item] = []
    refused = 0
    for item in task.items:
        items.append(_named(item, item, CANONICAL))
        for kind in kinds:
            for name, question in _wordings(task, item, kind, seed):
                if question is None:
                    refused += 1
                else:
                    items.append(_named(item, _reworded(item, name, question), name))
    if len(items) == len(task.items):
        raise InputError(f"{task.name} has no wordings of kind {', '.join(kinds)}; a file gives them in a column `paraphrases`")
    notes = (*task.notes, f"{refused} wordings changed what is asked and were not used") if refused else task.notes
    return dataclasses.replace(task, name=f"{task.name}{SUFFIX}{','.join(kinds)}", items=items, notes=notes)


def _check(kind: str) -> None:
    name, _, rest = kind.partition(":")
    if name == "typos":
        try:
            rate = float(rest)
        except ValueError:
            rate = -1.0
        if not 0 < rate < 1:
            raise InputError(f"wordings {kind!r}: expected a share of the letters such as typos:0.02")
    elif kind not in KINDS:
        raise InputError(f"wordings {kind!r} are unknown{nearest(name, KINDS)}; known: {', '.join(KINDS)}")


def _wordings(task: Task, item: Item, kind: str, seed: int) -> Iterator[tuple[str, str | None]]:
    """(name, question) of each wording of a kind; the question is None where none keeps what is asked."""
    if kind == "paraphrases":
        given = task.paraphrases(item) if task.paraphrases is not None else _column(item)
        yield from ((name, question if keeps_answer(item, question) else None) for name, question in given)
        return
    rng = np.random.default_rng([seed, zlib.crc32(f"{item.id}/{kind}".encode())])
    change = _noise(kind, rng)
    for _ in range(_TRIES):
        made = change(item.question)
        if made != item.question and keeps_answer(item, made):
            yield kind, made
            return
    yield kind, None


def _column(item: Item) -> list[tuple[str, str]]:
    values = item.metadata.get("paraphrases") or []
    texts = [values] if isinstance(values, str) else list(values)
    return [(f"paraphrase {k}", str(text)) for k, text in enumerate(texts, start=1) if str(text).strip()]


def keeps_answer(item: Item, question: str) -> bool:
    """Whether a wording holds the same numbers in order, and every reference that the question itself names."""
    if _DIGITS.findall(item.question) != _DIGITS.findall(question):
        return False
    before, after = normalise(item.question), normalise(question)
    named = [form for r in item.references if (form := normalise(r)) and contains_words(before, form)]
    return all(contains_words(after, form) for form in named)


def _noise(kind: str, rng: np.random.Generator) -> Callable[[str], str]:
    if kind == "case":
        return lambda text: text.lower() if text.lower() != text else text.upper()
    if kind == "space":
        return lambda text: f" {re.sub(r' +', '  ', text)} "
    return lambda text: mistyped(text, float(kind.partition(":")[2]), rng)


def mistyped(text: str, rate: float, rng: np.random.Generator) -> str:
    """Change that share of the letters, one at least: swapped with the next, dropped, or struck beside.

    Words with a capital inside a sentence are names, and another name is another question: they stay as they are.
    """
    words = [m for m in re.finditer(r"\w+", text) if m[0].islower() or (m.start() == 0 and m[0].istitle())]
    letters = [i for m in words for i in range(*m.span()) if text[i].isalpha()]
    if not letters:
        return text
    chars = list(text)
    for i in rng.choice(letters, size=max(1, round(rate * len(letters))), replace=False):
        how, c = int(rng.integers(3)), chars[i]
        beside = _beside(c.lower())
        if how == 0 and i + 1 < len(chars) and chars[i + 1].isalpha():
            chars[i], chars[i + 1] = chars[i + 1], chars[i]
        elif how == 1 or not beside:
            chars[i] = ""
        else:
            new = beside[int(rng.integers(len(beside)))]
            chars[i] = new.upper() if c.isupper() else new
    return "".join(chars)


def _beside(c: str) -> str:
    row = next((r for r in _ROWS if c and c in r), "")
    i = row.find(c)
    return row[max(i - 1, 0) : i] + row[i + 1 : i + 2] if row else ""


def _named(canonical: Item, item: Item, name: str) -> Item:
    # wordings of one question are not independent: they share a cluster
    cluster = canonical.id if canonical.cluster is None else canonical.cluster
    return dataclasses.replace(item, cluster=cluster, metadata={**item.metadata, GROUP: canonical.id, NAME: name})


def _reworded(item: Item, name: str, question: str) -> Item:
    """The item with another question, in the prompt and in the last user turn as well."""
    prompt, messages = item.prompt_text, list(item.messages)
    if prompt is not None:
        prompt = _replaced(prompt, item, question)
    users = [k for k, (role, _) in enumerate(messages) if role == "user"]
    if users:
        role, content = messages[users[-1]]
        messages[users[-1]] = (role, _replaced(content, item, question))
    return dataclasses.replace(item, id=f"{item.id}#{name}", question=question, prompt_text=prompt, messages=tuple(messages))


def _replaced(text: str, item: Item, question: str) -> str:
    if not item.question or item.question not in text:
        raise InputError(f"item {item.id!r}: its prompt does not hold its question as it stands, so it cannot be reworded")
    head, _, tail = text.rpartition(item.question)
    return f"{head}{question}{tail}"
