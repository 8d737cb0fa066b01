"""A sample outside any batch: what a command on single files writes its result about."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.model import Assay, Material, Sample, is_identifier, looks_personal

__all__ = ["STUDY_ID", "single_sample"]

STUDY_ID = "single"


def single_sample(
    assay: Assay,
    files: Sequence[Path],
    *,
    patient: str,
    timepoint: str,
    collected_on: str,
    material: str,
    panel: str = "",
    cells: int | None = None,
    dna_ng: float | None = None,
    spike_ins: Path | None = None,
) -> Sample:
    """A `Sample` of the placeholder study, from a command's options.

    Raises
    ------
    UsageError
        If an option is no pseudonym or code, no date, or no material; the refused text is
        not repeated.

    Examples
    --------
    >>> options = {"timepoint": "FU1", "collected_on": "2026-03-01", "material": "bone_marrow"}
    >>> single_sample(Assay.NGS, [Path("a.fastq")], patient="P1", **options).method
    'ngs'
    """
    for option, text in (("--patient", patient), ("--timepoint", timepoint)):
        if not is_identifier(text) or looks_personal(text):
            raise UsageError(
                f"{option} is not a pseudonym or code. Expected: 1 to 32 letters, digits, '-' or '_', "
                "and nothing like a name, a date or a national number"
            )
    if material not in tuple(Material):
        raise UsageError(f"--material is none of {', '.join(Material)}")
    try:
        day = date.fromisoformat(collected_on)
    except ValueError as error:
        raise UsageError("--collected-on is not a date. Expected: YYYY-MM-DD") from error
    return Sample(
        study_id=STUDY_ID,
        patient_id=patient,
        timepoint=timepoint,
        collected_on=day,
        material=Material(material),
        assay=assay,
        panel=panel,
        files=tuple(files),
        cells=cells,
        dna_ng=dna_ng,
        spike_ins=spike_ins,
    )
