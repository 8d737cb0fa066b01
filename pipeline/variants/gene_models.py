"""Genes of a GFF3 file, each by one transcript: the configured one, MANE Select, or the best known."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from pipeline.errors import ConfigRefused, DamagedFile, InputRefused, printable
from pipeline.variants.coordinates import Transcript
from pipeline.variants.gff3 import Feature, read_features
from pipeline.variants.reference import Reference

__all__ = ["GeneModels", "read_gene_models", "read_isoforms"]

_BIN_NT = 1 << 14
_MANE = ("MANE Select", "MANE_Select")
_CANONICAL = ("Ensembl_canonical", "RefSeq Select")


class GeneModels:
    """Transcripts that can be found by where they lie."""

    def __init__(self, transcripts: Iterable[Transcript]) -> None:
        self.transcripts = tuple(sorted(transcripts, key=lambda t: (t.contig, t.start, t.end, t.name)))
        self._bins: dict[tuple[str, int], list[Transcript]] = defaultdict(list)
        for transcript in self.transcripts:
            for number in range(transcript.start // _BIN_NT, (transcript.end - 1) // _BIN_NT + 1):
                self._bins[transcript.contig, number].append(transcript)

    def overlapping(self, contig: str, start: int, end: int) -> list[Transcript]:
        """Transcripts that share a base with ``[start, end)`` (0-based), in the order of their places."""
        first, last = start // _BIN_NT, (end - 1) // _BIN_NT
        if first == last:
            found = self._bins.get((contig, first), [])
        else:
            several = (self._bins.get((contig, number), []) for number in range(first, last + 1))
            found = list(dict.fromkeys(t for transcripts in several for t in transcripts))
        return [t for t in found if t.start < end and start < t.end]


@dataclass(slots=True)
class _Draft:
    feature: Feature
    exons: list[Feature] = field(default_factory=list)
    coding: list[Feature] = field(default_factory=list)


def read_isoforms(path: Path) -> dict[str, str]:
    """Transcript of each gene from the table ``[isoforms]`` of a TOML file (``GENE = "transcript"``).

    Raises
    ------
    ConfigRefused
        If the file cannot be read, lacks the table or has values that are no names.
    """
    from pipeline.formats.toml_tables import read_toml

    table = read_toml(path)[0].get("isoforms")
    if not isinstance(table, dict):
        raise ConfigRefused(
            "has no table [isoforms]", path=path, expected='GENE = "transcript" below [isoforms]'
        )
    if not all(isinstance(value, str) and value for value in table.values()):
        raise ConfigRefused(
            "an isoform is no text", path=path, expected='GENE = "transcript" below [isoforms]'
        )
    return {str(gene): str(name) for gene, name in table.items()}


def read_gene_models(
    path: Path, *, isoforms: Mapping[str, str] | None = None, reference: Reference | None = None
) -> GeneModels:
    """One transcript of each gene of a GFF3 file (Ensembl, GENCODE or RefSeq).

    Parameters
    ----------
    path
        GFF3, plain or gzip-packed.
    isoforms
        Transcript to take for a gene, with or without its version.
    reference
        If given, genes on contigs that it lacks are left out, and those beyond the end of a contig
        refused.

    Returns
    -------
    GeneModels
        Per gene the configured transcript; else MANE Select, else the source's canonical one, else
        the only one, else the longest coding sequence (then the longest, then the first by name).

    Raises
    ------
    DamagedFile
        If the file contradicts itself: exons that overlap, coding sequence outside exons, phases
        that do not follow from the lengths.
    InputRefused
        If it holds no transcript (on the reference's contigs), or was made for another build.
    ConfigRefused
        If a configured transcript is not in the file.
    """
    by_gene: dict[str, list[tuple[Transcript, Feature]]] = defaultdict(list)
    drafts, names = _drafts(path)
    for draft in drafts:
        if draft.exons and (reference is None or draft.feature.contig in reference.lengths_nt):
            transcript = _transcript(path, draft, names)
            if reference is not None and transcript.end > reference.lengths_nt[transcript.contig]:
                raise InputRefused(
                    f"a transcript of {printable(transcript.gene)} ends beyond contig "
                    f"{printable(transcript.contig)}",
                    path=path,
                    line=draft.feature.line,
                    expected=f"at most {reference.lengths_nt[transcript.contig]:,}",
                    remedy="give gene models of the reference's genome build",
                )
            by_gene[transcript.gene].append((transcript, draft.feature))
    if not by_gene:
        where = "" if reference is None else " on a contig of the reference"
        raise InputRefused(
            f"holds no transcript with exons{where}",
            path=path,
            expected="GFF3 with transcript, exon and CDS features",
            remedy="check that contigs are spelled alike (17 or chr17) in both files",
        )
    wanted = dict(isoforms or {})
    chosen = [_chosen(path, gene, found, wanted.pop(gene, None)) for gene, found in by_gene.items()]
    if wanted:
        raise ConfigRefused(
            f"a transcript is configured for {printable(min(wanted))}, which the gene models lack",
            path=path,
            remedy="correct the gene's name under [isoforms], or leave it out",
        )
    return GeneModels(chosen)


def _drafts(path: Path) -> tuple[list[_Draft], dict[str, str]]:
    """Transcripts with their parts, and the names of genes by ID."""
    features: dict[str, Feature] = {}
    parts: list[Feature] = []
    for feature in read_features(path):
        if feature.kind in ("exon", "CDS"):
            parts.append(feature)
        else:
            features.setdefault(feature.attributes["ID"], feature)
    drafts: dict[str, _Draft] = {}
    for part in parts:
        for parent in part.parents:
            if parent not in features:
                raise DamagedFile(
                    f"{part.kind} of a transcript that the file lacks",
                    path=path,
                    line=part.line,
                    column="Parent",
                )
            draft = drafts.setdefault(parent, _Draft(features[parent]))
            (draft.exons if part.kind == "exon" else draft.coding).append(part)
    names = {key: _gene_name(f) for key, f in features.items() if not f.parents}
    return list(drafts.values()), names


def _gene_name(feature: Feature) -> str:
    a = feature.attributes
    return a.get("Name") or a.get("gene_name") or a.get("gene") or a.get("gene_id") or a["ID"]


def _transcript(path: Path, draft: _Draft, names: Mapping[str, str]) -> Transcript:
    feature = draft.feature
    if feature.strand == 0:
        raise DamagedFile("a transcript has no strand", path=path, line=feature.line, expected="+ or -")
    exons = sorted(draft.exons, key=lambda f: f.start)
    for part in (*exons, *draft.coding):
        if (part.contig, part.strand) != (feature.contig, feature.strand):
            raise DamagedFile(
                f"{part.kind} lies on another contig or strand than its transcript", path=path, line=part.line
            )
    for before, after in pairwise(exons):
        if after.start < before.end:
            raise DamagedFile("exons of a transcript overlap", path=path, line=after.line)
    a = feature.attributes
    plain = Transcript(
        name=_with_version(a.get("transcript_id") or a["ID"].removeprefix("transcript:"), a.get("version")),
        protein="",
        gene=next((names[p] for p in feature.parents if p in names), _gene_name(feature)),
        contig=feature.contig,
        strand=feature.strand,
        exons=tuple((e.start, e.end) for e in exons),
        coding=None,
    )
    return _coding(path, plain, draft.coding) if draft.coding else plain


def _with_version(name: str, version: str | None) -> str:
    return f"{name}.{version}" if version and "." not in name else name


def _coding(path: Path, plain: Transcript, parts: list[Feature]) -> Transcript:
    """The transcript with its coding sequence, which must fill the exons between its ends."""
    ordered = sorted(parts, key=lambda f: f.start * plain.strand)
    first, last = ordered[0], ordered[-1]
    begin = plain.place(first.start if plain.strand == 1 else first.end - 1)
    end = plain.place(last.end - 1 if plain.strand == 1 else last.start)
    exempt = any("exception" in part.attributes for part in parts)
    expected = sum(part.end - part.start for part in parts)
    if begin is None or end is None or begin.distance_nt or end.distance_nt:
        raise DamagedFile("coding sequence lies outside the exons", path=path, line=first.line)
    coding = (begin.position, end.position + 1)
    if coding[1] - coding[0] != expected and not exempt:
        raise DamagedFile("coding sequence does not fill the exons it spans", path=path, line=first.line)
    done = 0
    for part in ordered:
        follows = ((first.phase or 0) - done) % 3
        if part.phase != follows and not exempt:
            raise DamagedFile(
                "phase does not follow from the lengths of the coding sequence before it",
                path=path,
                line=part.line,
                expected=str(follows),
            )
        done += part.end - part.start
    protein = first.attributes.get("protein_id") or first.attributes.get("ID", "").removeprefix("CDS:")
    return replace(
        plain,
        protein=_with_version(protein, first.attributes.get("version")) or plain.name,
        coding=coding,
        frame_known=first.phase == 0 and not exempt and expected % 3 == 0,
    )


def _chosen(path: Path, gene: str, found: list[tuple[Transcript, Feature]], wanted: str | None) -> Transcript:
    if wanted is not None:
        for transcript, _ in found:
            if wanted in (transcript.name, transcript.name.partition(".")[0]):
                return replace(transcript, chosen_by="configuration")
        raise ConfigRefused(
            f"the transcript configured for {printable(gene)} is not in the gene models",
            path=path,
            expected=", ".join(sorted(printable(t.name) for t, _ in found)[:5]),
        )
    for tags, reason in ((_MANE, "MANE Select"), (_CANONICAL, "canonical")):
        for transcript, feature in found:
            if any(tag in feature.attributes.get("tag", "").split(",") for tag in tags):
                return replace(transcript, chosen_by=reason)
    if len(found) == 1:
        return replace(found[0][0], chosen_by="only transcript")

    def size(transcript: Transcript) -> tuple[int, int]:
        begin, end = transcript.coding or (0, 0)
        return begin - end, -transcript.length_nt

    return replace(
        min((t for t, _ in found), key=lambda t: (*size(t), t.name)), chosen_by="longest coding sequence"
    )
