"""House rules that a reader relies on: small files, small functions, documented public names, a cheap import, no grab-bag modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "trueline"
MODULES = sorted(SRC.rglob("*.py"))

MAX_MODULE, MAX_FUNCTION = 400, 50
#: Longer than the rule, and why that reads better than a split. Keep it short.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}

HEAVY = ("torch", "transformers", "polars", "pyarrow", "scipy", "sklearn", "altair", "pandas", "nltk", "vl_convert", "tokenizers")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def module_name(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Functions, classes and methods by dotted name; not what is defined inside a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try):
            yield from definitions(node, prefix)


def code_lines(node: Definition) -> int:
    """Lines from the signature to the end, without the docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node):
        lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
    return lines


def is_contract(node: Definition) -> bool:
    """A member of a protocol: its body is ``...``."""
    last = node.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is ...


def protocol_methods() -> set[str]:
    """Methods that a protocol documents: what implements it need not say it again."""
    classes = (node for p in MODULES for node in ast.walk(ast.parse(p.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef))
    protocols = (c for c in classes if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in c.bases))
    return {name for c in protocols for name, node in definitions(c) if ast.get_docstring(node)}


PROTOCOL_METHODS = protocol_methods()


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_module_is_small_and_documented(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    name = module_name(path)
    problems = []
    if len(source.splitlines()) > MAX_MODULE and name not in LONG_MODULES:
        problems.append(f"{len(source.splitlines())} lines, at most {MAX_MODULE}")
    if tree.body and not ast.get_docstring(tree):
        problems.append("no module docstring")
    if any(True for _ in definitions(tree)) and "from __future__ import annotations" not in source:
        problems.append("no `from __future__ import annotations`")
    for dotted, node in definitions(tree):
        public = not any(part.startswith("_") for part in dotted.split("."))
        if public and not ast.get_docstring(node) and not is_contract(node) and node.name not in PROTOCOL_METHODS:
            problems.append(f"{dotted} has no docstring")
        if not isinstance(node, ast.ClassDef) and code_lines(node) > MAX_FUNCTION and f"{name}:{dotted}" not in LONG_FUNCTIONS:
            problems.append(f"{dotted} has {code_lines(node)} lines beside its docstring, at most {MAX_FUNCTION}")
    assert not problems, f"{name}: " + "; ".join(problems)


def test_allow_lists_are_not_stale() -> None:
    sizes = {module_name(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert not [name for name in LONG_MODULES if sizes.get(name, 0) <= MAX_MODULE]
    functions = {
        f"{module_name(p)}:{dotted}": code_lines(node)
        for p in MODULES
        for dotted, node in definitions(ast.parse(p.read_text(encoding="utf-8")))
    }
    assert not [name for name in LONG_FUNCTIONS if functions.get(name, 0) <= MAX_FUNCTION]


def test_no_grab_bag_modules() -> None:
    banned = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
    assert not [module_name(p) for p in MODULES if p.stem.strip("_") in banned]


def test_the_library_does_not_print() -> None:
    """Output belongs to the command line and to the ``main`` of a module run as a script."""
    prints = []
    for path in MODULES:
        if "cli" in path.relative_to(SRC).parts:
            continue
        for dotted, node in definitions(ast.parse(path.read_text(encoding="utf-8"))):
            calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name))
            if dotted != "main" and any(call.func.id == "print" for call in calls):
                prints.append(f"{module_name(path)}:{dotted}")
    assert not prints


@pytest.mark.parametrize("module", ["trueline", "trueline.catalog", "trueline.cli"])
def test_import_is_cheap(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not loaded, f"import {module} loads {', '.join(loaded)}"
