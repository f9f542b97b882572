"""Lists of epistemic markers: the shipped one and those of users."""

from __future__ import annotations

from pathlib import Path

import pytest

from trueline.errors import InputError
from trueline.tasks.markers import COLUMNS, Marker, load_markers


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_shipped_list() -> None:
    markers = load_markers()
    assert len(markers) == len({m.marker for m in markers}) == 54
    counts = {name: sum(name in m.labels for m in markers) for name in ("weakener", "strengthener", *COLUMNS[2:])}
    assert counts == {
        "weakener": 30,
        "strengthener": 22,
        "plausibility_shield": 19,
        "evidential": 22,
        "factive": 10,
        "sourced": 13,
        "first_person": 24,
    }
    assert [m.marker for m in markers if m.is_control] == ["It is", ""]
    assert all(m.certainty == "weakener" for m in markers if m.plausibility_shield)
    assert all(m.evidential for m in markers if m.sourced)


def test_lists_of_users_in_any_language(tmp_path: Path) -> None:
    path = write(
        tmp_path / "de.csv", '\ufeffmarker,certainty,evidential\n"Ich glaube, es ist",Weakener,\n  Laut   Lexikon ist es,none,yes\n'
    )
    first, second = load_markers(path)
    assert first == Marker("Ich glaube, es ist", "weakener")
    assert second == Marker("Laut Lexikon ist es", "none", evidential=True)
    assert not second.is_control


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'marker'"),
        ("marker,certainty\n", "holds no marker"),
        ("marker\nx\n", "no column 'certainty'"),
        ("marker,certainty,hedge\nx,weakener,1\n", "unknown column 'hedge'"),
        ("marker,certainty\nx,strong\n", "line 2: certainty of the marker 'x' is 'strong'"),
        ("marker,certainty,factive\nx,none,2\n", "line 2: factive is '2'"),
        ("marker,certainty\nx,none\nx,none\n", "line 3: the marker 'x' stands there twice"),
        ("marker,certainty\nI doubt, but it is,weakener\n", "line 2: expected 2 cells"),
        ("marker,certainty\nx\n", "line 2: expected 2 cells"),
        ('marker,certainty\n"x,none\n', "no CSV file"),
        (b"marker,certainty\n\xff,none\n", "not UTF-8"),
    ],
)
def test_bad_lists_say_what_is_wrong(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_markers(write(tmp_path / "bad.csv", text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the markers"):
        load_markers(tmp_path / "none.csv")
