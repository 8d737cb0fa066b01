"""Libraries of several patients sequenced together: reads that hop, samples that are exchanged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.germline import load_germline
from mrd_ngs.simulate import (
    Clone,
    DrawnLibrary,
    LibraryDesign,
    draw_library,
    sequence_library,
    simulate_rearrangement,
    simulate_spike_ins,
    spike_in_sheet,
    truth_of_clone,
    write_library,
)
from mrd_ngs.simulate_reads import Inserts
from pipeline.formats.atomic import write_json, write_text
from pipeline.model import Role, is_identifier

__all__ = ["RunSample", "hop", "write_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSample:
    """One sample of a run: whose, when, what its library is made of, and whether it is a control.

    A control's ``patient_id`` is its own name.
    """

    patient_id: str
    timepoint: str
    collected_on: date
    design: LibraryDesign
    role: Role = Role.PATIENT

    def __post_init__(self) -> None:
        if not is_identifier(self.patient_id) or not is_identifier(self.timepoint):
            raise ValueError("patient_id and timepoint must be identifiers: file names are made from them")

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.patient_id}_{self.timepoint}"


def write_run(
    folder: Path,
    *,
    seed: int,
    samples: Sequence[RunSample],
    run_id: str = "RUN1",
    hop_rate: float = 0.0,
    exchanged: Sequence[tuple[str, str]] = (),
    spike_copies: int = 40,
) -> dict[str, Any]:
    """Write the libraries of one run with spike-in sheet, sample sheet and truth.

    Parameters
    ----------
    folder
        Where to.
    seed
        Same seed and samples, same bytes.
    samples
        Of one or several patients, and controls; each patient has one clone, with a rearrangement of each
        kind that its samples amplify. All have reads of one layout.
    run_id
        Name of the run in the sheet.
    hop_rate
        Share of each library's reads that goes to each other library.
    exchanged
        Pairs of samples, by `RunSample.name`, each of which gets the other's library.
    spike_copies
        Copies of each of nine spike-ins in every sample.

    Returns
    -------
    dict
        What truth.json holds: clones by patient, and of each sample whose library it got,
        reads by origin before hopping, reads received from each other library and, of them,
        those of its patient's clone.

    Raises
    ------
    ValueError
        If names, layouts or rates do not fit together.
    """
    _check(samples, run_id, hop_rate, exchanged)
    rng = np.random.default_rng(seed)
    germline = load_germline()
    layout = samples[0].design.layout
    clones: dict[str, dict[str, Clone]] = {}
    for sample in samples:
        own = clones.setdefault(sample.patient_id, {})
        for kind in ("IGH", *sample.design.kinds):
            if kind not in own:
                own[kind] = simulate_rearrangement(rng, germline, kind=kind)
    spike_ins = simulate_spike_ins(rng, germline, copies=spike_copies, length=layout.read_length)
    drawn = {}
    for sample in samples:
        own = clones[sample.patient_id]
        drawn[sample.name] = draw_library(
            sample.design,
            own["IGH"],
            spike_ins,
            germline,
            rng,
            others={k: c for k, c in own.items() if k != "IGH"},
        )
    hopped = hop(drawn, hop_rate, rng)
    source = {sample.name: sample.name for sample in samples}
    for one, other in exchanged:
        source[one], source[other] = source[other], source[one]
    truth: dict[str, Any] = {
        "seed": seed,
        "run_id": run_id,
        "hop_rate": hop_rate,
        "exchanged": [list(pair) for pair in exchanged],
        "clones": {
            patient: {kind: truth_of_clone(clone) for kind, clone in clones[patient].items()}
            for patient in dict.fromkeys(s.patient_id for s in samples if s.role is Role.PATIENT)
        },
        "samples": {},
    }
    rows = []
    for sample in samples:
        library = sequence_library(hopped[source[sample.name]], layout, rng, name=sample.name)
        files = write_library(folder, sample.name, library)
        truth["samples"][sample.name] = {
            "library_of": source[sample.name],
            "role": str(sample.role),
            **library.truth,
        }
        rows.append(_row(sample, files, run_id))
    write_text(folder / "spike_ins.tsv", spike_in_sheet(spike_ins))
    write_text(folder / "sheet.csv", ",".join(_COLUMNS) + "\n" + "".join(rows))
    write_json(folder / "truth.json", truth)
    return truth


_COLUMNS = (
    "patient_id", "timepoint", "collected_on", "material", "assay", "file_1", "file_2", "run_id", "cells",
    "dna_ng", "spike_ins", "panel", "sex", "role",
)  # fmt: skip


def hop(
    libraries: Mapping[str, DrawnLibrary], hop_rate: float, rng: np.random.Generator
) -> dict[str, DrawnLibrary]:
    """Let reads of each library go to each other one with probability ``hop_rate``.

    A read that hops is missing where it came from, and stands at a random place where it
    goes. ``truth`` gets what was received, by the name of the library it came from.
    """
    names = list(libraries)
    kept: dict[str, list[Inserts]] = {name: [] for name in names}
    received: dict[str, dict[str, dict[str, int]]] = {name: {} for name in names}
    for name, library in libraries.items():
        goes_to = _destinations(len(library.inserts), names.index(name), len(names), hop_rate, rng)
        for number, other in enumerate(names):
            reads = library.inserts.take(np.flatnonzero(goes_to == number))
            kept[other].append(reads)
            if other != name and len(reads):
                clonal = np.isin(
                    reads.origin, [i for i, o in enumerate(library.origins) if o.startswith("clone")]
                )
                received[other][name] = {"reads": len(reads), "clone_reads": int(clonal.sum())}
    return {
        name: replace(
            library,
            inserts=_mixed(kept[name], rng) if hop_rate else library.inserts,
            truth={**library.truth, "received": received[name]},
        )
        for name, library in libraries.items()
    }


def _destinations(
    reads: int, own: int, libraries: int, hop_rate: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Where each read of a library ends, as its number among the run's libraries."""
    goes_to = np.full(reads, own, dtype=np.int64)
    if hop_rate:
        hops = np.flatnonzero(rng.random(reads) < hop_rate * (libraries - 1))
        step = rng.integers(1, libraries, hops.size)
        goes_to[hops] = (own + step) % libraries
    return goes_to


