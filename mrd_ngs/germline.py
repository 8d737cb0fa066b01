"""Germline genes: OGRDB's human sets as package data, or a folder of the user's own.

V sequences carry IMGT gaps where their source has them: the codon of Cys104 is then
columns 310 to 312, and the framework and CDR borders are known. Where a V gene has no
cysteine there, or no gaps, its anchor is the base that stands where Cys104 stands in the
genes most like it. The anchor of a J gene is the codon of Trp118 or Phe118, found by its
motif [WF]-G-x-G.
"""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mrd_ngs.settings import NgsSettings
from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.digest import sha256_bytes, sha256_joined

__all__ = [
    "Diversity",
    "Element",
    "Gene",
    "GermlineSet",
    "germline_files",
    "germline_of",
    "has_cysteine",
    "load_germline",
    "reading_frame_of",
]

LOCI = ("IGH", "IGK", "IGL")
CYSTEINE = ("TGT", "TGC")
MAX_BEFORE_ANCHOR, MAX_AFTER_ANCHOR = 320, 64  # what the V frame of the kernels holds
MAX_J = 60
_CYS104_COLUMN = 309  # 0-based, of the gapped sequence
_REGION_COLUMNS = (78, 114, 165, 195)  # ends of FWR1, CDR1, FWR2, CDR2 in IMGT numbering
_J_MOTIF = re.compile(r"(?=T(?:GG|TT|TC)GG[ACGT]{4}GG)")
_SEQUENCE = re.compile(r"[ACGTN.]+")
_NAME = re.compile(r"(IG[HKL])([VDJ])[A-Za-z0-9*/()._-]+")
_SUFFIXES = (".fasta", ".fa", ".fna")
# An anchor is lent between genes by 7-base words in the last 60 bases: with these, every packaged
# gene gets its own anchor back from the other genes, and IGLV3-2*03, whose numbering is four bases
# out behind a deletion in FWR3, its cysteine.
_WORD, _LATE, _MIN_LIKENESS = 7, 60, 5


class Gene(NamedTuple):
    """A V or J allele without gaps, and the 0-based place of its anchor codon (None without one)."""

    name: str
    sequence: str
    anchor: int | None


class Diversity(NamedTuple):
    """A D allele."""

    name: str
    sequence: str


class Element(NamedTuple):
    """The kappa deleting element, or the intron signal's coding flank; ``joins`` is the side of the join."""

    name: str
    sequence: str
    joins: str  # "start" (Kde) or "end" (intron)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GermlineSet:
    """Alleles of each segment in the order of their names.

    ``regions`` gives, for V alleles with IMGT gaps, the 0-based ends of FWR1, CDR1, FWR2
    and CDR2 in the sequence without gaps. ``unplaced`` names V and J alleles in which no
    anchor could be found: they are kept but no read is annotated with them. ``version``
    says which release they are, ``sha256`` is a digest of the files read.
    """

    v: tuple[Gene, ...]
    d: tuple[Diversity, ...]
    j: tuple[Gene, ...]
    elements: tuple[Element, ...]
    regions: Mapping[str, tuple[int, int, int, int]]
    version: str
    sha256: str

    @property
    def unplaced(self) -> tuple[str, ...]:
        """V and J alleles without an anchor."""
        return tuple(gene.name for gene in (*self.v, *self.j) if gene.anchor is None)


def has_cysteine(gene: Gene) -> bool:
    """Whether a V allele has a cysteine at its anchor.

    >>> has_cysteine(Gene("IGKV2-29*01", "TACTGAATG", 3))
    False
    """
    return gene.anchor is not None and gene.sequence[gene.anchor : gene.anchor + 3] in CYSTEINE


def reading_frame_of(gene: Gene) -> int:
    """0, 1 or 2: the first base of a V or J allele that starts a codon; the anchor is one.

    >>> reading_frame_of(Gene("IGHJ4*02", "ACTACTTTGACTACTGGGGC", 14))
    2
    """
    return 0 if gene.anchor is None else gene.anchor % 3


