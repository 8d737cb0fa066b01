"""Files to evidence: a list of variants with the tumour, the population and the sex beside it."""

from pathlib import Path

from chip.evidence import GeneCoverage, GraftEvidence
from chip.false_duplicate import pooled
from chip.population import with_frequencies
from chip.tumour_match import with_tumour
from chip.variant_files import VariantFile, read_variants
from pipeline.errors import InputRefused
from pipeline.formats.digest import sha256_file
from pipeline.model import Sample, Sex

__all__ = ["read_listed"]


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
