"""Lists of principles: what is shipped, what users bring, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueline.audits.principles import LISTS, load_principles, parse_principles
from trueline.errors import InputError


@pytest.mark.parametrize(("name", "count"), [("collective", 21), ("core", 8)])
def test_shipped_lists(name: str, count: int) -> None:
    principles = load_principles(name)
    assert name in LISTS
    assert len(principles) == count
    assert all(p.text.endswith(".") and len(p.text) > 20 for p in principles)
    assert len({p.name for p in principles}) == count


def test_a_file_with_and_without_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(
        "\ufeff# mine\n\nkind: Be kind.\nNever lie: not even a little.\n  Say when you do not know, and why.  \n", encoding="utf-8"
    )
    names = {p.name: p.text for p in load_principles(path)}
    assert names == {
        "kind": "Be kind.",
        "never_lie_not_even_a": "Never lie: not even a little.",
        "say_when_you_do_not": "Say when you do not know, and why.",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds 0 principles"),
        ("# only\nOne.", "holds 1 principles"),
        ("a: One.\na: Two.", "the name 'a' stands there 2 times"),
        ("a: One.\nb: One.", "the text 'One.' stands there 2 times"),
    ],
)
def test_bad_lists_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_principles(text)


def test_no_such_list_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean collective"):
        load_principles("colective")
    path = tmp_path / "latin.txt"
    path.write_bytes("Sei höflich.\nSei gut.\n".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_principles(path)
