"""What the commands of ``nadir chip`` have in common."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import InputRefused, UsageError
from pipeline.formats.sample_options import MaterialName, Patient, Timepoint

if TYPE_CHECKING:
    from chip.call import ChipCalls
    from chip.chrs import BloodCounts
    from chip.evidence import GraftEvidence
    from pipeline.model import Sample, Sex

__all__ = [
    "Age",
    "CollectedOn",
    "Haemoglobin",
    "MaterialName",
    "Mcv",
    "Neutrophils",
    "Patient",
    "PlasmaCells",
    "Platelets",
    "Population",
    "Rdw",
    "Rules",
    "SexOption",
    "Timepoint",
    "Tumour",
    "blood_of",
    "require_file",
    "sample_named",
    "say",
    "sex_of",
]

Rules = Annotated[
    str,
    typer.Option("--rules", metavar="NAME|DIR", help="A set that ships, a table, or a folder with one."),
]
SexOption = Annotated[
    str | None, typer.Option("--sex", metavar="F|M", help="Decides the threshold of X-linked genes.")
]
Tumour = Annotated[
    Path | None,
    typer.Option("--tumour", metavar="T.vcf|.tsv", help="The paired myeloma; what it shares is looked at."),
]
PlasmaCells = Annotated[
    float | None,
    typer.Option("--plasma-cell-fraction", min=0.0, max=1.0, help="Of the graft's nucleated cells, by flow."),
]
Population = Annotated[
    Path | None,
    typer.Option(
        "--population",
        metavar="P.tsv",
        help="Allele frequencies of your choice: chrom, pos, ref, alt, frequency; on the variants' build.",
    ),
]
CollectedOn = Annotated[
    str | None, typer.Option("--collected-on", metavar="YYYY-MM-DD", help="Needed by `nadir chip series`.")
]
Age = Annotated[float | None, typer.Option("--age", help="Years, for the CHRS.")]
Haemoglobin = Annotated[float | None, typer.Option("--haemoglobin", help="g/dL.")]
Neutrophils = Annotated[float | None, typer.Option("--neutrophils", help="10^9/L.")]
Platelets = Annotated[float | None, typer.Option("--platelets", help="10^9/L.")]
Mcv = Annotated[float | None, typer.Option("--mcv", help="fL.")]
Rdw = Annotated[float | None, typer.Option("--rdw", help="%.")]


def require_file(path: Path | None) -> None:
    """Refuse a file that is not there."""
    if path is not None and not path.is_file():
        raise InputRefused("there is no such file", path=path, remedy="check its name")


def sex_of(text: str | None) -> "Sex | None":
    """The sex an option names; None where it is not given."""
    from pipeline.model import Sex

    if text is None or text == "":
        return None
    if text.upper() not in tuple(Sex):
        raise UsageError("--sex is neither F nor M; leave it out where it is not known")
    return Sex(text.upper())


def blood_of(
    age: float | None,
    haemoglobin: float | None,
    neutrophils: float | None,
    platelets: float | None,
    mcv: float | None,
    rdw: float | None,
) -> "BloodCounts":
    """Blood counts of the options."""
    from chip.chrs import BloodCounts

    try:
        return BloodCounts(
            age_years=age,
            haemoglobin_g_dl=haemoglobin,
            neutrophils=neutrophils,
            platelets=platelets,
            mcv_fl=mcv,
            rdw_percent=rdw,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def sample_named(
    path: Path, patient: str, timepoint: str, collected_on: str | None, material: str
) -> "Sample | None":
    """The sample that options describe; None where there is no date."""
    from pipeline.formats.single_sample import single_sample
    from pipeline.model import Assay

    if collected_on is None:
        if patient != "P1" or timepoint != "S1":
            raise UsageError("--patient and --timepoint need --collected-on beside them")
        return None
    return single_sample(
        Assay.CHIP,
        [path],
        patient=patient,
        timepoint=timepoint,
        collected_on=collected_on,
        material=material,
    )


def say(calls: "ChipCalls", evidence: "GraftEvidence", out: Path) -> None:
    """One line on the result, and what reading had to say, on stderr."""
    counts = {name: sum(v.verdict == name for v in calls.variants) for name in ("IN", "OUT", "REVIEW")}
    shown = ", ".join(f"{n} {name}" for name, n in counts.items())
    typer.echo(f"{len(calls.variants)} variants: {shown}; {out}", err=True)
    typer.echo(calls.results[0].words, err=True)
    for note in evidence.notes:
        typer.echo(f"  note: {note}", err=True)
