"""``nadir chip rules``: is a rule set possible, and what of it could be verified."""

from typing import Annotated

import typer

__all__ = ["rules"]


def rules(
    name: Annotated[
        str, typer.Argument(metavar="[NAME|DIR]", help="A set that ships, a table, or a folder.")
    ] = "topmed_2022",
) -> None:
    """Check a rule set: genes known, residues the proteins', windows inside them, no contradiction."""
    from chip.rules.checks import check_rules
    from chip.rules.rule_set import load_rule_set
    from pipeline.errors import SheetRefused

    rule_set = load_rule_set(name)
    check = check_rules(rule_set)
    typer.echo(f"{rule_set.name}: {rule_set.title}")
    typer.echo(f"{rule_set.citation}; licence {rule_set.licence}; {rule_set.date}")
    typer.echo(f"{check.validated} rules hold on the reference proteins")
    if check.unvalidated:
        listed = ", ".join(f"{gene} {count}" for gene, count in check.unvalidated)
        typer.echo(f"not validated here, for want of a reference: {listed}")
    if check.problems:
        raise SheetRefused(rule_set.path, check.problems)
