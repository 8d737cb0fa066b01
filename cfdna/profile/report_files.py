"""A tumour's profile from its BAM, and the files that say it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfdna.copy_number.genome import arm_of, arms, plain_name
from cfdna.counting.alignments import opened_bam
from cfdna.profile.arms import TumourArms, call_arms, is_hyperdiploid
from cfdna.profile.partners import PartnerCall, PartnerRules, call_partners, find_junctions, load_regions
from cfdna.profile.target_depth import count_targets, read_normals
from cfdna.settings import CfdnaSettings
from pipeline.errors import InputRefused
from pipeline.formats.atomic import write_text
from pipeline.formats.bed import Target
from pipeline.formats.csv_table import number_cell, write_csv
from pipeline.formats.digest import sha256_file
from pipeline.formats.records import to_json

__all__ = ["TumourProfile", "profile_tumour", "write_profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TumourProfile:
    """``arms`` is None without normal samples; ``junctions`` fragments join a bait to a partner region."""

    arms: TumourArms | None
    partners: tuple[PartnerCall, ...]
    junctions: int
    input_sha256: str


def profile_tumour(
    bam: Path,
    targets: Sequence[Target],
    settings: CfdnaSettings,
    *,
    normals: Path | None,
    partners: Path | None = None,
) -> TumourProfile:
    """Count, compare with normal samples, and look for partners.

    Raises
    ------
    InputRefused
        If files do not belong together, or no arm has three usable targets.
    """
    called = None
    if normals is not None:
        counts = count_targets(bam, targets, mapping_quality_min=settings.mapping_quality_min)
        names = [arm_of(t.contig, (t.start + t.end) // 2) for t in targets]
        try:
            called = call_arms(counts, read_normals(normals, targets), names)
        except ValueError as error:
            raise InputRefused(
                str(error), path=normals, remedy="use a panel with targets on the arms"
            ) from error
    baits, regions = load_regions(partners)
    rules = PartnerRules(mapping_quality_min=settings.mapping_quality_min)
    with opened_bam(bam) as file:
        reads = (
            read
            for bait in baits
            for contig in file.references
            if plain_name(contig) == bait.chrom
            for read in file.fetch(contig, bait.start - 1, min(bait.end, file.get_reference_length(contig)))
        )
        junctions = find_junctions(reads, baits, regions, rules)
    return TumourProfile(
        arms=called,
        partners=call_partners(junctions, regions, rules),
        junctions=len(junctions),
        input_sha256=sha256_file(bam),
    )


def write_profile(folder: Path, profile: TumourProfile) -> dict[str, Any]:
    """Write arms.csv, partners.csv and karyotype.bed (for ``nadir cfdna fraction``); give the document."""
    calls = () if profile.arms is None else profile.arms.arms
    write_csv(
        folder / "arms.csv",
        ("arm", "state", "copies", "ratio", "standard_error", "bins"),
        (
            (
                a.arm,
                a.state,
                "" if a.copies is None else str(a.copies),
                number_cell(a.ratio, digits=5),
                number_cell(a.standard_error, digits=3),
                str(a.bins),
            )
            for a in calls
        ),
    )
    write_csv(
        folder / "partners.csv",
        ("event", "partner", "fragments", "split_fragments", "bait_position", "partner_position"),
        (
            (
                c.event,
                c.partner,
                *map(str, (c.fragments, c.split_fragments, c.bait_position, c.partner_position)),
            )
            for c in profile.partners
        ),
    )
    where = {a.name: a for a in arms()}
    altered = [(where[a.arm], a.copies) for a in calls if a.copies not in (None, 2)]
    lines = "".join(f"{arm.chromosome}\t{arm.start}\t{arm.end}\t{copies}\n" for arm, copies in altered)
    write_text(folder / "karyotype.bed", lines)
    return {
        "input_sha256": profile.input_sha256,
        "arms": None if profile.arms is None else to_json(profile.arms),
        "hyperdiploid": None if profile.arms is None else is_hyperdiploid(calls),
        "partners": [to_json(c) for c in profile.partners],
        "junction_fragments": profile.junctions,
    }
