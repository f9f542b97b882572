"""Programming problems with tests, from JSONL in the layouts of HumanEval, MBPP, or one's own: ``code:FILE.jsonl``.

HumanEval: Chen et al., arXiv 2107.03374 (MIT). MBPP: Austin et al., arXiv 2108.07732 (CC-BY-4.0). The files come from their owners.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trueline.errors import InputError
from trueline.tasks.item import Item, Task
from trueline.tasks.python_source import parse_python, preorder
from trueline.tasks.tables import BadLines, find_file, read_rows

_ASK = "Write Python code for this. Reply with the code alone.\n\n"


def load_code(path: str, *, skip_bad: bool = False, limit: int | None = None) -> Task:
    """Read a task of programming problems.

    path: a ``.jsonl``, ``.csv`` or ``.parquet`` file with ``prompt`` (or ``text``), and ``tests`` (list of assertions or source),
    ``test_list`` (MBPP) or ``test`` (HumanEval: source with a function ``check(candidate)``); where known ``task_id``, ``entry_point`` and
    ``setup`` (``test_setup_code``), source that runs before each test. skip_bad: leave out problems that cannot be used; the count is in
    ``Task.notes``.

    Answers are graded by ``code_quality``, which needs ``allow_exec``. Raises ``InputError`` naming file and line.
    """
    found = find_file(path)
    bad = BadLines(found, skip_bad)
    items: dict[str, Item] = {}
    for position, (line, row) in enumerate(read_rows(found, bad), start=1):
        if limit is not None and position > limit:
            break
        try:
            item = _item(row, position)
        except InputError as error:
            bad.add(line, str(error))
            continue
        if item.id in items:
            raise InputError(f"{found}: task_id {item.id!r} occurs more than once (again on line {line}); ids must be unique")
        items[item.id] = item
    note = bad.note()
    if not items:
        raise InputError(f"{found} has no usable problem{'' if not note else f': {note}'}; give prompt and tests")
    digest = hashlib.sha256(json.dumps([dict(i.metadata) for i in items.values()], sort_keys=True).encode()).hexdigest()
    return Task(
        name=f"code:{path}",
        items=list(items.values()),
        grader="code_quality",
        max_new_tokens=256,
        version=digest[:16],
        notes=(note,) if note else (),
    )


def _item(row: Mapping[str, Any], position: int) -> Item:
    prompt = row.get("prompt") or row.get("text")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("no prompt (or text) that says what to program")
    entry_point = row.get("entry_point")
    setup = "\n".join(_lines(row.get("test_imports")) + _lines(row.get("setup") or row.get("test_setup_code")))
    given = row.get("tests") or row.get("test_list") or row.get("test")
    setup, tests = split_tests(given, str(entry_point) if entry_point else None, setup)
    is_code = bool(entry_point) and f"def {entry_point}" in prompt
    metadata = {"tests": tests, "setup": setup, "entry_point": entry_point, "code_prompt": prompt if is_code else ""}
    shown = prompt if is_code else f"{prompt.strip()}\nThe code should pass this test: {tests[0]}"
    ident = row.get("task_id")
    return Item(
        id=f"row-{position:06d}" if ident is None or ident == "" else str(ident),
        question=shown,
        prompt_text=shown if is_code else f'"""\n{shown}\n"""\n',
        messages=(("user", _ASK + shown),),
        metadata=metadata,
    )


def split_tests(given: Any, entry_point: str | None, setup: str = "") -> tuple[str, list[str]]:
    """(setup, tests): assertions that can run one by one, from a list of them or from source.

    Source with a function ``check(candidate)`` gives the statements of its body that assert something, with the candidate's name replaced
    by the entry point; a loop of assertions is one test. What asserts nothing joins the setup, in order. Raises ``InputError`` where there
    is no test, or source that does not parse.
    """
    if isinstance(given, list | tuple):
        tests = [str(t).strip() for t in given if str(t).strip()]
    elif isinstance(given, str) and given.strip():
        tree = parse_python(given)
        if tree is None:
            raise InputError("its tests do not parse as Python")
        more, tests = _split(tree, entry_point)
        setup = "\n".join(part for part in (setup, more) if part)
    else:
        raise InputError("no tests (tests, test_list or test)")
    if not tests:
        raise InputError("its tests assert nothing")
    return setup, tests


def _split(tree: ast.Module, entry_point: str | None) -> tuple[str, list[str]]:
    check = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "check" and n.args.args), None)
    outside = [node for node in tree.body if node is not check]
    body = list(outside) if check is None else [*(n for n in outside if not _asserts(n)), *check.body]
    if check is not None:
        if entry_point is None:
            raise InputError("its tests have a check(candidate) function, so it needs an entry_point")
        _rename(check, check.args.args[0].arg, entry_point)
    setup = [ast.unparse(node) for node in body if not _asserts(node) and not _calls_check(node)]
    return "\n".join(setup), [ast.unparse(node) for node in body if _asserts(node)]


def _asserts(node: ast.AST) -> bool:
    """Whether running the statement asserts something: a function that would when called does not count."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    return any(isinstance(n, ast.Assert) for n in preorder(node))


def _calls_check(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "check"


def _rename(tree: ast.AST, old: str, new: str) -> None:
    for node in preorder(tree):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new


def _lines(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]
