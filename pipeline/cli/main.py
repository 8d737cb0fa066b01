"""``nadir``: the command and its groups.

Everything heavy is imported inside the command that needs it, and a group only when one of its
commands is asked for, so that ``nadir --help`` answers at once.
"""

import sys
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli.batch import report, run, status, step, verify, why
from pipeline.cli.check import check
from pipeline.cli.demo import demo
from pipeline.cli.groups import GROUPS, Groups
from pipeline.cli.review import review
from pipeline.cli.tables import export, query
from pipeline.errors import NadirError, SheetRefused, printable

__all__ = ["app", "main"]

app = typer.Typer(
    name="nadir",
    cls=Groups,
    help="Residual disease in myeloma from raw files; no result is called negative without its own "
    "limit of detection. For research use, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, check, run, status, why, verify, step, report, review, query, export):
    app.command()(command)
for name, group in GROUPS.items():
    app.add_typer(group.announced(), name=name)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nadir {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; every refusal becomes one message on stderr and its exit code."""
    try:
        app()
    except SheetRefused as error:
        for problem in error.problems:
            where = f", column '{problem.column}'" if problem.column else ""
            typer.echo(f"line {problem.line}{where}: {problem.cause}. Remedy: {problem.remedy}.", err=True)
        typer.echo(f"nadir: {printable(str(error.path))}: problems: {len(error.problems)}", err=True)
        sys.exit(error.exit_code)
    except NadirError as error:
        notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
        typer.echo(f"nadir: {error}{notes}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