@cache
def load_germline(folder: Path | None = None) -> GermlineSet:
    """The packaged germline, or that of a folder.

    Parameters
    ----------
    folder
        Files ``*.fasta``, ``*.fa`` or ``*.fna`` with V, D and J alleles named as IGHV1-2*02;
        what a name has after two underscores is cut. V with IMGT gaps, or without: then the
        anchor comes from the packaged gene most like it. None takes the packaged OGRDB sets,
        whose files are checked against their SHA-256.

    Returns
    -------
    GermlineSet
        Read once per process and folder. The kappa deleting element and the intron signal's
        flank come from the package (GRCh38) unless the folder has an
        ``igk_elements.fasta`` with IGKKde and IGKintron.

    Raises
    ------
    InputRefused
        If the folder holds no such file, no V or no J, or a record cannot be used.
    DamagedFile
        If a packaged file is not the one that was released.

    Examples
    --------
    >>> germline = load_germline()
    >>> len(germline.v), len(germline.d), len(germline.j), germline.unplaced
    (342, 31, 23, ())
    >>> germline.version
    'OGRDB human IGH rev 9, IGK rev 4, IGL rev 3; GRCh38 Kde'
    """
    packaged = Path(__file__).parent / "data"
    if folder is None:
        version = _verified(packaged)
        return _germline(packaged, version, elements=packaged / _ELEMENTS, like=())
    root = Path(folder)
    elements = root / _ELEMENTS if (root / _ELEMENTS).is_file() else packaged / _ELEMENTS
    found = _germline(root, "", elements=elements, like=load_germline().v)
    # Folders may have one name, and change: the digest tells releases apart.
    return dataclasses.replace(found, version=f"user germline {root.name} ({found.sha256[:8]})")


_ELEMENTS = "igk_elements.fasta"


def germline_of(settings: NgsSettings) -> GermlineSet:
    """The germline that a study's run choices name.

    Raises
    ------
    InputRefused, DamagedFile
        As `load_germline`.
    """
    # Without an argument, as everybody asks for the packaged one: the cache keeps one of each call.
    return load_germline(Path(settings.germline)) if settings.germline else load_germline()


def germline_files(folder: Path) -> tuple[Path, ...]:
    """The files of a folder that `load_germline` reads, by name."""
    own = folder / _ELEMENTS
    return tuple(sorted([*_allele_files(folder), *([own] if own.is_file() else [])]))


def _allele_files(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("*") if p.suffix in _SUFFIXES and p.name != _ELEMENTS)


def _germline(root: Path, version: str, *, elements: Path, like: Sequence[Gene]) -> GermlineSet:
    files = _allele_files(root)
    if not files:
        raise InputRefused(
            "no germline file in the folder", path=root, expected="ighv.fasta, ighd.fasta, ighj.fasta …"
        )
    found: dict[str, dict[str, str]] = {"V": {}, "D": {}, "J": {}}
    for path in files:
        _sort_in(found, path)
    for segment in "VJ":
        if not found[segment]:
            raise InputRefused(
                f"no {segment} gene in the folder", path=root, expected="V and J alleles of a locus"
            )
    return GermlineSet(
        v=_v_genes(found["V"], like, root),
        d=tuple(Diversity(name, bases.replace(".", "")) for name, bases in sorted(found["D"].items())),
        j=tuple(_j_gene(name, bases, root) for name, bases in sorted(found["J"].items())),
        elements=tuple(
            Element(name, bases, "start" if name == "IGKKde" else "end")
            for name, bases, _ in _records(elements)
        ),
        regions={name: regions for name, gapped in found["V"].items() if (regions := _regions(gapped))},
        version=version,
        sha256=sha256_joined(sha256_bytes(path.read_bytes()) for path in (*files, elements)),
    )


def _sort_in(found: Mapping[str, dict[str, str]], path: Path) -> None:
    """Add a file's alleles; of one given with and without gaps, the one with gaps."""
    for name, bases, line in _records(path):
        match = _NAME.fullmatch(name)
        if match is None:
            raise InputRefused("not a gene name", path=path, line=line, expected="such as IGHV1-2*02")
        segment = found[match[2]]
        known = segment.get(name, bases)
        if known.replace(".", "") != bases.replace(".", ""):
            raise InputRefused("an allele has two sequences", path=path, line=line, remedy="keep one of them")
        segment[name] = max(known, bases, key=len)


def _v_genes(gapped: Mapping[str, str], like: Sequence[Gene], root: Path) -> tuple[Gene, ...]:
    genes = [_by_column(name, bases) for name, bases in sorted(gapped.items())]
    anchored = [*(g for g in genes if g.anchor is not None), *(g for g in like if g.anchor is not None)]
    words = _anchored_words(anchored, [g for g in genes if g.anchor is None])
    placed = tuple(g if g.anchor is not None else g._replace(anchor=_by_likeness(g, words)) for g in genes)
    for gene in placed:
        if gene.anchor is not None and not (
            gene.anchor <= MAX_BEFORE_ANCHOR and len(gene.sequence) - gene.anchor <= MAX_AFTER_ANCHOR
        ):
            raise InputRefused(
                f"{gene.name} has {gene.anchor} bases before Cys104 and "
                f"{len(gene.sequence) - gene.anchor} from it on",
                path=root,
                expected=f"a V region: at most {MAX_BEFORE_ANCHOR} and {MAX_AFTER_ANCHOR}",
                remedy="leave out leader, intron and recombination signal",
            )
    return placed


