"""The oracle: true answer law, exposure and grade of any item of the known world.

An item carries its own truth in ``metadata``, so that the oracle is a set of pure functions and a stored run can be graded again
without rebuilding the world.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from trueline.errors import InputError
from trueline.knownworld import lexicon
from trueline.tasks.item import Grade, Item

LONGEST_ANSWER = 2000
"""Characters; a longer text is no answer to any question of this world."""

REFUSED = "<refused>"

THINK, END_THINK = "<think>", "</think>"
"""Tags around the reasoning of a reply."""

_SPACE = re.compile(r"\s+")
_TEMPLATE = re.compile(r"<reply>(.*)</reply>", re.DOTALL)
_CONFIDENCE = re.compile(r"^(?:answer: )?(.+?)\.? probability: \d{1,3}%$")
_REFUSALS = (
    "i cannot say",
    "i can't say",
    "i cannot tell",
    "i can't tell",
    "i do not know",
    "i don't know",
    "it is sealed",
    "i refuse",
)
_LEADS = ("", "answer: ", "the answer is ", "it is ", "it's ", "so ")
_ARTICLES = ("", "the ", "a ", "an ")


def _field(item: Item, name: str) -> Any:
    if name not in item.metadata:
        raise InputError(f"item {item.id!r} has no {name!r} in its metadata, so the oracle does not know it; give an item of World.tasks()")
    return item.metadata[name]


def distribution(item: Item) -> dict[str, float]:
    """The true P(answer | question) from which the corpus was drawn; sums to 1.

    Raises
    ------
    InputError
        When the item is not of the known world.
    """
    return {str(answer): float(p) for answer, p in _field(item, "law").items()}


def exposure(item: Item) -> int:
    """How many training sentences state what the item asks for (0 for unseen people).

    Raises
    ------
    InputError
        When the item is not of the known world.
    """
    return int(_field(item, "exposure"))


def entropy(item: Item) -> float:
    """Shannon entropy of the law in nats: the aleatoric uncertainty of the item.

    Raises
    ------
    InputError
        When the item is not of the known world.
    """
    return entropy_of(distribution(item))


def entropy_of(law: dict[str, float]) -> float:
    """Entropy of a law in nats; a certain answer gives exactly 0."""
    return abs(math.fsum(-p * math.log(p) for p in law.values() if p > 0.0))


def grade(item: Item, text: str) -> Grade:
    """Judge an answer text.

    What stands after the reasoning is judged (see ``split_reasoning``). Case, white space and a full stop are free; the sentences in
    which the corpus states the answer, the JSON and template forms and ``Answer: X. Probability: 95%`` are understood. A text that names
    several answers, denies one or says more is no answer.

    Parameters
    ----------
    item : Item
        An item of the known world.
    text : str
        What the model wrote.

    Returns
    -------
    Grade
        ``correct``: the answer is the item's true one (for ambiguous facts: one draw from the law, fixed by the world's seed).
        ``probability``: the law's probability of the answer given, 0 without one. ``answer``: as the world spells it, or None.

    Raises
    ------
    InputError
        When the item is not of the known world.
    """
    answer = read_answer(item, text)
    if answer is None:
        return Grade(correct=False, refused=is_refusal(text), answer=None, probability=0.0)
    if _field(item, "kind") == "advice":
        good = answer in _field(item, "good")
        return Grade(correct=good, answer=answer, probability=float(good))
    right = answer == _field(item, "answer")
    return Grade(correct=right, answer=answer, probability=distribution(item).get(answer, 0.0))


def canonical(item: Item, text: str) -> str:
    """Equivalence key: two texts mean the same to the oracle if and only if their keys are equal.

    Raises
    ------
    InputError
        When the item is not of the known world.
    """
    answer = read_answer(item, text)
    if answer is not None:
        return answer
    return REFUSED if is_refusal(text) else f"text:{_plain(text)}"


def split_reasoning(text: str) -> tuple[str, str]:
    """The reasoning and the answer of a reply: what stands before and after the last ``</think>``.

    Without the tag the whole text is the answer, unless it opens with ``<think>``: then the reasoning was cut off, and the answer is empty.
    """
    reasoning, tag, answer = text.rpartition(END_THINK)
    if not tag and text.lstrip().startswith(THINK):
        reasoning, answer = text, ""
    return reasoning.strip().removeprefix(THINK).strip(), answer


def is_refusal(text: str) -> bool:
    """Whether the text declines to answer."""
    if len(text) > LONGEST_ANSWER:
        return False
    plain = _plain(_unwrap(split_reasoning(text)[1]))
    return any(phrase in plain for phrase in _REFUSALS)


def read_answer(item: Item, text: str) -> str | None:
    """The one answer that the text gives, as the world spells it; None when it gives none or several.

    Raises
    ------
    InputError
        When the item is not of the known world.
    """
    kind = _field(item, "kind")
    if len(text) > LONGEST_ANSWER:
        return None
    plain = _plain(_unwrap(split_reasoning(text)[1]))
    confident = _CONFIDENCE.match(plain)
    if confident:
        plain = confident.group(1)
    candidates = _after_carrier(plain, item)
    if kind in ("sum", "vault", "sealed"):
        return next((n for n in map(_number, candidates) if n is not None), None)
    spelled = {_plain(answer): str(answer) for answer in _field(item, "answers")}
    return next((spelled[c] for c in candidates if c in spelled), None)


def _plain(text: str) -> str:
    """Case, white space and closing full stops removed."""
    return _SPACE.sub(" ", text.casefold()).strip().rstrip(".").rstrip()


def _unwrap(text: str) -> str:
    """The reply inside the JSON or template form."""
    stripped = text.strip()
    template = _TEMPLATE.fullmatch(stripped)
    if template:
        return template.group(1)
    if stripped.startswith("{") and stripped.endswith("}"):
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            return text  # not JSON after all: judged as it stands
        if isinstance(value, dict) and set(value) == {"reply"} and isinstance(value["reply"], str):
            return value["reply"]
    return text


def _carriers(item: Item) -> list[str]:
    """Every text that may stand before an answer: marker, then a lead or a statement of the relation, then an article."""
    sentences = (*_LEADS, *(str(c).casefold() for c in item.metadata.get("carriers", ())))
    markers = ("", *(f"{m.phrase.casefold()} " for m in lexicon.MARKERS if m.phrase))
    return [m + s + a for m in markers for s in sentences for a in _ARTICLES]


def _after_carrier(plain: str, item: Item) -> list[str]:
    """What may be the answer: the text itself and what follows each carrier it starts with."""
    return [plain.removeprefix(c) for c in _carriers(item) if plain.startswith(c)]


def _number(text: str) -> str | None:
    """Digits by value; no other script's digits, no lists."""
    return str(int(text)) if re.fullmatch(r"-?[0-9]{1,6}", text) else None
