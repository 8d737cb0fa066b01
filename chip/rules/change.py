"""What a named change does to a protein.

Reads HGVS protein names (one- or three-letter code, with or without accession and parentheses, as
predicted or seen), the short forms of cBioPortal (``X477_splice``), HGVS c. names, and Sequence
Ontology terms where an annotator gave them. A name that cannot be understood is a kind of its own:
it goes to a person, never to the wrong rule.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chip.rules.genes import gene_named, symbol

__all__ = ["Change", "Kind", "parse_change"]

_THREE = {
    "Ala": "A", "Arg": "R", "Asn": "N", "Asp": "D", "Cys": "C", "Gln": "Q", "Glu": "E", "Gly": "G",
    "His": "H", "Ile": "I", "Leu": "L", "Lys": "K", "Met": "M", "Phe": "F", "Pro": "P", "Ser": "S",
    "Thr": "T", "Trp": "W", "Tyr": "Y", "Val": "V", "Ter": "*", "Sec": "U",
}  # fmt: skip
_THREE_LETTERS = re.compile("|".join(_THREE))
_AA = "[ACDEFGHIKLMNPQRSTVWYU]"
_SPAN = re.compile(rf"(?P<ref>{_AA}|\*)(?P<start>\d+)(?:_(?P<ref_end>{_AA}|\*)(?P<end>\d+))?(?P<what>.*)")
_SPLICE = re.compile(r"X\d+_splice")
_PLACE = re.compile(r"([*-]?\d+)([+-]\d+)?")
_SUBSTITUTION = re.compile(r"(\d+)([ACGT])>([ACGT])")


class Kind(StrEnum):
    """What becomes of the protein."""

    MISSENSE = "missense"
    NONSENSE = "nonsense"
    FRAMESHIFT = "frameshift"
    INFRAME = "inframe_indel"
    SPLICE = "splice_site"
    SILENT = "silent"
    START_LOST = "start_lost"
    STOP_LOST = "stop_lost"
    NONCODING = "noncoding"
    UNKNOWN = "not_understood"

    @property
    def is_truncating(self) -> bool:
        """Whether the protein ends early."""
        return self in (Kind.NONSENSE, Kind.FRAMESHIFT)


_KIND_OF_TERM = (
    (("splice_acceptor_variant", "splice_donor_variant"), Kind.SPLICE),
    (("stop_gained",), Kind.NONSENSE),
    (("frameshift_variant",), Kind.FRAMESHIFT),
    (("start_lost",), Kind.START_LOST),
    (("stop_lost",), Kind.STOP_LOST),
    (("inframe_insertion", "inframe_deletion", "protein_altering_variant"), Kind.INFRAME),
    (("missense_variant",), Kind.MISSENSE),
    (("synonymous_variant", "stop_retained_variant"), Kind.SILENT),
    (("transcript_ablation", "coding_sequence_variant"), Kind.UNKNOWN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one gene.

    ``aa_start`` and ``aa_end`` are the first and last residue it names (1-based; None where it names
    none), ``residue`` the reference residue at the first, ``alt`` the new residue of a substitution or
    ``*``. ``doubt`` says why the names cannot be trusted: they contradict the reference protein or each
    other; it is empty where they do not.
    """

    gene: str
    kind: Kind
    aa_start: int | None = None
    aa_end: int | None = None
    residue: str = ""
    alt: str = ""
    doubt: str = ""


def parse_change(gene: str, protein: str = "", coding: str = "", terms: Sequence[str] = ()) -> Change:
    """Understand a change by its names.

    Parameters
    ----------
    gene
        Any name of the gene.
    protein, coding
        HGVS names or short forms; empty where there is none.
    terms
        Sequence Ontology terms; they decide what the names leave open.

    Examples
    --------
    >>> c = parse_change("DNMT3A", "ENSP1:p.(Arg882His)", "c.2645G>A")
    >>> str(c.kind), c.aa_start, c.residue, c.alt
    ('missense', 882, 'R', 'H')
    >>> str(parse_change("DNMT3A", "X556_splice", "c.1668-8_1675del").kind)
    'splice_site'
    >>> parse_change("DNMT3A", "K882H").doubt
    'residue 882 of DNMT3A is R, not K: another transcript?'
    """
    named = symbol(gene)
    short = _one_letter(protein)
    coding = _after(coding, "c.")
    by_terms = next((k for known, k in _KIND_OF_TERM if set(known) & set(terms)), None)
    change = _by_protein(named, short)
    if by_terms is Kind.SPLICE or (change is None and (_SPLICE.fullmatch(short) or _at_splice_site(coding))):
        return Change(gene=named, kind=Kind.SPLICE)
    if change is None:
        return Change(gene=named, kind=_nameless(by_terms, short, coding, terms))
    return _doubted(change, coding)


