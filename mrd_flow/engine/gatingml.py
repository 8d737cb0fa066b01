"""Gates of a Gating-ML 2.0 file or a FlowJo workspace applied to a file.

FlowKit parses the gates; `mrd_flow.engine.run` applies them. FlowKit takes seconds to import,
and nothing else of this package needs it.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine.compiler import compile_gates
from mrd_flow.engine.run import columns_of, run_gates
from mrd_flow.fcs.data_sets import DataSet, read_data_sets
from pipeline.errors import DamagedFile, InputRefused, printable
from pipeline.formats.atomic import replacing, write_text

__all__ = ["GateMembership", "apply_gates", "write_gates"]

# What FlowKit raises on gates it cannot parse; AttributeError where an element is absent.
_PARSER_ERRORS = (AttributeError, KeyError, LookupError, NotImplementedError, TypeError, ValueError)
_ROW_GROUP_EVENTS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMembership:
    """Events of one gate: bool (n_events,), and the events of its parent.

    ``path`` is the chain of parents from the root, joined by ``/``.
    """

    gate: str
    path: str
    parent_count: int
    members: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Events in the gate."""
        return int(self.members.sum())


def apply_gates(file: Path, gates: Path) -> tuple[GateMembership, ...]:
    """Membership of every event in every gate.

    Parameters
    ----------
    file
        An FCS file; a FlowJo workspace must contain it under its file name.
    gates
        Gating-ML 2.0 (``.xml``) or a FlowJo workspace (``.wsp``).

    Raises
    ------
    DamagedFile, InputRefused
        If either file cannot be read, or the gates do not fit the data.
    """
    if not gates.is_file():
        raise InputRefused("cannot be read (no such file)", path=gates)
    data_sets = read_data_sets(file)
    if len(data_sets) != 1:
        raise InputRefused(
            f"the file holds {len(data_sets)} data sets",
            path=file,
            expected="one data set, so that it is certain which one the gates are for",
            remedy="export the data set to a file of its own",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FlowKit's on samples of a workspace that are not at hand
        return _gated(data_sets[0], gates)


def write_gates(found: Sequence[GateMembership], out: Path) -> None:
    """Write ``counts.tsv`` and ``membership.parquet`` (``event`` and a bool per gate) into a folder.

    A gate's column is its name, or its path and name where several gates share the name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines = ["gate\tpath\tcount\tpercent_parent"]
    for gate in found:
        percent = f"{100 * gate.count / gate.parent_count:.6g}" if gate.parent_count else ""
        lines.append(f"{printable(gate.gate)}\t{printable(gate.path)}\t{gate.count}\t{percent}")
    write_text(out / "counts.tsv", "\n".join(lines) + "\n")
    events = len(found[0].members) if found else 0
    uses = Counter(gate.gate for gate in found)
    names = [gate.gate if uses[gate.gate] == 1 else f"{gate.path}/{gate.gate}" for gate in found]
    schema = pa.schema([("event", pa.int64()), *((name, pa.bool_()) for name in names)])
    with (
        replacing(out / "membership.parquet") as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for begin in range(0, max(events, 1), _ROW_GROUP_EVENTS):
            end = min(begin + _ROW_GROUP_EVENTS, events)
            columns = [pa.array(np.arange(begin, end)), *(pa.array(g.members[begin:end]) for g in found)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _gated(data: DataSet, gates: Path) -> tuple[GateMembership, ...]:
    strategy, sample_id = _parsed(data, gates)
    try:
        program = compile_gates(strategy, columns_of(data), sample_id=sample_id)
    except InputRefused as error:
        raise type(error)(
            error.what, path=gates, column=error.column, expected=error.expected, remedy=error.remedy
        ) from error
    gated = run_gates(data, program)
    counts = gated.members.sum(axis=1)
    found = []
    for index in program.order:
        gate = program.gates[index]
        parent = data.events if gate.parent < 0 else int(counts[gate.parent])
        found.append(
            GateMembership(
                gate=gate.name, path="/".join(gate.path), parent_count=parent, members=gated.members[index]
            )
        )
    return tuple(found)


def _parsed(data: DataSet, gates: Path) -> tuple[Any, str | None]:
    """FlowKit's gating strategy, and the name of the file in a workspace."""
    import flowkit
    from flowkit import exceptions

    try:
        if gates.suffix.lower() == ".wsp":
            return _of_workspace(flowkit, data, gates)
        return flowkit.parse_gating_xml(str(gates)), None
    except SyntaxError as error:  # the parser's
        raise DamagedFile(f"not XML ({printable(str(error))})", path=gates) from error
    except _PARSER_ERRORS as error:
        raise _unusable(gates, error) from error
    except exceptions.FlowKitException as error:
        raise _unusable(gates, error) from error


def _unusable(gates: Path, error: Exception) -> InputRefused:
    return InputRefused(
        f"FlowKit could not read these gates ({type(error).__name__}: {printable(str(error))[:200]})",
        path=gates,
        expected="Gating-ML 2.0 or a FlowJo workspace",
    )


def _of_workspace(flowkit: Any, data: DataSet, gates: Path) -> tuple[Any, str]:
    workspace = flowkit.Workspace(gates, load_missing_file_data=True)
    known = set(workspace.get_sample_ids(loaded_only=False))
    for name in (data.keywords.get("$FIL", "").strip(), data.path.name):
        if name in known:
            return workspace.get_gating_strategy(name), name
    raise InputRefused(
        "the workspace does not contain this file",
        path=gates,
        remedy="give the file the name it has in the workspace",
    )
