"""What is in a file and what is wrong with it, for people and for machines.

Only technical keywords are shown: others ($SRC, $OP, patient fields of some makers) may
hold a person's name.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrd_flow.fcs.data_sets import DataSet, read_data_sets
from mrd_flow.fcs.layout import Parameter
from pipeline.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["inspect_file", "show_inspection"]

_LONGEST_SHOWN = 60


def inspect_file(path: Path) -> dict[str, Any]:
    """Version, data sets, events, parameters and anomalies of a file, ready for JSON.

    Every event is read once, so a file that is described is one that can be read.

    Returns
    -------
    dict
        ``version``, ``events``, ``parameters`` are those of the first data set,
        ``datasets`` counts them, ``anomalies`` are those of all, and ``data_sets`` holds
        each by itself. Texts are free of control characters.

    Raises
    ------
    DamagedFile, InputRefused
        If the file cannot be read (`mrd_flow.fcs.data_sets.read_data_sets`).
    """
    found = [_described(data) for data in read_data_sets(path)]
    first = found[0]
    return {
        "version": first["version"],
        "datasets": len(found),
        "events": first["events"],
        "parameters": first["parameters"],
        "anomalies": [a | {"dataset": i} for i, d in enumerate(found, start=1) for a in d["anomalies"]],
        "data_sets": found,
    }


def show_inspection(description: dict[str, Any], console: "Console") -> None:
    """Print what `inspect_file` found as tables."""
    from rich.markup import escape
    from rich.table import Table

    for number, data in enumerate(description["data_sets"], start=1):
        title = f"FCS {data['version']}, {data['events']:,} events"
        if description["datasets"] > 1:
            title = f"data set {number} of {description['datasets']}: {title}"
        table = Table(title=title, title_justify="left")
        for heading in ("#", "name", "stain", "type", "range", "comp.", "min", "median", "max"):
            left = heading in ("name", "stain", "type", "comp.")
            table.add_column(heading, justify="left" if left else "right", overflow="fold")
        for row in data["parameters"]:
            table.add_row(*(escape(cell) for cell in _cells(row)))
        console.print(table)
        console.print(escape(f"cytometer {data['cytometer'] or 'not stated'}; {_in_words(data)}"))
    if not description["anomalies"]:
        console.print("no anomalies")
    for anomaly in description["anomalies"]:
        mark = "[bold red]grave[/]" if anomaly["grave"] else "[yellow]note[/]"
        where = f"data set {anomaly['dataset']}: " if description["datasets"] > 1 else ""
        console.print(f"{mark} {escape(anomaly['code'])}: {escape(where + anomaly['text'])}")


def _described(data: DataSet) -> dict[str, Any]:
    import numpy as np

    events = data.table()
    compensated = set(data.spillover.columns) if data.spillover else set()
    parameters = []
    for column, parameter in enumerate(data.parameters):
        values = events[:, column]
        finite = values[np.isfinite(values)]
        spread = (finite.min(), np.median(finite), finite.max()) if len(finite) else (None, None, None)
        parameters.append(
            _parameter(parameter, column + 1)
            | {"compensated": column in compensated}
            | {
                k: None if v is None else float(v)
                for k, v in zip(("min", "median", "max"), spread, strict=True)
            }
            | {"not_finite": len(values) - len(finite)}
        )
    return {
        "version": data.version,
        "events": data.events,
        "parameters": parameters,
        "cytometer": _short(data.keywords.get("$CYT", "")),
        "timestep": _short(data.keywords.get("$TIMESTEP", "")),
        "spillover_size": len(compensated),
        "anomalies": [{"code": a.code, "text": a.text, "grave": a.grave} for a in data.anomalies],
    }


def _parameter(parameter: Parameter, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "name": _short(parameter.name),
        "stain": _short(parameter.stain),
        "type": parameter.kind,
        "bits": parameter.bits,
        "range": parameter.range,
        "decades": parameter.decades,
        "gain": parameter.gain,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    kind = f"{row['type']}{row['bits']}"
    kind += f" log {row['decades']:g}" if row["decades"] else ""
    kind += f" gain {row['gain']:g}" if row["gain"] not in (0, 1) else ""
    numbers = [_number(row[k]) for k in ("min", "median", "max")]
    mark = "yes" if row["compensated"] else ""
    return [str(row["number"]), row["name"], row["stain"], kind, f"{row['range']:.7g}", mark, *numbers]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def _in_words(data: dict[str, Any]) -> str:
    size = data["spillover_size"]
    matrix = f"spillover {size} x {size}" if size else "no spillover matrix"
    return f"time step {data['timestep'] or 'not stated'}; {matrix}"


def _short(text: str) -> str:
    shown = printable(text.strip())
    return shown if len(shown) <= _LONGEST_SHOWN else shown[: _LONGEST_SHOWN - 1] + "…"
