"""Pages made from the catalog and the command line when the site is built, so that they cannot go out of date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from trueline.catalog import ENTRIES, Entry

DOCS = Path(__file__).parents[1]
ACCESS = {
    "white": "white box: needs the weights (the whole next-token law)",
    "logprobs": "grey box: an API that returns log-probs is enough",
    "black": "black box: texts are enough",
}


def on_config(config: Any) -> Any:
    """Fill the navigation: one entry an estimator, one a proof."""
    for section in config.nav:
        if "Estimators" in section:
            section["Estimators"] = [{"Overview": "estimators/index.md"}, *({e.name: page_path(e)} for e in estimators())]
        if "Proofs" in section:
            section["Proofs"] = [{title(p): f"proofs/{p.name}"} for p in sorted((DOCS / "proofs").glob("*.md"))]
    config.nav[:] = [section for section in config.nav if [] not in section.values()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put the reference of every command into the page that asks for it."""
    return markdown.replace("<!-- commands -->", command_line()) if page.file.src_uri == "cli.md" else markdown


def generated() -> dict[str, str]:
    """Path under docs/ -> Markdown of every page made here."""
    pages = {page_path(entry): estimator_page(entry) for entry in estimators()}
    pages["estimators/index.md"] = overview()
    return pages


def estimators() -> list[Entry]:
    """The estimators of the catalog, in its order."""
    return [entry for entry in ENTRIES if entry.kind == "estimator"]


def page_path(entry: Entry) -> str:
    """Where an estimator's page lies."""
    return f"estimators/{entry.name}.md"


def title(path: Path) -> str:
    """The first heading of a page."""
    return next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))[2:].strip()


def overview() -> str:
    """The table of all estimators."""
    lines = [
        "# Estimators",
        "",
        "Every estimator turns a stored trace into one number an item: its uncertainty, higher = less certain. `trueline catalog` prints",
        "the same table. Cost is what an estimator adds to the greedy decode of an item: D another decode, F a forward pass, N a pair of",
        "texts to judge, M the number of samples.",
        "",
        "| name | what it is | needs | cost | source |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| [{e.name}]({e.name}.md) | {cell(e.summary)} | {cell(needs_in_words(e))} | {cell(e.cost)} | {cell(e.source)} |"
        for e in estimators()
    ]
    return "\n".join(lines) + "\n"


def estimator_page(entry: Entry) -> str:
    """Facts from the catalog, then the docstring."""
    facts = {
        "Source": entry.source,
        "Needs": needs_in_words(entry),
        "Cost beyond the greedy decode": entry.cost,
        "Access": ACCESS[entry.color],
        "Settings behind this name": ", ".join(f"`{k}={v!r}`" for k, v in entry.settings.items()),
        "Proof": f"[{title(DOCS / entry.proof)}](../{entry.proof})" if entry.proof else "none yet",
    }
    rows = [f"| {name} | {cell(value)} |" for name, value in facts.items() if value]
    lines = [f"# {entry.name}", "", entry.summary, "", rows[0], "|---|---|", *rows[1:], ""]
    lines += ["```bash", f"trueline measure MODEL TASK --estimators {entry.name}", "```", ""]
    lines += [f"::: {entry.target.replace(':', '.')}"]
    return "\n".join(lines) + "\n"


def needs_in_words(entry: Entry) -> str:
    """What must be captured, in one phrase."""
    from trueline.estimators.loading import load_estimators

    needs = load_estimators([entry.name])[entry.name].needs
    parts = []
    if needs.greedy:
        parts.append(f"greedy {', '.join(sorted(needs.greedy))}")
    if needs.samples:
        columns = f" with {', '.join(sorted(needs.sample_columns))}" if needs.sample_columns else ""
        law = " under the model's own law" if needs.model_law else ""
        parts.append(f"{needs.samples} or more samples{columns}{law}")
    if needs.equivalence:
        parts.append("judged pairs of texts")
    if needs.similarity:
        parts.append("compared pairs of texts")
    if needs.unfitted:
        parts.append("a fit on other, graded items")
    parts += [f"probe {name}" for name in sorted(needs.probes)]
    return "; ".join(parts) or "an answer"


def cell(text: str) -> str:
    """Text that fits into a table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def command_line() -> str:
    """The reference of every command, from the parser itself."""
    from typer.main import get_command

    from trueline.cli.app import app

    lines: list[str] = []
    for name, command in commands(get_command(app)):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join([f"trueline {name}", *(p.metavar or p.name.strip("_").upper() for p in arguments), "[OPTIONS]"])
        body, _, example = (command.help or "").strip().partition("Example: ")
        lines += [f"## trueline {name}", "", body.strip(), "", "```text", usage, *([f"example: {example}"] if example else []), "```", ""]
        lines += ["| | | default |", "|---|---|---|", *(parameter_row(p) for p in command.params), ""]
    return "\n".join(lines)


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its full name, those of groups among them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def parameter_row(parameter: Any) -> str:
    """One argument or option as a table row."""
    is_argument = parameter.param_type_name == "argument"
    name = (parameter.metavar or parameter.name.strip("_").upper()) if is_argument else ", ".join(parameter.opts)
    default = "" if is_argument or parameter.is_flag or parameter.default is None else f"`{parameter.default}`"
    return f"| `{name}` | {cell(parameter.help or '')} | {default} |"
