"""From files to files: BAM to calls, controls to a background."""

import gzip
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from pipeline.errors import InputRefused, printable
from pipeline.formats.atomic import replacing
from pipeline.formats.bed import Target
from pipeline.variants.calling.background import Background
from pipeline.variants.calling.caller import Call, WindowCalls, call_windows
from pipeline.variants.calling.candidates import anchored
from pipeline.variants.calling.contexts import surroundings
from pipeline.variants.calling.learning import BackgroundLearner
from pipeline.variants.calling.settings import CallSettings
from pipeline.variants.calling.vcf_records import header_lines, record_line
from pipeline.variants.edits import moved, trimmed
from pipeline.variants.evidence import Allele, SiteEvidence
from pipeline.variants.molecules.reader import read_evidence
from pipeline.variants.molecules.settings import MoleculeSettings
from pipeline.variants.reference import Reference

__all__ = ["CallTally", "call_bam", "learn_background", "read_asked"]


@dataclass(slots=True)
class CallTally:
    """What a run gave: calls, rejected candidates by reason, sites and those with a limit."""

    called: int = 0
    rejected: int = 0
    sites: int = 0
    sites_with_limit: int = 0
    median_limit: float | None = None
    background_samples: int = 0


def learn_background(
    paths: Sequence[Path],
    reference: Reference,
    targets: Sequence[Target],
    molecules: MoleculeSettings,
    settings: CallSettings,
    *,
    threads: int = 1,
) -> Background:
    """Errors of control samples.

    Raises
    ------
    InputRefused
        If a file cannot be used, or samples with and without UMIs are mixed.
    """
    learner = _learner(targets, settings)
    for path in paths:
        _learn(learner, read_evidence(path, reference, targets, molecules, threads=threads), reference)
    return learner.finish(len(paths))


def call_bam(
    path: Path,
    out: Path,
    reference: Reference,
    targets: Sequence[Target],
    molecules: MoleculeSettings,
    settings: CallSettings,
    *,
    sample: str,
    background: Background | None = None,
    asked: dict[str, list[Allele]] | None = None,
    limits: Path | None = None,
    threads: int = 1,
) -> CallTally:
    """Call a BAM file into bgzipped, indexed VCF.

    Without ``background`` it is learned from the file itself, outside its candidates. ``limits`` gets
    depth and limit of every target site.

    Raises
    ------
    InputRefused
        If the file, or the background (with or without UMIs), cannot be used.
    """
    evidence = read_evidence(path, reference, targets, molecules, threads=threads)
    windows: Iterable[SiteEvidence] = evidence
    if background is None:
        kept = list(evidence)
        learner = _learner(targets, settings)
        _learn(learner, kept, reference)
        background, windows = learner.finish(0), kept
    tally = CallTally(background_samples=background.samples)
    checked = _same_kind(windows, background, path)
    called = call_windows(
        checked, reference, background, settings, asked=asked, with_limits=limits is not None
    )
    contigs = dict.fromkeys(t.contig for t in targets)
    order = {name: i for i, name in enumerate(contigs)}
    calls: list[Call] = []
    rows: list[str] = []
    found_limits: list[float] = []
    with closing(
        cast("Generator[SiteEvidence]", evidence)
    ):  # a refusal amid the file leaves no temporary index behind
        for window in called:
            calls += window.calls
            tally.sites += len(window.depth)
            if limits is not None:
                rows += _limit_rows(window)
                found_limits += window.limits[~np.isnan(window.limits)].tolist()
    calls.sort(key=lambda c: (order[c.contig], c.allele))
    tally.called = sum(not c.reasons for c in calls)
    tally.rejected = sum(bool(c.reasons) and c.genotype == "0/1" for c in calls)
    tally.sites_with_limit = len(found_limits)
    tally.median_limit = float(np.median(found_limits)) if found_limits else None
    _write_vcf(out, [*header_lines(reference, contigs, sample), *map(record_line, calls)])
    if limits is not None:
        _write_limits(limits, rows)
    return tally


def read_asked(path: Path, reference: Reference) -> dict[str, list[Allele]]:
    """Alleles of a VCF file by contig, trimmed and left-aligned; records without bases are refused.

    Raises
    ------
    InputRefused
        If it cannot be read, or a REF is not the reference's.
    """
    import pysam

    found: dict[str, list[Allele]] = {}
    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            for number, record in enumerate(file, start=1):
                for alt in record.alts or ():
                    allele = _normalised(
                        record.chrom, record.pos - 1, str(record.ref), alt, reference, path, number
                    )
                    if allele not in found.setdefault(record.chrom, []):
                        found[record.chrom].append(allele)
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as VCF", path=path, remedy="give VCF, VCF.gz or BCF") from error
    finally:
        pysam.set_verbosity(before)
    return found


def _normalised(
    contig: str, start: int, ref: str, alt: str, reference: Reference, path: Path, number: int
) -> Allele:
    ref, alt = ref.upper(), alt.upper()
    reference.require(contig)
    if set(ref + alt) - set("ACGT"):
        raise InputRefused(
            f"record {number}: an allele is not given in bases", path=path, expected="A, C, G and T"
        )
    if reference.bases(contig, start, start + len(ref)) != ref:
        raise InputRefused(
            f"record {number}: REF {printable(ref)} is not the reference's",
            path=path,
            remedy="give sites of the same genome build",
        )
    edit = moved(trimmed(start, ref, alt), reference, contig, -1).edit
    return anchored(edit, contig, reference)


def _learner(targets: Sequence[Target], settings: CallSettings) -> BackgroundLearner:
    return BackgroundLearner(
        targets, max_vaf_error=settings.max_vaf_error, fragment_end_nt=settings.fragment_end_nt
    )


def _learn(learner: BackgroundLearner, windows: Iterable[SiteEvidence], reference: Reference) -> None:
    for evidence in windows:
        learner.add(evidence, surroundings(reference, evidence.contig, evidence.start, evidence.end))


def _same_kind(windows: Iterable[SiteEvidence], background: Background, path: Path) -> Iterator[SiteEvidence]:
    for evidence in windows:
        if evidence.has_umis != background.has_umis:
            one, other = ("has", "without") if evidence.has_umis else ("has no", "with")
            raise InputRefused(
                f"{one} UMIs, but the background was learned {other} them",
                path=path,
                remedy="give a background of samples prepared and read the same way",
            )
        yield evidence


def _limit_rows(window: WindowCalls) -> Iterator[str]:
    for k, (depth, duplex, limit) in enumerate(
        zip(window.depth.tolist(), window.duplex.tolist(), window.limits.tolist(), strict=True)
    ):
        reason = "" if limit == limit else ("no_coverage" if depth == 0 else "too_few_molecules")
        text = f"{limit:.6g}" if limit == limit else ""
        cells = (window.contig, str(window.start + k + 1), window.reference[k], str(depth), str(duplex))
        yield "\t".join((*cells, text, reason))


def _write_vcf(path: Path, lines: Sequence[str]) -> None:
    import pysam

    with replacing(path) as temporary, pysam.BGZFile(str(temporary), "wb", None) as file:
        file.write(("\n".join(lines) + "\n").encode())
    pysam.tabix_index(str(path), preset="vcf", force=True)


def _write_limits(path: Path, rows: Sequence[str]) -> None:
    header = "chrom\tpos\tref\tdepth_molecules\tduplex_molecules\tlod\treason"
    text = ("\n".join([header, *rows]) + "\n").encode()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
