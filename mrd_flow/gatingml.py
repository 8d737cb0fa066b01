"""Gates of a Gating-ML 2.0 file or a FlowJo workspace applied by FlowKit.

FlowKit takes seconds to import and reads all events in double precision; nothing else
of this package needs it.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs import read_data_sets
from pipeline.errors import DamagedFile, InputRefused, printable
from pipeline.formats.atomic import replacing, write_text

__all__ = ["GateMembership", "apply_gates", "write_gates"]


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
    read_data_sets(file)  # our own reasons first: FlowKit's are about Python
    if not gates.is_file():
        raise InputRefused("cannot be read (no such file)", path=gates)
    with warnings.catch_warnings():
        # FlowKit reports offsets mended and files absent from a workspace; ours are anomalies
        warnings.simplefilter("ignore")
        results = _results(file, gates)
    return tuple(_memberships(results))


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
    columns = {"event": pa.array(np.arange(events))}
    for gate in found:
        columns[gate.gate if uses[gate.gate] == 1 else f"{gate.path}/{gate.gate}"] = pa.array(gate.members)
    with replacing(out / "membership.parquet") as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def _results(file: Path, gates: Path) -> Any:
    import flowkit
    from flowkit import exceptions

    try:
        sample = flowkit.Sample(file, ignore_offset_error=True, ignore_offset_discrepancy=True)
        if gates.suffix.lower() == ".wsp":
            return _workspace_results(flowkit, sample, gates)
        return flowkit.parse_gating_xml(str(gates)).gate_sample(sample)
    except SyntaxError as error:  # the parser's
        raise DamagedFile(f"not XML ({printable(str(error))})", path=gates) from error
    except (
        exceptions.FlowKitException,
        exceptions.FCSParsingError,
        exceptions.DataOffsetDiscrepancyError,
        ValueError,
        KeyError,
    ) as error:
        # FlowKit raises all of these on gates or files it cannot use
        raise InputRefused(
            f"FlowKit could not apply these gates to {printable(file.name)} "
            f"({type(error).__name__}: {printable(str(error))})",
            path=gates,
            expected="Gating-ML 2.0 or a FlowJo workspace whose parameters the file has",
        ) from error


def _workspace_results(flowkit: Any, sample: Any, gates: Path) -> Any:
    workspace = flowkit.Workspace(gates, fcs_samples=[sample])
    if sample.id not in workspace.get_sample_ids(loaded_only=True):
        raise InputRefused(
            "the workspace does not contain this file",
            path=gates,
            remedy="give the file the name it has in the workspace",
        )
    workspace.analyze_samples(sample_id=sample.id, use_mp=False)
    return workspace.get_gating_results(sample.id)


def _memberships(results: Any) -> list[GateMembership]:
    rows = results.report.sort_index().to_dict("records")
    counts = {(row["gate_path"], row["gate_name"]): int(row["count"]) for row in rows}
    found = []
    for row in rows:
        path = row["gate_path"]
        members = np.asarray(results.get_gate_membership(row["gate_name"], gate_path=path), np.bool_)
        # The root has no row. A quadrant's own row leaves out the name of its quadrant gate,
        # which its children's path holds.
        above = (path[:-1], path[-1]) if (path[:-1], path[-1]) in counts else (path[:-2], path[-1])
        parent = len(members) if len(path) == 1 else counts[above]
        found.append(
            GateMembership(gate=row["gate_name"], path="/".join(path), parent_count=parent, members=members)
        )
    return found
