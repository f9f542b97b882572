"""Python programs as text: parsed without running them, whatever a model wrote."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

#: Longer texts count as no program: reading one costs hundreds of bytes a character.
MAX_CHARACTERS = 200_000


def parse_python(source: str) -> ast.Module | None:
    """The syntax tree of a program, or None where it does not parse; nothing of it is run.

    >>> parse_python("x = 1") is None, parse_python("x = ") is None
    (False, True)
    """
    if len(source) > MAX_CHARACTERS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and the like: the program's matter
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deeply
            return None


def preorder(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes, parents before children, children in the order of the source; no recursion, so depth is no limit."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(list(ast.iter_child_nodes(node)))


def defines(tree: ast.Module, name: str) -> bool:
    """Whether the program binds ``name`` at its top level by a function, a class or an assignment."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            return True
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return True
    return False