def _mixed(parts: Sequence[Inserts], rng: np.random.Generator) -> Inserts:
    together = Inserts(
        bases=np.concatenate([part.bases for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        origin=np.concatenate([part.origin for part in parts]),
    )
    return together.take(rng.permutation(len(together)))


def _check(
    samples: Sequence[RunSample], run_id: str, hop_rate: float, exchanged: Sequence[tuple[str, str]]
) -> None:
    names = [sample.name for sample in samples]
    if not samples or len(set(names)) < len(names):
        raise ValueError("a run needs samples, each of another patient or time point")
    if len({sample.design.layout for sample in samples}) > 1:
        raise ValueError("the samples of a run have reads of one layout")
    if not is_identifier(run_id):
        raise ValueError("run_id is not an identifier")
    if not 0 <= hop_rate * len(samples) < 1:
        raise ValueError("hop_rate must lie in [0, 1 / samples)")
    listed = [name for pair in exchanged for name in pair]
    if set(listed) - set(names) or len(set(listed)) < len(listed):
        raise ValueError("exchanged must name samples of the run, each once")
    if any(sample.role is not Role.PATIENT and sample.design.clone_cells for sample in samples):
        raise ValueError("a control holds no cells of a clone")


def _row(sample: RunSample, files: Sequence[str], run_id: str) -> str:
    cells = (
        sample.patient_id,
        sample.timepoint,
        sample.collected_on.isoformat(),
        "bone_marrow",
        "ngs",
        files[0],
        files[1] if len(files) > 1 else "",
        run_id,
        str(sample.design.cells),
        "",
        "spike_ins.tsv",
        "",
        "",
        "" if sample.role is Role.PATIENT else str(sample.role),
    )
    return ",".join(cells) + "\n"
