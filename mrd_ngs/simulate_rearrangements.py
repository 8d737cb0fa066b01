"""Simulated rearrangements: VDJ, light-chain VJ, incomplete DJ and kappa deletions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import SpikeIn
from mrd_ngs.germline import GermlineSet

__all__ = [
    "KINDS",
    "Clone",
    "Genes",
    "genes_of",
    "look_alike",
    "recombine",
    "recombine_kind",
    "simulate_clone",
    "simulate_rearrangement",
    "simulate_spike_ins",
]

KINDS = ("IGH", "IGK", "IGL", "DJ", "V-Kde", "intron-Kde")
"""What can be rearranged: whole VDJ and VJ, DJ of the heavy locus, kappa deletions."""

_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
_STOPS = (b"TAA", b"TAG", b"TGA")
_N_MAX = 20  # N nucleotides at one join
_N_LIGHT_MEAN = 2.0  # light chains join mostly without terminal transferase; own choice
_KDE_NT = 120  # of the kappa deleting element, before a primer in it
_JUNCTION_NT = {"IGH": (36, 90), "IGK": (27, 48), "IGL": (27, 54)}
# Consensus of a recombination signal with a spacer of 12 bases, as it stands before a D gene.
_NONAMER, _HEPTAMER, _SPACER_NT = b"GGTTTTTGT", b"CACTGTG", 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """One rearrangement, from its first to its last segment on the coding strand.

    ``junction`` is empty where it is none (DJ, kappa deletions), as are the calls of
    segments it does not have.
    """

    sequence: bytes
    v_call: str
    d_call: str
    j_call: str
    junction: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Genes:
    """Genes by kind: (name, sequence, place of the anchor codon); D and elements without an anchor."""

    v: tuple[tuple[str, bytes, int], ...]
    d: tuple[tuple[str, bytes], ...]
    j: tuple[tuple[str, bytes, int], ...]


def genes_of(germline: GermlineSet, locus: str = "IGH") -> Genes:
    """The genes of one locus that have their anchor."""
    return Genes(
        v=tuple(
            (g.name, g.sequence.encode(), g.anchor)
            for g in germline.v
            if g.name.startswith(locus) and g.anchor is not None
        ),
        d=tuple((g.name, g.sequence.encode()) for g in germline.d if g.name.startswith(f"{locus}D")),
        j=tuple(
            (g.name, g.sequence.encode(), g.anchor)
            for g in germline.j
            if g.name.startswith(locus) and g.anchor is not None
        ),
    )


def simulate_clone(rng: np.random.Generator, germline: GermlineSet, *, mutation_rate: float = 0.06) -> Clone:
    """One productive heavy-chain clone, to be followed through a patient's libraries.

    Parameters
    ----------
    rng
        Source of randomness.
    germline
        With heavy-chain V, D and J genes.
    mutation_rate
        Share of bases mutated, anywhere but in the codons of Cys104 and Trp118.
    """
    return simulate_rearrangement(rng, germline, kind="IGH", mutation_rate=mutation_rate)


def simulate_rearrangement(
    rng: np.random.Generator, germline: GermlineSet, *, kind: str, mutation_rate: float = 0.06
) -> Clone:
    """One rearrangement of a clone, productive where its kind can be.

    Parameters
    ----------
    rng
        Source of randomness.
    germline
        With the genes of its locus.
    kind
        One of `KINDS`. DJ and kappa deletions, which are not expressed, are not mutated here.
    mutation_rate
        Share of bases mutated, anywhere but in the two anchor codons.
    """
    genes = _genes_of_kind(germline, kind)
    while True:
        clone = recombine_kind(genes, germline, rng, kind, mutation_rate)
        if kind not in _JUNCTION_NT or _is_productive(clone.junction, *_JUNCTION_NT[kind]):
            return clone


def simulate_spike_ins(
    rng: np.random.Generator, germline: GermlineSet, *, count: int = 9, copies: int = 40, length: int = 230
) -> tuple[SpikeIn, ...]:
    """Synthetic rearrangements of ``length`` nucleotides, ``copies`` of each."""
    genes = genes_of(germline)
    spike_ins = []
    for number in range(1, count + 1):
        molecule = recombine(genes, rng, 0.05)
        sequence = molecule.sequence[-length:]
        centre = sequence.rindex(molecule.junction) + len(molecule.junction) // 2
        spike_ins.append(SpikeIn(name=f"SPK{number}", sequence=sequence, copies=copies, centre=centre))
    return tuple(spike_ins)


def look_alike(clone: Clone, substitutions: int, rng: np.random.Generator) -> bytes:
    """The clone with some bases of its junction changed, the two anchor codons kept."""
    sequence = bytearray(clone.sequence)
    start = clone.sequence.rindex(clone.junction)
    inner = np.arange(start + 3, start + len(clone.junction) - 3)
    for place in rng.choice(inner, substitutions, replace=False):
        sequence[place] = rng.choice([b for b in b"ACGT" if b != sequence[place]])
    return bytes(sequence)


def recombine(genes: Genes, rng: np.random.Generator, mutation_rate: float) -> Clone:
    """One VDJ: genes at random, ends trimmed, N nucleotides between, bases mutated."""
    v_name, v, cys = genes.v[rng.integers(len(genes.v))]
    d_name, d = genes.d[rng.integers(len(genes.d))]
    j_name, j, trp = genes.j[rng.integers(len(genes.j))]
    v_trim, d_left, d_right, j_trim = rng.integers(0, 7, 4).tolist()
    n1, n2 = rng.poisson(6, 2).clip(0, _N_MAX).tolist()
    added = _BASES[rng.integers(0, 4, 2 * _N_MAX)].tobytes()
    v_part = v[: max(cys + 3, len(v) - v_trim)]
    d_part = d[d_left : max(d_left + 3, len(d) - d_right)]
    j_start = min(j_trim, trp)
    before_j = v_part + added[:n1] + d_part + added[_N_MAX : _N_MAX + n2]
    sequence = before_j + j[j_start:]
    end = len(before_j) + trp - j_start + 3
    mutated = _mutated(sequence, mutation_rate, (cys, end - 3), rng) if mutation_rate else sequence
    return Clone(sequence=mutated, v_call=v_name, d_call=d_name, j_call=j_name, junction=mutated[cys:end])


def recombine_kind(
    genes: Genes, germline: GermlineSet, rng: np.random.Generator, kind: str, mutation_rate: float
) -> Clone:
    """One rearrangement of any kind; ``genes`` are those of its locus."""
    if kind == "IGH":
        return recombine(genes, rng, mutation_rate)
    if kind in ("IGK", "IGL"):
        return _recombine_light(genes, rng, mutation_rate)
    return _recombine_dj(genes, rng) if kind == "DJ" else _recombine_kde(genes, germline, rng, kind)


def _genes_of_kind(germline: GermlineSet, kind: str) -> Genes:
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    return genes_of(germline, {"DJ": "IGH", "V-Kde": "IGK", "intron-Kde": "IGK"}.get(kind, kind))


def _recombine_light(genes: Genes, rng: np.random.Generator, mutation_rate: float) -> Clone:
    v_name, v, cys = genes.v[rng.integers(len(genes.v))]
    j_name, j, phe = genes.j[rng.integers(len(genes.j))]
    v_trim, j_trim = rng.integers(0, 5, 2).tolist()
    j_start = min(j_trim, phe)
    before_j = v[: max(cys + 3, len(v) - v_trim)] + _added(_N_LIGHT_MEAN, rng)
    sequence = before_j + j[j_start:]
    end = len(before_j) + phe - j_start + 3
    mutated = _mutated(sequence, mutation_rate, (cys, end - 3), rng) if mutation_rate else sequence
    return Clone(sequence=mutated, v_call=v_name, d_call="", j_call=j_name, junction=mutated[cys:end])


def _recombine_dj(genes: Genes, rng: np.random.Generator) -> Clone:
    """D joined to J, with the signal before D that no V has used; its spacer is random."""
    d_name, d = genes.d[rng.integers(len(genes.d))]
    j_name, j, trp = genes.j[rng.integers(len(genes.j))]
    d_trim, j_trim = rng.integers(0, 7, 2).tolist()
    signal = _NONAMER + _BASES[rng.integers(0, 4, _SPACER_NT)].tobytes() + _HEPTAMER
    before_j = signal + d[: max(3, len(d) - d_trim)] + _added(6, rng)
    sequence = before_j + j[min(j_trim, trp) :]
    return Clone(sequence=sequence, v_call="", d_call=d_name, j_call=j_name, junction=b"")


def _recombine_kde(genes: Genes, germline: GermlineSet, rng: np.random.Generator, kind: str) -> Clone:
    """A kappa V, or the flank of the intron's signal, joined to the kappa deleting element."""
    elements = {element.joins: element for element in germline.elements}
    kde, flank = elements["start"], elements["end"]
    trim, kde_trim = rng.integers(0, 7, 2).tolist()
    if kind == "V-Kde":
        name, left, _ = genes.v[rng.integers(len(genes.v))]
    else:
        name, left = flank.name, flank.sequence.encode()
    right = kde.sequence.encode()[kde_trim:_KDE_NT]
    sequence = left[: len(left) - trim] + _added(4, rng) + right
    return Clone(sequence=sequence, v_call=name, d_call="", j_call=kde.name, junction=b"")


def _added(mean_nt: float, rng: np.random.Generator) -> bytes:
    """N nucleotides of one join."""
    return _BASES[rng.integers(0, 4, min(_N_MAX, int(rng.poisson(mean_nt))))].tobytes()


def _mutated(sequence: bytes, rate: float, anchors: tuple[int, int], rng: np.random.Generator) -> bytes:
    """Substitutions anywhere but in the two anchor codons."""
    bases = np.frombuffer(sequence, dtype=np.uint8).copy()
    hit: NDArray[np.bool_] = rng.random(len(bases)) < rate
    for anchor in anchors:
        hit[anchor : anchor + 3] = False
    code = np.searchsorted(_BASES, bases[hit])
    bases[hit] = _BASES[(code + rng.integers(1, 4, code.size)) % 4]
    return bases.tobytes()


def _is_productive(junction: bytes, least_nt: int, most_nt: int) -> bool:
    """In frame, without a stop codon, and of a length that such chains have."""
    codons = {junction[i : i + 3] for i in range(0, len(junction), 3)}
    return len(junction) % 3 == 0 and least_nt <= len(junction) <= most_nt and not codons & set(_STOPS)
