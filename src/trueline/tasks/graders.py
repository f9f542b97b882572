"""`load_grader`: from a short name to a function that judges one answer of one item.

Every grader returns ``Grade(correct=None, reason=...)`` for an item it cannot judge (no reference, unreadable reference): such
answers are counted as ungraded, never as wrong. An answer that is merely empty or malformed is wrong.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from trueline.errors import InputError, nearest
from trueline.tasks.item import Grade, Grader, Item, Task
from trueline.tasks.normalise import contains_words, normalise

_NO_REFERENCE = Grade(None, reason="no reference answer")
_NUMBER = re.compile(r"(?:(?<![\w)])[-+\u2212])?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
#: Longest time one pattern may take on one answer.
REGEX_SECONDS = 1.0


def load_grader(spec: str | Grader, task: Task, *, allow_exec: bool = False) -> Grader:
    """The grader a task or a user names.

    spec, one of:

    - ``exact``: equal to a reference, but for white space at the ends; ``normalised``: equal in normal form (``tasks.normalise``)
    - ``contains``: a reference occurs in the answer as whole words, both in normal form
    - ``numeric``, ``numeric:0.01``, ``numeric:1%``: the last number of the answer is within the tolerance, absolute or relative
    - ``regex:PATTERN``: the pattern is found; with a group, what the group captures equals a reference in normal form
    - ``choice``: the letter chosen is the reference's letter
    - ``rouge_l:0.3``: the best ROUGE-L F1 against a reference reaches the threshold
    - ``oracle``: the task's own truth (known world)
    - ``llm:MODEL``: a model judges the answer against the references
    - ``code_quality``, ``code_quality:SECONDS``: the share of a programming problem's tests that pass; only with ``allow_exec``
    - ``module:function`` or ``file.py:function``: your own; takes (item, text), returns a Grade, True, False or None
    - or such a function itself.

    Raises ``InputError`` for an unknown name or a setting that cannot be used.
    """
    if not isinstance(spec, str):
        return _checked(spec, getattr(spec, "__qualname__", "grader"))
    name, colon, rest = spec.partition(":")
    if name == "code_quality":
        from trueline.tasks.code_quality import code_grader

        return code_grader(rest, allow_exec=allow_exec)
    if name in _NAMED:
        return _NAMED[name](rest, task)
    if colon and name:
        return _checked(_own(name if name.endswith(".py") else spec.rpartition(":")[0], spec.rpartition(":")[2]), spec)
    raise InputError(
        f"unknown grader {spec!r}; known: {', '.join(_NAMED)}, code_quality, module:function{nearest(name, [*_NAMED, 'code_quality'])}"
    )


def grade_all(grader: Grader, items: Sequence[Item], texts: Sequence[str]) -> list[Grade]:
    """Grade many answers; a grader that has ``grade_many(items, texts)`` (a model as the judge) gets them together."""
    many = getattr(grader, "grade_many", None)
    if many is not None:
        grades: list[Grade] = many(items, texts)
        return grades
    return [grader(item, text) for item, text in zip(items, texts, strict=True)]


def _exact(rest: str, task: Task) -> Grader:
    _no_setting("exact", rest)

    def exact(item: Item, text: str) -> Grade:
        if not item.references:
            return _NO_REFERENCE
        return _verdict(text, text.strip() in {r.strip() for r in item.references})

    return exact


def _normalised(rest: str, task: Task) -> Grader:
    _no_setting("normalised", rest)

    def normalised(item: Item, text: str) -> Grade:
        if not item.references:
            return _NO_REFERENCE
        return _verdict(text, normalise(text) in _forms(item.references))

    return normalised


def _contains(rest: str, task: Task) -> Grader:
    _no_setting("contains", rest)

    def contains(item: Item, text: str) -> Grade:
        forms = _forms(item.references)
        if not any(forms):
            return _NO_REFERENCE if not item.references else Grade(None, reason="the reference has no letters or digits to look for")
        form = normalise(text)
        return _verdict(text, any(contains_words(form, part) for part in forms))

    return contains


def _numeric(rest: str, task: Task) -> Grader:
    tolerance, relative = _tolerance(rest)

    def numeric(item: Item, text: str) -> Grade:
        if not item.references:
            return _NO_REFERENCE
        truths = [value for r in item.references if (value := last_number(r)) is not None]
        if not truths:
            return Grade(None, reason=f"the reference {item.references[0][:40]!r} holds no number")
        found = last_number(text)
        if found is None:
            return Grade(False, answer=text.strip(), reason="no number in the answer")
        allowed = [tolerance * (abs(t) if relative else 1.0) for t in truths]
        # decimal fractions such as 0.1 are not exact in binary: a difference of a few units in the last place is none
        near = any(abs(found - t) <= a + 4e-16 * max(abs(t), abs(found)) for t, a in zip(truths, allowed, strict=True))
        return Grade(near, answer=f"{found:g}")

    return numeric


def last_number(text: str) -> float | None:
    """The last finite number written in digits in a text (thousands commas allowed), or None."""
    for match in reversed(list(_NUMBER.finditer(text))):
        value = float(match[0].replace(",", "").replace("\u2212", "-"))
        if math.isfinite(value):
            return value
    return None


def _tolerance(rest: str) -> tuple[float, bool]:
    relative = rest.endswith("%")
    try:
        value = float(rest.rstrip("%")) if rest else 0.0
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"numeric:{rest}: expected a tolerance such as numeric:0.01 (absolute) or numeric:1% (relative)")
    return (value / 100 if relative else value), relative


def _regex(rest: str, task: Task) -> Grader:
    import regex  # its matcher, unlike that of `re`, can be told to stop

    if not rest:
        raise InputError(r"regex: needs a pattern, such as regex:(?i)answer is (\w+)")
    try:
        pattern = regex.compile(rest)
    except regex.error as error:
        raise InputError(f"regex:{rest}: not a valid pattern ({error})") from error

    def matches(item: Item, text: str) -> Grade:
        try:
            match = pattern.search(text, timeout=REGEX_SECONDS)
        except TimeoutError:
            return Grade(None, reason=f"the pattern took longer than {REGEX_SECONDS:g} s on this answer")
        if match is None:
            return Grade(False, answer=text.strip(), reason="the pattern was not found")
        if not pattern.groups:
            return Grade(True, answer=match[0])
        captured = next((group for group in match.groups() if group is not None), "")
        if not item.references:
            return _NO_REFERENCE
        return Grade(normalise(captured) in _forms(item.references), answer=captured)

    return matches


_LETTER_ALONE = re.compile(r"^[\s(\[*\"']*([A-Za-z])(?:[)\].:,*\"']|\s*$|\s*[-\u2013\n])")
_LETTER_SAID = re.compile(r"(?i:answer|option|choice)(?:\s+is)?\s*:?\s*[(\[*\"']*([A-Z])(?![A-Za-z'])")
_LETTER_BRACKETED = re.compile(r"[(\[]([A-Z])[)\]]")


def chosen_letter(text: str) -> str | None:
    """The one option letter that a reply chooses (``B``, ``(B)``, ``B. Paris``, ``the answer is B``), or None when none or several."""
    alone = _LETTER_ALONE.match(text)
    if alone:
        return alone[1].upper()
    for pattern in (_LETTER_SAID, _LETTER_BRACKETED):
        letters = set(pattern.findall(text))
        if letters:
            return letters.pop() if len(letters) == 1 else None
    return None


def _choice(rest: str, task: Task) -> Grader:
    _no_setting("choice", rest)

    def choice(item: Item, text: str) -> Grade:
        if not item.references:
            return _NO_REFERENCE
        truths = {letter for r in item.references if (letter := chosen_letter(r)) is not None}
        if not truths:
            return Grade(None, reason=f"the reference {item.references[0][:40]!r} is no choice letter")
        letter = chosen_letter(text)
        if letter is None:
            return Grade(False, answer=text.strip(), reason="the answer does not choose one letter")
        return Grade(letter in truths, answer=letter)

    return choice


def _rouge_l(rest: str, task: Task) -> Grader:
    from trueline.tasks.rouge import rouge_l_tokens, rouge_tokens

    try:
        threshold = float(rest) if rest else 0.3
    except ValueError:
        threshold = math.nan
    if not 0 < threshold <= 1:
        raise InputError(f"rouge_l:{rest}: expected a threshold in (0, 1], such as rouge_l:0.3")

    def rouge(item: Item, text: str) -> Grade:
        if not item.references:
            return _NO_REFERENCE
        tokens = rouge_tokens(text)
        score = max(rouge_l_tokens(rouge_tokens(r), tokens) for r in item.references)
        return Grade(score >= threshold, answer=text.strip(), score=score)

    return rouge


def _oracle(rest: str, task: Task) -> Grader:
    _no_setting("oracle", rest)
    if task.grade_oracle is None:
        raise InputError(f"the oracle grader needs a task whose truth is known (world:facts, ...); {task.name!r} has none")
    return task.grade_oracle


def _given(rest: str, task: Task) -> Grader:
    raise InputError("the verdicts of this run came with its file; name a grader to judge the answers again, such as contains")


def _llm(rest: str, task: Task) -> Grader:
    # models lie above tasks: the judge is reached by name
    load: Callable[[str], Grader] = importlib.import_module("trueline.models.judge").load
    if not rest:
        raise InputError("llm: needs a model, such as llm:hf:PATH_OR_ID")
    return load(rest)


#: Graders by the name before the colon.
_NAMED: dict[str, Callable[[str, Task], Grader]] = {
    "exact": _exact,
    "normalised": _normalised,
    "contains": _contains,
    "numeric": _numeric,
    "regex": _regex,
    "choice": _choice,
    "rouge_l": _rouge_l,
    "oracle": _oracle,
    "llm": _llm,
    "given": _given,
}


def _own(module: str, function: str) -> Callable[[Item, str], Any]:
    """A user's own function, from an importable module or a file of Python."""
    if module.endswith(".py"):
        path = Path(module)
        if not path.is_file():
            raise InputError(f"no file {path} to take the grader {function!r} from")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise InputError(f"{path} cannot be imported as Python")
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    else:
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            raise InputError(
                f"unknown grader {module + ':' + function!r}: no module {module!r} ({error}); known: {', '.join(_NAMED)}, "
                f"module:function, file.py:function{nearest(module, _NAMED)}"
            ) from error
    grader = getattr(found, function, None)
    if not callable(grader):
        own = [name for name, value in vars(found).items() if callable(value)]
        raise InputError(f"{module} has no function {function!r}{nearest(function, own)}")
    result: Callable[[Item, str], Any] = grader
    return result


def _checked(function: Callable[[Item, str], Any], name: str) -> Grader:
    """Accept a plain verdict from a user's function, and refuse anything else by name."""
    if hasattr(function, "grade_many"):
        return function

    def own(item: Item, text: str) -> Grade:
        found = function(item, text)
        if isinstance(found, Grade):
            return found
        if found is None:
            return Grade(None, answer=text.strip(), reason=f"{name} gave no verdict")
        if isinstance(found, bool) or type(found).__name__ == "bool":  # numpy's bool has the same name
            return Grade(bool(found), answer=text.strip())
        raise InputError(f"the grader {name} returned {found!r} for item {item.id!r}; expected a Grade, True, False or None")

    own.__qualname__ = name
    return own


def _verdict(text: str, correct: bool) -> Grade:
    stripped = text.strip()
    return Grade(correct, answer=stripped, reason=None if stripped else "empty answer")


@lru_cache(maxsize=10_000)
def _forms(references: tuple[str, ...]) -> frozenset[str]:
    return frozenset(normalise(r) for r in references)


def _no_setting(name: str, rest: str) -> None:
    if rest:
        raise InputError(f"the grader {name} takes no setting, got {rest!r}")
