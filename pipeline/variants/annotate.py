"""VCF in, VCF out: gene, HGVS names and consequence of every alternative allele in INFO."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import DamagedFile, InputRefused, NadirError, printable
from pipeline.formats.atomic import replacing
from pipeline.variants.effect import NOTES, Annotator, Effect
from pipeline.variants.phase import Substitution, belong_together, joined, substitution
from pipeline.variants.vcf_text import (
    ContigLine,
    Numbers,
    contig_lines,
    split_alleles,
    with_info,
    without_lines,
)

__all__ = ["AnnotationSettings", "AnnotationTally", "annotate_vcf"]

_ORDER = "one value a gene, in the order of GENE; percent-encoded"
_INFO = {
    "GENE": "Genes whose transcript the allele touches",
    "HGVSG": "HGVS name on the contig; percent-encoded",
    "HGVSC": f"HGVS name on the transcript, {_ORDER}",
    "HGVSP": f"HGVS name of the protein change, {_ORDER}",
    "CSQ": "Sequence Ontology terms joined by &, most severe first, one value a gene, in the order of GENE",
    "ANNOTATION_NOTE": "What cannot be told: " + "; ".join(f"{k}: {v}" for k, v in NOTES.items()),
    "PHASED_MNV": "Substitution CONTIG:POS:REF:ALT that records of this phase set make together; names and "
    "consequence are those of it",
}
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationSettings:
    """Choices of a run.

    ``merge_phased`` names substitutions of one haplotype that touch or share a codon as one;
    ``parentheses`` writes ``p.(Arg882His)`` as HGVS asks for a protein that was not seen itself.
    """

    merge_phased: bool = False
    parentheses: bool = False


@dataclass(slots=True, kw_only=True)
class AnnotationTally:
    """What was written: alternative alleles, those without names (symbolic, ``*``), and notes."""

    alleles: int = 0
    unnamed: int = 0
    merged: int = 0
    notes: dict[str, int] = field(default_factory=dict)


def annotate_vcf(
    path: Path, out: Path, annotator: Annotator, settings: AnnotationSettings | None = None
) -> AnnotationTally:
    """Annotate every record of a file; multi-allelic records are split, their order is kept.

    Parameters
    ----------
    path
        VCF, plain or bgzipped, or BCF.
    out
        VCF; bgzipped where its name ends in ``.gz``.
    annotator
        Reference and gene models.
    settings
        Choices; the defaults if None.

    Raises
    ------
    InputRefused
        If the file cannot be read, was made on another build, or a REF is not the reference's (with
        its position). Nothing is written then.
    DamagedFile
        If the file is truncated.
    """
    import pysam

    chosen = settings or AnnotationSettings()
    tally = AnnotationTally()
    _refuse_truncated(path)
    with replacing(out) as temporary:
        opened = pysam.BGZFile(str(temporary), "wb", None) if out.suffix == ".gz" else temporary.open("wb")
        with opened as written:
            for line in _annotated(path, annotator, chosen, tally):
                written.write(line.encode("utf-8"))
    return tally


def _annotated(
    path: Path, annotator: Annotator, settings: AnnotationSettings, tally: AnnotationTally
) -> Iterator[str]:
    import pysam

    before = pysam.set_verbosity(0)  # htslib's own messages would go to stderr beside ours
    try:
        with pysam.VariantFile(str(path)) as file:
            header = str(file.header)
            if settings.merge_phased and len(file.header.samples) != 1:
                raise InputRefused(
                    f"holds {len(file.header.samples)} samples, so there is no one phase to merge by",
                    path=path,
                    expected="one sample",
                )
            yield _header(header)
            numbers, contigs = Numbers.of(header), _Contigs(contig_lines(header), annotator)
            cells = (str(record).rstrip("\n").split("\t") for record in file)
            records = (r for record in cells for r in split_alleles(record, numbers))
            for group in _groups(records, annotator, contigs, path, merge=settings.merge_phased):
                yield from _lines(group, annotator, settings, tally, path)
    except NadirError:
        raise
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as VCF", path=path, expected="VCF, VCF.gz or BCF") from error
    finally:
        pysam.set_verbosity(before)


def _header(header: str) -> str:
    lines = without_lines(header, _INFO)
    lines += [f'##INFO=<ID={name},Number=.,Type=String,Description="{text}">' for name, text in _INFO.items()]
    columns = next(line for line in header.splitlines() if line.startswith("#CHROM"))
    return "\n".join([*lines, columns, ""])


class _Contigs:
    """Contigs of the records, each compared with the reference where it first comes up."""

    def __init__(self, declared: dict[str, ContigLine], annotator: Annotator) -> None:
        self._declared = declared
        self._annotator = annotator
        self._seen: set[str] = set()

    def require(self, contig: str) -> None:
        if contig not in self._seen:
            line = self._declared.get(contig, ContigLine(length_nt=None, md5=None))
            self._annotator.reference.require(contig, length_nt=line.length_nt, md5=line.md5)
            self._seen.add(contig)


_Group = list[tuple[list[str], Substitution | None]]


def _groups(
    records: Iterator[list[str]], annotator: Annotator, contigs: _Contigs, path: Path, *, merge: bool
) -> Iterator[_Group]:
    """Records alone, or those that make one substitution together."""
    group: _Group = []
    for cells in records:
        try:
            contigs.require(cells[0])
        except InputRefused as error:
            error.add_note(f"needed for {printable(cells[0])}:{cells[1]} of {printable(str(path))}")
            raise
        part = substitution(cells) if merge else None
        last = group[-1][1] if group else None
        if group and not (part and last and belong_together(last, part, annotator)):
            yield group
            group = []
        group.append((cells, part))
    if group:
        yield group


def _lines(
    group: _Group, annotator: Annotator, settings: AnnotationSettings, tally: AnnotationTally, path: Path
) -> Iterator[str]:
    parts = [part for _, part in group if part is not None]
    together = joined(parts, annotator) if len(group) > 1 else None
    for cells, _ in group:
        contig, position, ref, alt = cells[0], int(cells[1]), cells[3], cells[4]
        try:
            effects = _effects(annotator, contig, position, ref, alt)
            if together is not None:  # the record itself was verified above
                effects = annotator.effects(contig, together.position, together.ref, together.alt)
        except InputRefused as error:
            error.add_note(f"in {printable(str(path))}")
            raise
        _count(tally, effects, merged=together is not None)
        cells[7] = with_info(cells[7], _values(effects, together, settings))
        yield "\t".join(cells) + "\n"


def _effects(annotator: Annotator, contig: str, position: int, ref: str, alt: str) -> list[Effect]:
    if alt in (".", "*") or alt[0] in "<[]." or alt[-1] in "[].":
        return []
    return annotator.effects(contig, position, ref, alt)


def _values(
    effects: list[Effect], together: Substitution | None, settings: AnnotationSettings
) -> dict[str, list[str | None]]:
    notes = list(dict.fromkeys(note for effect in effects for note in effect.notes))
    mnv = None
    if together is not None:
        mnv = f"{together.contig}:{together.position}:{together.ref}:{together.alt}"
    return {
        "GENE": [e.gene or None for e in effects],
        "HGVSG": [e.hgvs_g for e in effects[:1]],
        "HGVSC": [e.hgvs_c for e in effects],
        "HGVSP": [_protein(e.hgvs_p, settings) for e in effects],
        "CSQ": ["&".join(e.terms) for e in effects],
        "ANNOTATION_NOTE": [*notes],
        "PHASED_MNV": [mnv],
    }


def _protein(name: str | None, settings: AnnotationSettings) -> str | None:
    if name is None or not settings.parentheses or name.endswith(":p.?"):
        return name
    accession, _, change = name.rpartition(":p.")
    return f"{accession}:p.({change})"


def _count(tally: AnnotationTally, effects: list[Effect], *, merged: bool) -> None:
    tally.alleles += 1
    tally.unnamed += not effects
    tally.merged += merged
    for note in dict.fromkeys(note for effect in effects for note in effect.notes):
        tally.notes[note] = tally.notes.get(note, 0) + 1


def _refuse_truncated(path: Path) -> None:
    """A bgzipped file ends in an empty block; htslib reads one that lacks it without a word."""
    try:
        with path.open("rb") as file:
            head = file.read(18)
            file.seek(0, 2)
            file.seek(max(file.tell() - len(_BGZF_END), 0))
            tail = file.read()
    except OSError as error:
        raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error
    if not head:
        raise DamagedFile("is empty", path=path, expected="VCF, VCF.gz or BCF")
    if head.startswith(b"\x1f\x8b\x08\x04") and head[12:14] == b"BC" and tail != _BGZF_END:
        raise DamagedFile("is truncated: its last block is missing", path=path, remedy="copy it again")
