"""Groups of commands, each imported when one of its commands is asked for and not before.

The only place that names the assays' ``cli`` modules.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["GROUPS", "Group", "Groups"]


@dataclass(frozen=True, slots=True)
class Group:
    """Where a group's commands are, and what the list of commands says of it."""

    module: str
    help: str

    def announced(self) -> typer.Typer:
        """The group by name and help alone."""
        group = typer.Typer(help=self.help)
        group.callback()(_nothing)
        return group

    def loaded(self) -> Any:
        """The group with its commands."""
        return typer.main.get_command(import_module(self.module).app)


def _nothing() -> None:
    """A group needs something to be called."""


GROUPS = {
    "ngs": Group(
        "mrd_ngs.cli", "Sequencing MRD: find the clone at diagnosis, follow it as cells per million."
    ),
    "flow": Group(
        "mrd_flow.cli", "Flow cytometry MRD: from FCS files to aberrant plasma cells per nucleated cell."
    ),
    "chip": Group("chip.cli", "Clonal haematopoiesis in graft and blood."),
    "cfdna": Group(
        "cfdna.cli", "Tumour DNA in plasma and marrow: track, profile, fraction, fragments, identity."
    ),
    "concordance": Group(
        "pipeline.cli.concordance",
        "Compare two methods on the same samples: values, and readings at a threshold.",
    ),
    "clinical": Group(
        "pipeline.cli.clinical", "Response, staging and endpoints from laboratory and follow-up tables."
    ),
    "detection": Group(
        "pipeline.cli.detection", "Limits of an assay: blank, detection, quantification, linearity."
    ),
    "variants": Group("pipeline.cli.variants", "Variants on the genome: from reads to calls with names."),
}


class Groups(TyperGroup):
    """The root: a group's commands are imported when the first word of the command names it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put the group in place of its announcement, then go on as always."""
        name = args[0] if args else ""
        if name in GROUPS:
            self.commands[name] = GROUPS[name].loaded()
            self.commands[name].name = name
        return super().resolve_command(ctx, args)
