"""The `trueline` program: its commands, and how errors become one line and an exit code."""

from __future__ import annotations

import errno
import shlex
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trueline import __version__
from trueline.cli.audit import audit
from trueline.cli.audit_quality import quality
from trueline.cli.audit_runs import distribution, errors
from trueline.cli.catalog import catalog
from trueline.cli.check import check
from trueline.cli.compare import compare
from trueline.cli.demo import demo
from trueline.cli.emission import marker_corpus
from trueline.cli.grey_area import grey_area
from trueline.cli.importing import import_
from trueline.cli.measure import measure
from trueline.cli.plan import plan
from trueline.cli.report import report
from trueline.cli.risk import risk
from trueline.cli.runs import runs
from trueline.cli.score import score
from trueline.cli.terminal import EXIT_USAGE, show_error
from trueline.cli.validate import validate
from trueline.errors import TruelineError

_INTERRUPTED = 130  # as a shell reports SIGINT


class _Commands(TyperGroup):
    """Commands whose expected errors end in one line on standard error, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (TruelineError, OSError) as error:
            if ctx.params.get("debug") or getattr(error, "errno", None) == errno.EPIPE:  # a closed pipe is typer's to end quietly
                raise
            show_error(str(error))
            raise typer.Exit(EXIT_USAGE) from error
        except KeyboardInterrupt as error:
            again = shlex.join(["trueline", *sys.argv[1:]])
            show_error(f"interrupted; what was finished is kept, the same command goes on from there:\n  {again}")
            raise typer.Exit(_INTERRUPTED) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 a gate failed, 2 usage or input error, 3 finished with failed items.",
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"trueline {__version__}\n")
        raise typer.Exit


@app.callback()
def _program(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """How far can you trust what a model says? Measure it, and see how sure the measure is."""


app.command()(demo)
app.command()(catalog)
app.command()(measure)
app.command("import")(import_)
app.command()(score)
app.command()(validate)
app.command()(compare)
app.command()(check)
app.command()(report)
audit.command()(errors)
audit.command()(quality)
audit.command()(distribution)
audit.command("grey-area")(grey_area)
audit.command("marker-corpus")(marker_corpus)
audit.command()(risk)
app.add_typer(audit, name="audit")
app.add_typer(runs, name="runs")
app.add_typer(plan, name="plan")
