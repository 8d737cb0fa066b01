"""Files that commands hand to each other: markers, and what a run's control says of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mrd_ngs.run_control import MarkerFinding, hopped_reads
from pipeline.errors import DamagedFile, InputRefused, printable
from pipeline.formats.records import from_json
from pipeline.model import Marker

__all__ = ["germline_note", "read_hopped", "read_markers"]


def read_markers(path: Path) -> list[Marker]:
    """Read what `nadir ngs index` wrote.

    Markers of another germline release are read like any other: they are followed by the
    nucleotides of their window. `germline_note` says that their genes' names may differ.

    Raises
    ------
    InputRefused
        If the file cannot be opened.
    DamagedFile
        If it holds no markers, or a tracked one is not in ``ACGT``.
    """
    markers = [from_json(Marker, marker, path=path) for marker in _listed(path, "markers", "index")]
    if any(set(marker.sequence) - set("ACGT") or not marker.sequence for marker in markers if marker.taken):
        raise DamagedFile("a marker's sequence is not in A, C, G, T", path=path)
    return markers


def germline_note(markers: Sequence[Marker], version: str) -> str | None:
    """What to tell the user where markers were named after another germline release; else None.

    Parameters
    ----------
    markers
        As `read_markers` returns them, taken or not.
    version
        Of the germline in use, `mrd_ngs.germline.GermlineSet.version`.

    Returns
    -------
    str or None
        One sentence with its remedy.

    Notes
    -----
    A note and no error: a window is nucleotides and is looked for as such, so nothing that
    is counted depends on the release. Only names of genes and alleles may differ.
    """
    others = sorted({marker.germline for marker in markers} - {version})
    if not others:
        return None
    named = ", ".join(
        printable(release) if release else "a release the file does not name" for release in others
    )
    return (
        f"the markers are named after {named}, this nadir uses {version}: windows are looked for as before, "
        "names of genes may differ. To have both in one release, run `nadir ngs index` on the baseline again"
    )


def read_hopped(path: Path, patient_id: str, input_sha256: str) -> dict[tuple[str, str], float]:
    """Read from a run's control the reads expected from other samples.

    Parameters
    ----------
    path
        What `nadir ngs control` wrote.
    patient_id
        Whose markers.
    input_sha256
        Of the sample's reads.

    Returns
    -------
    dict
        Reads by ``input_sha256`` and ``target_id``, as `mrd_ngs.call.call_markers` takes them.

    Raises
    ------
    InputRefused
        If the run did not hold this sample with these markers, or the file cannot be opened.
    DamagedFile
        If it holds no findings.
    """
    findings = [
        from_json(MarkerFinding, finding, path=path) for finding in _listed(path, "findings", "control")
    ]
    own = [f for f in findings if f.input_sha256 == input_sha256 and f.marker_patient_id == patient_id]
    if not own:
        raise InputRefused(
            "the run control does not know this sample with this patient's markers",
            path=path,
            remedy="give `nadir ngs control` the same reads and markers",
        )
    return hopped_reads(own)


def _listed(path: Path, key: str, command: str) -> list[dict[str, Any]]:
    expected = f"what `nadir ngs {command}` writes"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputRefused(f"the {key} cannot be read ({error.strerror})", path=path) from error
    except ValueError as error:
        raise DamagedFile("is not JSON", path=path, expected=expected) from error
    listed = document.get(key) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(record, dict) for record in listed):
        raise DamagedFile(f"holds no {key}", path=path, expected=expected)
    return listed