def _by_column(name: str, gapped: str) -> Gene:
    codon = gapped[_CYS104_COLUMN : _CYS104_COLUMN + 3]
    is_gapped = "." in gapped[:_CYS104_COLUMN]
    anchor = _CYS104_COLUMN - gapped[:_CYS104_COLUMN].count(".") if is_gapped and codon in CYSTEINE else None
    return Gene(name, gapped.replace(".", ""), anchor)


def _regions(gapped: str) -> tuple[int, int, int, int] | None:
    if "." not in gapped[:_CYS104_COLUMN]:
        return None
    one, two, three, four = (column - gapped[:column].count(".") for column in _REGION_COLUMNS)
    return one, two, three, four


def _late_words(sequence: str) -> Iterable[tuple[str, int]]:
    last = len(sequence) - _WORD
    return ((sequence[i : i + _WORD], i) for i in range(max(0, len(sequence) - _LATE), last + 1))


def _anchored_words(genes: Sequence[Gene], unplaced: Sequence[Gene]) -> dict[tuple[str, str], set[int]]:
    """Places before the anchor at which a word of the ``unplaced`` stands in ``genes``, by locus."""
    places: dict[tuple[str, str], set[int]] = {
        (gene.name[:3], word): set() for gene in unplaced for word, _ in _late_words(gene.sequence)
    }
    loci = {gene.name[:3] for gene in unplaced}
    for gene in genes:
        if gene.name[:3] not in loci:
            continue
        for word, place in _late_words(gene.sequence):
            known = places.get((gene.name[:3], word))
            if known is not None:
                known.add((gene.anchor or 0) - place)
    return places


def _by_likeness(gene: Gene, places: Mapping[tuple[str, str], set[int]]) -> int | None:
    votes: Counter[int] = Counter()
    for word, place in _late_words(gene.sequence):
        for before in places.get((gene.name[:3], word), ()):
            votes[place + before] += 1
    within = [(anchor, count) for anchor, count in votes.items() if 0 <= anchor <= len(gene.sequence) - 3]
    if not within:
        return None
    anchor, count = max(within, key=lambda item: (item[1], -item[0]))
    return anchor if count >= _MIN_LIKENESS else None


def _j_gene(name: str, sequence: str, root: Path) -> Gene:
    bare = sequence.replace(".", "")
    motif = _J_MOTIF.search(bare)
    anchor = None if motif is None else motif.start()
    if anchor is not None and max(anchor, len(bare) - anchor) > MAX_J:
        raise InputRefused(
            f"{name} has {anchor} bases before its anchor and {len(bare) - anchor} from it on",
            path=root,
            expected=f"a J region: at most {MAX_J} each",
            remedy="leave out signal, intron and constant region",
        )
    return Gene(name, bare, anchor)


def _verified(root: Path) -> str:
    manifest = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    for name, entry in manifest["files"].items():
        if sha256_bytes((root / name).read_bytes()) != entry["sha256"]:
            raise DamagedFile(
                "not the released germline file", path=root / name, remedy="install nadir again"
            )
    releases = {n[:3].upper(): entry["release"] for n, entry in manifest["files"].items() if n != _ELEMENTS}
    sets = ", ".join(f"{locus} rev {release}" for locus, release in sorted(releases.items()))
    return f"OGRDB human {sets}; {manifest['files'][_ELEMENTS]['release']} Kde"


def _records(path: Path) -> list[tuple[str, str, int]]:
    """Name, bases and line of each record; gaps and upper case kept apart from everything else."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputRefused("not text in UTF-8", path=path, expected="FASTA") from error
    except OSError as error:
        raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error
    records: list[tuple[str, list[str], int]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            words = text[1:].split()
            if not words:
                raise InputRefused("a record without a name", path=path, line=number, expected=">IGHV1-2*02")
            records.append((words[0].split("__")[0], [], number))
        elif text:
            if not records or not _SEQUENCE.fullmatch(text.upper()):
                raise InputRefused(
                    "not a sequence", path=path, line=number, expected="A, C, G, T, N or gaps (.)"
                )
            records[-1][1].append(text.upper())
    for name, bases, number in records:
        if not bases:
            raise InputRefused(f"{name} has no sequence", path=path, line=number)
    return [(name, "".join(bases), number) for name, bases, number in records]
