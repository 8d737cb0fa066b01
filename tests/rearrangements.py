"""Simulated rearrangements of germline alleles with their truth, for tests and benchmarks."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mrd_ngs.germline import Gene, GermlineSet

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


@dataclasses.dataclass(frozen=True)
class Truth:
    read: str
    v: str
    d: str
    j: str
    junction: str
    turned: bool


def turned(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


def gene(call: str) -> str:
    return call.split("*")[0]


def genes(call: str) -> set[str]:
    return {gene(allele) for allele in call.split(",")}


def random_bases(rng: np.random.Generator, length: int) -> str:
    return str(BASES[rng.integers(0, 4, length)].tobytes().decode())


def mutated(rng: np.random.Generator, sequence: str, rate: float) -> str:
    bases = np.frombuffer(sequence.encode(), dtype=np.uint8).copy()
    hit = rng.random(len(bases)) < rate
    code = np.searchsorted(BASES, bases[hit])
    bases[hit] = BASES[(code + rng.integers(1, 4, code.size)) % 4]
    return str(bases.tobytes().decode())


def recombine(
    rng: np.random.Generator,
    germline: GermlineSet,
    locus: str = "IGH",
    *,
    rates: tuple[float, float] = (0.0, 0.05),
    lengths: tuple[int, int] = (150, 300),
    indel_share: float = 0.0,
    turned_share: float = 0.5,
) -> Truth:
    """A rearrangement of random alleles, trimmed, with N bases; its read ends with J.

    An indel of 1-6 nt lies in V at least 20 nt from the read's start and from Cys104: nearer
    to the anchor no alignment can tell it from mutations.
    """
    v, j = (any_of(rng, [g for g in s if g.name.startswith(locus)]) for s in (germline.v, germline.j))
    d = germline.d[rng.integers(len(germline.d))]
    assert v.anchor is not None
    assert j.anchor is not None
    trim = rng.integers(0, [6, 6, 6, 8])
    from_j = min(int(trim[3]), j.anchor)
    middle = random_bases(rng, rng.poisson(2))
    if locus == "IGH":
        kept = d.sequence[trim[1] : len(d.sequence) - trim[2]]
        middle = random_bases(rng, rng.poisson(6)) + kept + random_bases(rng, rng.poisson(6))
    part = v.sequence[: len(v.sequence) - int(trim[0])]
    sequence = mutated(rng, part + middle + j.sequence[from_j:], float(rng.uniform(*rates)))
    cys, trp = v.anchor, len(part) + len(middle) + j.anchor - from_j
    length = int(rng.integers(*lengths))
    low, high = max(0, len(sequence) - length) + 20, cys - 20
    if rng.random() < indel_share and low < high:
        place, size = int(rng.integers(low, high)), int(rng.integers(1, 7))
        added = random_bases(rng, size) if rng.random() < 0.5 else ""
        sequence = sequence[:place] + added + sequence[place + (0 if added else size) :]
        shift = size if added else -size
        cys, trp = cys + shift, trp + shift
    junction = sequence[cys : trp + 3]
    read = sequence[-length:]
    turn = bool(rng.random() < turned_share)
    return Truth(turned(read) if turn else read, v.name, d.name, j.name, junction, turn)


def any_of(rng: np.random.Generator, genes: Sequence[Gene]) -> Gene:
    return genes[rng.integers(len(genes))]
