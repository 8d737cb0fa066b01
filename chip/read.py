"""Files to evidence: a list of variants with the tumour, the population and the sex beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from chip.evidence import GeneCoverage, GraftEvidence
from chip.false_duplicate import pooled
from chip.population import with_frequencies
from chip.settings import ChipSettings
from chip.tumour_match import with_tumour
from chip.variant_files import VariantFile, read_variants
from pipeline.errors import ConfigRefused, InputRefused
from pipeline.formats.digest import sha256_file
from pipeline.model import Sample, Sex

__all__ = ["check_sample", "read_listed", "read_patient"]

_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf", ".tsv")


def read_patient(
    samples: Sequence[Sample],
    settings: ChipSettings,
    *,
    tumour: Path | None = None,
    plasma_cell_fractions: Mapping[str, float] | None = None,
) -> tuple[GraftEvidence, ...]:
    """Read every sample of a patient: a BAM file, or a VCF or table of variants that are already called.

    Parameters
    ----------
    samples
        Of one patient.
    settings
        With ``reference``, ``genes`` and ``targets`` where there are BAM files.
    tumour
        Variants of the patient's myeloma, None where there are none.
    plasma_cell_fractions
        Flow's plasma cells by time point.

    Raises
    ------
    ConfigRefused
        If a BAM file is to be called and the settings name no reference, genes or targets.
    InputRefused
        If a file cannot be used.
    """
    fractions = plasma_cell_fractions or {}
    return tuple(_read_sample(s, settings, tumour, fractions.get(s.timepoint)) for s in samples)


def _read_sample(
    sample: Sample, settings: ChipSettings, tumour: Path | None, plasma_cell_fraction: float | None
) -> GraftEvidence:
    path = sample.files[0]
    population = Path(settings.population) if settings.population else None
    if path.name.lower().endswith(_VCF):
        return read_listed(
            path,
            tumour=tumour,
            population=population,
            sex=sample.sex,
            plasma_cell_fraction=plasma_cell_fraction,
            sample=sample,
        )
    from chip.bam_evidence import GraftFiles, read_graft
    from pipeline.variants.calling.background import read_background
    from pipeline.variants.molecules.settings import MoleculeSettings, UmiSource

    missing = [n for n in ("reference", "genes", "targets") if not getattr(settings, n)]
    if missing:
        raise ConfigRefused(f"the table of chip lacks {', '.join(missing)}", remedy="name the files there")
    files = GraftFiles(
        bam=path,
        reference=Path(settings.reference),
        genes=Path(settings.genes),
        targets=Path(settings.targets),
        tumour=tumour,
        population=population,
        background=read_background(Path(settings.background)) if settings.background else None,
    )
    return read_graft(
        files,
        MoleculeSettings(umi=UmiSource.parse(settings.umi)),
        settings,
        sex=sample.sex,
        plasma_cell_fraction=plasma_cell_fraction,
        sample=sample,
    )


def check_sample(sample: Sample) -> None:
    """Find a sample's file undamaged and of a kind this assay can use.

    Raises
    ------
    InputRefused
        If it is not there, cannot be read, or is a BAM file without an index.
    """
    import pysam

    path = sample.files[0]
    if path.name.lower().endswith(_VCF):
        read_variants(path)
        return
    before = pysam.set_verbosity(0)
    try:
        with pysam.AlignmentFile(str(path)) as bam:
            if not bam.has_index():
                raise InputRefused("has no index", path=path, remedy="run samtools index on it")
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as BAM or CRAM", path=path) from error
    finally:
        pysam.set_verbosity(before)


def read_listed(
    variants: Path,
    *,
    tumour: Path | None = None,
    population: Path | None = None,
    sex: Sex | None = None,
    plasma_cell_fraction: float | None = None,
    sample: Sample | None = None,
    coverage: tuple[GeneCoverage, ...] = (),
) -> GraftEvidence:
    """Read variants that a caller or a laboratory listed.

    A list says nothing of what was looked at and not found: without ``coverage`` no result of it is
    below a threshold.

    Raises
    ------
    InputRefused, SheetRefused
        If a file cannot be used, or graft and tumour are on different builds.
    """
    listed = read_variants(variants)
    candidates = listed.candidates
    if tumour is not None:
        other = read_variants(tumour, needs_names=False)
        _same_build(listed, other, tumour)
        candidates = with_tumour(candidates, other.candidates)
    if listed.build in ("", "GRCh38"):
        candidates = pooled(candidates)
    if population is not None:
        candidates = with_frequencies(candidates, population)
    counted = {c.counts.counted for c in candidates if c.counts is not None}
    return GraftEvidence(
        candidates=candidates,
        coverage=coverage,
        sex=sex,
        plasma_cell_fraction=plasma_cell_fraction,
        has_tumour=tumour is not None,
        counted="molecules" if counted == {"molecules"} else "reads",
        sample=sample,
        input_sha256=sha256_file(variants),
        notes=listed.notes,
    )


def _same_build(graft: VariantFile, tumour: VariantFile, path: Path) -> None:
    if graft.build and tumour.build and graft.build != tumour.build:
        raise InputRefused(
            f"is on {tumour.build}, the graft's variants on {graft.build}",
            path=path,
            remedy="call both on one build",
        )
