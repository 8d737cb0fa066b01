"""Mass cytometry files as one table of a run: columns by metal, events of all files one after another.

A channel is found by its metal and mass, in $PnN and failing that in $PnS. Whatever is
missing, stands twice or is stained for another marker is refused: no number is made
from a guess.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.panel import CytofPanel
from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.data_sets import DataSet, read_data_sets
from mrd_flow.fcs.layout import Parameter
from pipeline.errors import InputRefused, UsageError
from pipeline.formats.digest import sha256_file

__all__ = ["EVENT_LENGTH", "TIME", "CytofRun", "read_run", "run_columns"]

TIME = "Time"
EVENT_LENGTH = "Event_length"
_SPELLINGS = {EVENT_LENGTH: ("eventlength", "celllength"), TIME: ("time",)}
_NO_SPILLOVER = "spillover_missing"  # of every mass cytometry file


@dataclass(frozen=True, slots=True, kw_only=True)
class CytofRun:
    """Events of a run.

    ``table`` is float32 (n_events, n_columns), counts per channel as the file has them;
    ``columns`` names them: metals, and the file's own parameters. ``file`` is the
    0-based file of each event, intp (n_events,).
    """

    columns: tuple[str, ...]
    table: NDArray[np.float32]
    file: NDArray[np.intp]
    files: tuple[str, ...]
    sha256: tuple[str, ...]
    flags: tuple[Anomaly, ...]

    def has(self, column: str) -> bool:
        """Whether there is such a column."""
        return column in self.columns

    def of(self, column: str) -> NDArray[np.float32]:
        """One column, shape (n_events,): a view."""
        return self.table[:, self.columns.index(column)]

    def of_all(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """Several columns, shape (n_events, len(columns))."""
        return self.table[:, [self.columns.index(c) for c in columns]]


def read_run(paths: Sequence[Path], panel: CytofPanel) -> CytofRun:
    """Read the files of a run; they must all have the template's channels.

    Parameters
    ----------
    paths
        Acquisitions of one barcoded set, or without barcodes one file per sample.
    panel
        The template.

    Returns
    -------
    CytofRun
        Events with a value that is not finite are left out, and flagged.

    Raises
    ------
    UsageError
        If no file, or the same file twice, is given.
    DamagedFile, InputRefused
        If a file cannot be read, is no mass cytometry file, or lacks a channel.
    """
    if not paths:
        raise UsageError("give at least one file")
    wanted = run_columns(panel)
    opened = [_opened(path, panel) for path in paths]
    digests = tuple(sha256_file(path) for path in paths)
    if len(set(digests)) != len(digests):
        raise UsageError("the same file is given twice")
    optional = [g.dimension for g in panel.clean_up if g.optional]
    absent = {c for _, found in opened for c in wanted if c not in found}
    columns = tuple(c for c in wanted if c not in absent)
    parts, flags = [], []
    for number, (data, found) in enumerate(opened, start=1):
        table = data.table(tuple(found[c] for c in columns))
        finite = np.isfinite(table).all(axis=1)
        if not finite.all():
            text = f"file {number}: {int((~finite).sum())} events have a value that is no number; left out"
            flags.append(Anomaly(code="not_finite", text=text))
        parts.append(table[finite])
        flags += [
            Anomaly(code=a.code, text=f"file {number}: {a.text}", grave=a.grave)
            for a in data.anomalies
            if a.code != _NO_SPILLOVER
        ]
    flags += [
        Anomaly(code="gate_left_out", text=f"no parameter {c} in every file; its gate is left out")
        for c in optional
        if c in absent
    ]
    return CytofRun(
        columns=columns,
        table=np.concatenate(parts),
        file=np.repeat(np.arange(len(parts)), [len(p) for p in parts]),
        files=tuple(f"file_{i}" for i in range(1, len(paths) + 1)),
        sha256=digests,
        flags=tuple(flags),
    )


def run_columns(panel: CytofPanel) -> tuple[str, ...]:
    """Columns that a template asks for: metals, then the file's own parameters."""
    metals = list(panel.channels.values())
    metals += panel.beads.metals if panel.beads else ()
    metals += panel.barcodes.metals if panel.barcodes else ()
    own = [g.dimension for g in panel.clean_up if g.dimension not in panel.channels]
    return tuple(dict.fromkeys([*metals, EVENT_LENGTH, *own, TIME]))


