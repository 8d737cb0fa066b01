"""Distinct reads that carry a rearrangement, each with the nucleotides that tell its clone.

A read's *core* is its junction. DJ and kappa-deleting rearrangements have none; theirs
runs between places that the germline fixes and that trimming and N nucleotides do not
move, so that an error beside the join does not shift it: from the first base of D to
Trp118, from Cys104 (of the intron's flank, 60 nt before its end) to 60 nt into Kde, as
far as the read goes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.annotation import Annotations, annotate_codes, encode
from mrd_ngs.annotation_tables import Segment, germline_tables
from mrd_ngs.evidence import DistinctReads
from mrd_ngs.germline import LOCI, GermlineSet

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Rearranged", "RearrangedReads", "find_rearranged"]

_SEQUENCES_AT_ONCE = 5_000
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)


class Rearranged(NamedTuple):
    """A distinct read with a core.

    ``rank`` is its place in the library, ``reads`` its count. ``kind`` is empty where the
    core is a junction, else DJ, V-Kde or intron-Kde. ``core`` lies at ``start`` on the
    coding strand. ``first_genes`` are those of V (of D for DJ), ``j_genes`` those of J,
    equally good ones in the order of the call.
    """

    locus: str
    kind: str
    core: bytes
    rank: int
    reads: int
    rev_comp: bool
    start: int
    first_genes: tuple[str, ...]
    j_genes: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, bytes]:
        """What reads of one clone share but for errors."""
        return self.locus, self.kind, self.core


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RearrangedReads:
    """Reads with a core, most abundant first, and what became of all reads.

    ``kept`` holds the annotations of the first read of each core and gene, with their
    ranks: most clones are represented by one of them.
    """

    found: tuple[Rearranged, ...]
    fates: dict[str, int]
    reads: DistinctReads
    germline: GermlineSet
    kept: tuple[tuple[Annotations, NDArray[np.int64]], ...]

    def rows(self, ranks: Iterable[int], columns: Sequence[str]) -> dict[int, tuple[str, ...]]:
        """Cells of these columns of the AIRR table, by rank."""
        wanted = set(ranks)
        cells: dict[int, tuple[str, ...]] = {}
        for annotations, here in self.kept:
            chosen = np.array([i for i, rank in enumerate(here.tolist()) if rank in wanted], dtype=np.int64)
            part = zip(here[chosen].tolist(), self._cells(annotations.subset(chosen), columns), strict=True)
            cells.update(part)
        missing = sorted(wanted - cells.keys())
        if missing:
            again = annotate_codes(*encode([self.reads.sequence(rank) for rank in missing]), self.germline)
            cells.update(zip(missing, self._cells(again, columns), strict=True))
        return cells

    def _cells(self, annotations: Annotations, columns: Sequence[str]) -> list[tuple[str, ...]]:
        from mrd_ngs.airr_table import COLUMNS, airr_lines

        names = list(COLUMNS)
        places = [names.index(column) for column in columns]
        text = str(airr_lines(annotations, [""] * len(annotations), self.germline), "ascii")
        lines = (line.split("\t") for line in text.splitlines())
        return [tuple(cells[place] for place in places) for cells in lines]


def find_rearranged(reads: DistinctReads, germline: GermlineSet) -> RearrangedReads:
    """Annotate all distinct reads.

    Parameters
    ----------
    reads
        Of any sample.
    germline
        Alleles to annotate with.

    Returns
    -------
    RearrangedReads
        ``fates`` counts reads as ``clonotype`` (with a core), ``no_rearrangement``,
        ``no_junction`` (V alone, or cut inside the junction) and ``ambiguous_junction``.
    """
    from mrd_ngs import annotate_kernels as kernels

    tables = germline_tables(germline)
    genes = _Genes(tables.v), _Genes(tables.d), _Genes(tables.j)
    flank_nt = int(tables.v.table[-1, kernels.LENGTH])
    kinds = {
        kernels.D_J: "DJ",
        kernels.V_KDE: "V-Kde",
        kernels.INTRON_KDE: "intron-Kde",
    }
    fates = Counter(dict.fromkeys(("clonotype", "no_rearrangement", "no_junction", "ambiguous_junction"), 0))
    found: list[Rearranged] = []
    kept = []
    seen: set[tuple[str, str, bytes, str]] = set()
    for begin in range(0, len(reads), _SEQUENCES_AT_ONCE):
        ranks = range(begin, min(begin + _SEQUENCES_AT_ONCE, len(reads)))
        annotations = annotate_codes(*encode([reads.sequence(rank) for rank in ranks]), germline)
        coding = _LETTERS[annotations.codes].tobytes()
        starts, ends = _cores(kernels, annotations, flank_nt)
        fresh = []
        columns = (
            ranks,
            reads.counts[ranks.start : ranks.stop].tolist(),
            annotations.rows[:, [kernels.KIND, kernels.LOCUS, kernels.REV]].tolist(),
            annotations.offsets[:-1].tolist(),
            starts.tolist(),
            ends.tolist(),
            genes[0].of(annotations.v_ties, annotations.rows[:, kernels.V_TIES]),
            genes[1].of(annotations.d_ties, annotations.rows[:, kernels.D_TIES]),
            genes[2].of(annotations.j_ties, annotations.rows[:, kernels.J_TIES]),
        )
        for rank, count, (kind, locus, turned), offset, start, end, v, d, j in zip(*columns, strict=True):
            core = coding[offset + start : offset + end] if start >= 0 else b""
            if kind == kernels.NONE:
                fates["no_rearrangement"] += count
            elif not core:
                fates["no_junction"] += count
            elif b"N" in core:
                fates["ambiguous_junction"] += count
            else:
                fates["clonotype"] += count
                first = d if kind == kernels.D_J else v
                one = Rearranged(
                    LOCI[locus], kinds.get(kind, ""), core, rank, count, bool(turned), start, first, j
                )
                found.append(one)
                if (*one.key, first[0]) not in seen:
                    seen.add((*one.key, first[0]))
                    fresh.append(rank - begin)
        chosen = np.array(fresh, dtype=np.int64)
        kept.append((annotations.subset(chosen), chosen + begin))
    return RearrangedReads(
        found=tuple(found), fates=dict(fates), reads=reads, germline=germline, kept=tuple(kept)
    )


def _cores(
    kernels: "ModuleType", annotations: Annotations, flank_nt: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each read's core begins and ends on the coding strand; -1 where it has none."""
    rows = annotations.rows
    kind = rows[:, kernels.KIND]
    starts, ends = rows[:, kernels.JUNCTION_START].copy(), rows[:, kernels.JUNCTION_END].copy()
    flank = rows[:, kernels.V_START] - rows[:, kernels.VG_START] + flank_nt - kernels.FARTHEST_KDE
    kde = rows[:, kernels.J_START] - rows[:, kernels.JG_START] + kernels.FARTHEST_KDE
    for which, first, last in (
        (kernels.D_J, rows[:, kernels.D_START] - rows[:, kernels.DG_START], rows[:, kernels.TRP] + 3),
        (kernels.V_KDE, rows[:, kernels.CYS], kde),
        (kernels.INTRON_KDE, flank, kde),
    ):
        here = kind == which
        starts[here] = first[here].clip(0)
        ends[here] = np.minimum(last, np.diff(annotations.offsets))[here]
    return starts, ends


class _Genes:
    """Names of the genes of tied alleles, made once for each set of ties."""

    def __init__(self, segment: Segment) -> None:
        self._names = [name.split("*")[0] for name in segment.names]
        self._known: dict[bytes, tuple[str, ...]] = {}

    def of(self, ties: NDArray[np.int32], numbers: NDArray[np.int64]) -> list[tuple[str, ...]]:
        """Genes of each row of ``ties``, of which ``numbers`` count."""
        flat, width = ties.tobytes(), ties.shape[1] * ties.itemsize
        named = []
        for row, number in enumerate(numbers.tolist()):
            key = flat[row * width : row * width + number * ties.itemsize]
            genes = self._known.get(key)
            if genes is None:
                alleles = ties[row, :number].tolist()
                genes = self._known[key] = tuple(dict.fromkeys(self._names[a] for a in alleles))
            named.append(genes)
        return named
