"""From what a model replied to a program: the code of a fenced block, a whole program, or the continuation of a prompt's function."""

from __future__ import annotations

import re

from trueline.tasks.item import Item
from trueline.tasks.python_source import defines, parse_python

_FENCE = re.compile(r"```[ \t]*(?:python|py|python3)?[ \t]*\r?\n(.*?)(?:\n```|\Z)", re.DOTALL | re.IGNORECASE)
#: Where a continuation goes on to something else: what begins at the margin is no longer the function.
_NEXT = re.compile(r"\n(?=class |def |async def |@|#|if |print\(|assert |```|\"\"\"|''')")
_INDENT = re.compile(r"\n([ \t]+)\S")


def program_of(item: Item, text: str) -> str:
    """The program that an answer amounts to.

    A fenced block counts alone; of text around it nothing is kept. An answer that defines the item's ``entry_point`` is a program, after
    the imports of the prompt; another answer to a prompt that is code continues it, up to the next thing at the margin. The blank that
    answers lose at their start is put back from the prompt's indentation. What comes out need not parse.
    """
    found = _FENCE.search(text)
    code = found[1] if found else text
    prompt = str(item.metadata.get("code_prompt") or "")
    entry_point = item.metadata.get("entry_point")
    tree = parse_python(code)
    if not prompt:
        return code
    if tree is not None and (not entry_point or defines(tree, str(entry_point))):
        return f"{_imports(prompt)}{code}"
    return _continued(prompt, code)


def _imports(prompt: str) -> str:
    """What stands at the margin of a prompt before its last function: imports, and helpers that the answer may use."""
    starts = [match.start() for match in re.finditer(r"^(?:async )?def ", prompt, re.MULTILINE)]
    return prompt[: starts[-1]] if starts else ""


def _continued(prompt: str, code: str) -> str:
    body = _NEXT.split(code, maxsplit=1)[0]
    head = prompt if prompt.endswith("\n") else prompt.rstrip(" \t") + "\n"
    if body[:1] not in (" ", "\t", "\n"):
        indents = _INDENT.findall(prompt)
        body = (indents[-1] if indents else "    ") + body
    return head + body.rstrip() + "\n"
