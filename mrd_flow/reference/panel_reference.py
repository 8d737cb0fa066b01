"""The references of normal plasma cells of all tubes of a panel: shipped, or of one file."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from mrd_flow.panel.template import Panel
from mrd_flow.reference.normal_reference import NormalReference, shipped_reference
from pipeline.errors import ConfigRefused, DamagedFile
from pipeline.formats.atomic import write_json
from pipeline.formats.records import from_json, to_json

__all__ = ["load_panel_reference", "panel_reference", "reference_files", "save_panel_reference"]

_FORMAT = "nadir normal plasma cells of a panel 1"


def panel_reference(panel: Panel, path: Path | None) -> tuple[NormalReference, ...]:
    """The references of a panel's tubes, in order: those of a file, or those that ship.

    Raises
    ------
    UsageError
        If none was given and none ships for the panel.
    ConfigRefused
        If the file is not a reference of this panel.
    """
    if path is None:
        return tuple(shipped_reference(panel.name, number) for number in range(1, len(panel.tubes) + 1))
    references = load_panel_reference(path)
    if [r.tube for r in references] != list(range(1, len(panel.tubes) + 1)) or any(
        r.panel != panel.name for r in references
    ):
        raise ConfigRefused(
            "is a reference of another panel",
            path=path,
            expected=f"panel {panel.name}, {len(panel.tubes)} tube(s)",
            remedy="learn one with: nadir flow reference",
        )
    return references


def reference_files(panel: Panel, path: Path | None) -> tuple[Path, ...]:
    """The files that `panel_reference` reads."""
    if path is not None:
        return (path,)
    folder = Path(str(files("nadir_configs"))) / "flow_reference"
    return tuple(folder / f"{panel.name}_{number}.json" for number in range(1, len(panel.tubes) + 1))


def load_panel_reference(path: Path) -> tuple[NormalReference, ...]:
    """Read what `save_panel_reference` wrote.

    Raises
    ------
    ConfigRefused
        If the file cannot be read or is no reference of a panel.
    """
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict) or value.get("format") != _FORMAT or not value["tubes"]:
            raise ValueError("another format")
        return tuple(from_json(NormalReference, tube, path=path) for tube in value["tubes"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, DamagedFile) as error:
        raise ConfigRefused(
            "not a reference of normal plasma cells",
            path=path,
            expected=f"JSON of the format {_FORMAT!r}",
            remedy="learn it again with: nadir flow reference",
        ) from error


def save_panel_reference(path: Path, references: Sequence[NormalReference]) -> None:
    """Write the references of all tubes as one JSON file, whole or not at all."""
    write_json(path, {"format": _FORMAT, "tubes": [to_json(r) for r in references]})