def _by_protein(gene: str, short: str) -> Change | None:
    """A change by its protein name; None where the name holds no residue."""
    found = _SPAN.fullmatch(short)
    if found is None:
        return None
    start = int(found["start"])
    end = int(found["end"] or start)
    kind, alt = _kind_of(found["ref"], found["what"], start, single=found["end"] is None)
    return Change(gene=gene, kind=kind, aa_start=start, aa_end=end, residue=found["ref"], alt=alt)


def _kind_of(ref: str, what: str, start: int, *, single: bool) -> tuple[Kind, str]:
    if ref == "*":
        return (Kind.SILENT, "") if what in ("=", "*") else (Kind.STOP_LOST, "")
    if start == 1 and not what.startswith(("=", "M")):
        return Kind.START_LOST, ""
    if "fs" in what:
        return Kind.FRAMESHIFT, ""
    if what == "=" or (single and what == ref):
        return Kind.SILENT, ""
    if single and re.fullmatch(rf"{_AA}", what):
        return Kind.MISSENSE, what
    if what == "*" or (what.startswith(("delins", "ins")) and "*" in what):
        return Kind.NONSENSE, "*"
    if re.fullmatch(rf"(del|dup|ins|delins)({_AA}*|\d*)", what):
        return Kind.INFRAME, ""
    return Kind.UNKNOWN, ""


def _nameless(by_terms: Kind | None, short: str, coding: str, terms: Sequence[str]) -> Kind:
    if by_terms is not None:
        return by_terms
    if terms or (not short and _is_noncoding(coding)):
        return Kind.NONCODING
    return Kind.SILENT if short == "=" else Kind.UNKNOWN


def _doubted(change: Change, coding: str) -> Change:
    """The change with what its names contradict."""
    gene = gene_named(change.gene)
    place, residue = change.aa_start, change.residue
    assert place is not None
    doubt = ""
    if gene is not None and gene.protein is not None and residue != "*":
        expected = gene.residue(place)
        if expected is None:
            doubt = f"{gene.symbol} has {len(gene.protein)} residues, not {place}: another transcript?"
        elif expected != residue:
            doubt = f"residue {place} of {gene.symbol} is {expected}, not {residue}: another transcript?"
    base = _SUBSTITUTION.fullmatch(coding)
    if not doubt and base and change.kind is Kind.MISSENSE and (int(base[1]) + 2) // 3 != place:
        doubt = f"c.{base[0]} is not in codon {place}"
    return Change(
        gene=change.gene,
        kind=change.kind,
        aa_start=place,
        aa_end=change.aa_end,
        residue=residue,
        alt=change.alt,
        doubt=doubt,
    )


def _after(name: str, prefix: str) -> str:
    """A name without accession and prefix."""
    text = name.strip().replace("%3D", "=")
    return text.rpartition(prefix)[2] if prefix in text else text


def _one_letter(name: str) -> str:
    bare = _after(name, "p.").strip("()")
    return _THREE_LETTERS.sub(lambda found: _THREE[found[0]], bare)


def _places(coding: str) -> list[tuple[str, int]]:
    """Exon position and intron offset of the first and last place of a c. name."""
    stretch = re.match(r"[\d_+*-]+", coding)
    return [(a, int(b or 0)) for a, b in _PLACE.findall(stretch[0])] if stretch else []


def _at_splice_site(coding: str) -> bool:
    """Whether a change reaches the two bases of the intron beside an exon."""
    places = _places(coding)
    if not places:
        return False
    (_, first), (_, last) = places[0], places[-1]
    if first * last > 0:  # within one end of an intron
        return 0 < first <= 2 or -2 <= last < 0
    if first > 0 >= last:  # from one end of the intron into the other, or into the exon behind it
        return first <= 2 or last >= -2
    return bool(first or last)  # from an exon into the intron, or from the intron into an exon


def _is_noncoding(coding: str) -> bool:
    places = _places(coding)
    return bool(places) and all(offset or position[0] in "*-" for position, offset in places)