def _opened(path: Path, panel: CytofPanel) -> tuple[DataSet, dict[str, int]]:
    data, *more = read_data_sets(path)
    if not _places(data.parameters, EVENT_LENGTH):
        raise InputRefused(
            "is no mass cytometry file: it has no Event_length",
            path=path,
            expected="an FCS file of a CyTOF with channels such as Ir191Di",
        )
    if more:
        text = f"the file holds {len(more) + 1} data sets; the first is used"
        noted = (*data.anomalies, Anomaly(code="several_data_sets", text=text))
        data = replace(data, anomalies=noted)
    return data, _found(path, data.parameters, panel)


def _found(path: Path, parameters: tuple[Parameter, ...], panel: CytofPanel) -> dict[str, int]:
    """Column of each thing the template asks for; optional ones may be absent."""
    found: dict[str, int] = {}
    missing, repeated = [], []
    lenient = {g.dimension for g in panel.clean_up if g.optional} | {TIME}
    for column in run_columns(panel):
        places = _places(parameters, column)
        if len(places) == 1:
            found[column] = places[0]
        elif places:
            repeated.append(column)
        elif column not in lenient:
            missing.append(column)
    if missing:
        raise InputRefused(_missing(missing, panel), path=path, remedy="choose the template of this panel")
    if repeated:
        raise InputRefused(f"several parameters are for {', '.join(repeated)}", path=path)
    wrong = _stained_otherwise(parameters, panel, found)
    if wrong:
        raise InputRefused(
            f"$PnS names another marker of the template on {', '.join(wrong)}",
            path=path,
            remedy="correct the metals in the template",
        )
    return found


def _missing(missing: Sequence[str], panel: CytofPanel) -> str:
    barcodes = set(panel.barcodes.metals) if panel.barcodes else set()
    named = {metal: name for name, metal in panel.channels.items()}
    words = [
        f"barcode channel {c}" if c in barcodes else f"{named[c]} ({c})" if c in named else c for c in missing
    ]
    return f"lacks {', '.join(words)}"


def _places(parameters: tuple[Parameter, ...], column: str) -> list[int]:
    parts = re.fullmatch(r"([A-Z][a-z]?)(\d+)", column)
    if parts is None:
        spellings = _SPELLINGS.get(column, (_plain(column),))
        return [i for i, p in enumerate(parameters) if _plain(p.name) in spellings]
    symbol, mass = parts.groups()
    metal = re.compile(rf"(?<![A-Za-z]){symbol}{mass}(?!\d)|(?<!\d){mass}{symbol}(?![a-z])")
    by_name = [i for i, p in enumerate(parameters) if metal.search(p.name)]
    return by_name or [i for i, p in enumerate(parameters) if metal.search(p.stain)]


def _stained_otherwise(
    parameters: tuple[Parameter, ...], panel: CytofPanel, found: dict[str, int]
) -> list[str]:
    """Metals whose $PnS names a marker that the template puts elsewhere."""
    spellings = {n: {_plain(w) for w in (n, *panel.aliases.get(n, ()))} for n in panel.channels}
    wrong = []
    for name, metal in panel.channels.items():
        words = {_plain(w) for w in re.split(r"[\s,/_:;()]+", parameters[found[metal]].stain)}
        others = {w for other, known in spellings.items() if other != name for w in known}
        if words & others and not words & spellings[name]:
            wrong.append(metal)
    return wrong


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
