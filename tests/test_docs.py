"""What the documentation shows works, and it covers everything public."""

from __future__ import annotations

import dataclasses
import doctest
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import trueline
from trueline.catalog import ENTRIES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """(language, title, content) of the code blocks of a page, in order."""
    return [(m[1], m[2] or "", m[3]) for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def execute(command: list[str], folder: Path, **environment: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def follow(page: Path, folder: Path, **environment: str) -> list[str]:
    """Do all that a page shows, in order, in ``folder``: titled blocks are files, the others are run. Returns the commands run."""
    commands = []
    for language, title, content in blocks(page):
        if title:
            (folder / title).write_text(content, encoding="utf-8")
        elif language == "python":
            execute([sys.executable, "-c", content], folder, **environment)
        elif language == "bash":
            for line in content.splitlines():
                commands.append(line.partition("   #")[0].strip())
                if not commands[-1].startswith("make "):
                    execute(["bash", "-ec", commands[-1]], folder, **environment)
    return commands


def load_hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_five_minute_start_works_as_shown(tmp_path: Path) -> None:
    follow(DOCS / "start.md", tmp_path)
    for report in ("demo/report.html", "mine/report.html", "imported/report.html"):
        assert (tmp_path / "runs" / report).stat().st_size > 10_000
    assert (tmp_path / "facts.html").exists()


@pytest.mark.slow
def test_readme_works_as_shown(tmp_path: Path) -> None:
    commands = follow(ROOT / "README.md", tmp_path)
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "runs" / "facts" / "report.html").exists()
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {c.split()[1] for c in commands if c.startswith("make ")} <= set(targets)


def test_discretion_audit_works_as_shown(tmp_path: Path) -> None:
    commands = follow(DOCS / "discretion.md", tmp_path)
    assert len(commands) == 2
    for name in ("judged.csv", "discretion.html", "again.html"):
        assert (tmp_path / name).stat().st_size > 200


def test_grey_area_audit_works_as_shown(tmp_path: Path) -> None:
    commands = follow(DOCS / "grey-area.md", tmp_path)
    assert len(commands) == 4
    for name in ("grey.html", "again.html"):
        assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.slow
def test_neighbours_work_as_shown(tmp_path: Path) -> None:
    installed = tmp_path / "site" / "registered-1.0.dist-info"  # as an installer would
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: registered\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[inspect_ai]\ntrueline = trueline.inspecting\n")
    path = os.pathsep.join([str(installed.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    assert len(follow(DOCS / "neighbours.md", tmp_path, PYTHONPATH=path)) == 9
    for run in ("towns", "inspected"):
        assert (tmp_path / "runs" / run / "metrics.json").exists()
    assert "model-index" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_every_number_of_the_compatibility_page() -> None:
    shown = "\n".join(content for language, _, content in blocks(DOCS / "compatibility.md") if language == "pycon")
    test = doctest.DocTestParser().get_doctest(shown, {}, "compatibility.md", "docs/compatibility.md", 0)
    said: list[str] = []
    failed = doctest.DocTestRunner().run(test, out=said.append).failed
    assert not failed, "".join(said)
    assert len(test.examples) > 20
    names: dict[str, list[str]] = {}
    for entry in ENTRIES:
        if entry.kind == "estimator" and "compat" in {field.name for field in dataclasses.fields(pkgutil.resolve_name(entry.target))}:
            names.setdefault(entry.target, []).append(entry.name)
    assert len(names) > 15
    assert not [some for some in names.values() if not re.search(rf"({'|'.join(some)})\([\w=,]*compat=", shown)]


def test_tables_work_as_shown(tmp_path: Path) -> None:
    assert len(follow(DOCS / "tables.md", tmp_path)) == 4
    assert (tmp_path / "risk.html").stat().st_size > 10_000
    assert len((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()) == 301


def test_classifiers_work_as_shown(tmp_path: Path) -> None:
    assert len(follow(DOCS / "classifiers.md", tmp_path)) == 3
    assert (tmp_path / "classifier.html").stat().st_size > 10_000


def test_contributing_works_as_shown(tmp_path: Path) -> None:
    """The steps of an own package, with the entry point registered as an installer would."""
    ((_, _, toml),) = [block for block in blocks(ROOT / "CONTRIBUTING.md") if block[1] == "pyproject.toml"]
    group, line = re.fullmatch(r'\[project\.entry-points\."([\w.]+)"\]\n(.*)\n', toml).groups()  # type: ignore[union-attr]
    installed = tmp_path / "first_token-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: first_token\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    commands = follow(ROOT / "CONTRIBUTING.md", tmp_path, PYTHONPATH=str(tmp_path))
    assert any(c.startswith("trueline measure") for c in commands)
    shown = execute(["trueline", "catalog", "first_token_entropy", "--json"], tmp_path, PYTHONPATH=str(tmp_path))
    assert "first_token:FirstTokenEntropy" in shown
    import polars as pl

    scores = pl.read_parquet(tmp_path / "runs" / "own" / "scores.parquet")
    assert scores["first_token_entropy"].is_finite().all()


def test_every_estimator_has_a_page() -> None:
    pages = load_hook("pages").generated()
    for entry in ENTRIES:
        if entry.kind == "estimator":
            page = pages[f"estimators/{entry.name}.md"]
            assert f"::: {entry.target.replace(':', '.')}\n" in page
            assert entry.source.split()[0] in page
            assert f"[{entry.name}]({entry.name}.md)" in pages["estimators/index.md"]


def test_every_command_is_in_the_reference() -> None:
    from trueline.cli.app import app

    reference = load_hook("pages").command_line()
    names = [c.name or c.callback.__name__ for c in app.registered_commands]  # type: ignore[union-attr]
    assert names
    assert not [name for name in names if f"## trueline {name}\n" not in reference]
    assert "--samples" in reference


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(p.read_text(encoding="utf-8") for p in (DOCS / "reference").glob("*.md"))
    names: set[str] = set()
    for path in re.findall(r"^::: (\S+)$", pages, re.MULTILINE):
        found = pkgutil.resolve_name(path)
        names |= {path.rpartition(".")[2], *(vars(found) if isinstance(found, ModuleType) else ())}
    assert not [name for name in trueline.__all__ if name not in names and not name.startswith("__")]


def test_formulas_and_doctests_become_markdown() -> None:
    convert = load_hook("docstrings").to_markdown
    assert convert("The sum :math:`\\sum_t x_t`, plain.").startswith('The sum <math xmlns="http://www.w3.org/1998/Math/MathML"')
    shown = convert("One.\n\n.. math:: A =\n    \\frac{a}{b}\n\nTwo.\n\n>>> f(1)\n2\n\nThree.")
    assert ":math:" not in shown
    assert ".. math::" not in shown
    assert "<mfrac>" in shown
    assert "```pycon\n>>> f(1)\n2\n```" in shown
    assert shown.startswith("One.")
    assert shown.endswith("Three.")


@pytest.mark.slow
def test_the_site_loads_nothing_from_outside(tmp_path: Path) -> None:
    """Links may lead out, but no page fetches a font, script, style or picture from elsewhere."""
    execute(["mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path / "site")], ROOT, NO_MKDOCS_2_WARNING="1")
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    loads = re.compile(r"<(?:script|img|iframe)[^>]+src=[\"']?https?:|<link[^>]+stylesheet[^>]+href=[\"']?https?:")
    assert not [page.name for page in pages if loads.search(page.read_text(encoding="utf-8"))]
