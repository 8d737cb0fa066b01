"""Chromosomes and arms of GRCh38.

Lengths are those of the GRCh38 assembly; an arm ends where the bands next to the centromere
(``acen``) begin and end in the UCSC cytoband table of hg38.
"""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["AUTOSOMES", "CHROMOSOMES", "Arm", "Chromosome", "arm_of", "arms", "plain_name"]


class Chromosome(NamedTuple):
    """Length, and the 0-based half-open interval of the centromeric bands."""

    length_nt: int
    centromere_start: int
    centromere_end: int


CHROMOSOMES = {
    "1": Chromosome(248_956_422, 121_700_000, 125_100_000),
    "2": Chromosome(242_193_529, 91_800_000, 96_000_000),
    "3": Chromosome(198_295_559, 87_800_000, 94_000_000),
    "4": Chromosome(190_214_555, 48_200_000, 51_800_000),
    "5": Chromosome(181_538_259, 46_100_000, 51_400_000),
    "6": Chromosome(170_805_979, 58_500_000, 62_600_000),
    "7": Chromosome(159_345_973, 58_100_000, 62_100_000),
    "8": Chromosome(145_138_636, 43_200_000, 47_200_000),
    "9": Chromosome(138_394_717, 42_200_000, 45_500_000),
    "10": Chromosome(133_797_422, 38_000_000, 41_600_000),
    "11": Chromosome(135_086_622, 51_000_000, 55_800_000),
    "12": Chromosome(133_275_309, 33_200_000, 37_800_000),
    "13": Chromosome(114_364_328, 16_500_000, 18_900_000),
    "14": Chromosome(107_043_718, 16_100_000, 18_200_000),
    "15": Chromosome(101_991_189, 17_500_000, 20_500_000),
    "16": Chromosome(90_338_345, 35_300_000, 38_400_000),
    "17": Chromosome(83_257_441, 22_700_000, 27_400_000),
    "18": Chromosome(80_373_285, 15_400_000, 21_500_000),
    "19": Chromosome(58_617_616, 24_200_000, 28_100_000),
    "20": Chromosome(64_444_167, 25_700_000, 30_400_000),
    "21": Chromosome(46_709_983, 10_900_000, 13_000_000),
    "22": Chromosome(50_818_468, 13_700_000, 17_400_000),
    "X": Chromosome(156_040_895, 58_100_000, 63_800_000),
    "Y": Chromosome(57_227_415, 10_300_000, 10_600_000),
}
AUTOSOMES = tuple(str(n) for n in range(1, 23))
_ACROCENTRIC = ("13", "14", "15", "21", "22")  # their short arms hold no unique sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A chromosome arm, 0-based half open."""

    name: str
    chromosome: str
    start: int
    end: int


def arms() -> tuple[Arm, ...]:
    """The 39 autosomal arms with unique sequence, and both of X.

    >>> len(arms()), arms()[1].name
    (41, '1q')
    """
    found = []
    for name in (*AUTOSOMES, "X"):
        chromosome = CHROMOSOMES[name]
        if name not in _ACROCENTRIC:
            found.append(Arm(name=f"{name}p", chromosome=name, start=0, end=chromosome.centromere_start))
        found.append(
            Arm(name=f"{name}q", chromosome=name, start=chromosome.centromere_end, end=chromosome.length_nt)
        )
    return tuple(found)


def arm_of(contig: str, position: int) -> str:
    """Arm of a 0-based position; empty in a centromere, on an acrocentric short arm, or elsewhere.

    >>> arm_of("chr17", 7_600_000), arm_of("17", 26_000_000), arm_of("13", 5_000_000)
    ('17p', '', '')
    """
    name = plain_name(contig)
    chromosome = CHROMOSOMES.get(name)
    if chromosome is None:
        return ""
    if position < chromosome.centromere_start:
        return "" if name in _ACROCENTRIC else f"{name}p"
    return f"{name}q" if chromosome.centromere_end <= position < chromosome.length_nt else ""


def plain_name(contig: str) -> str:
    """A contig's name without ``chr``.

    >>> plain_name("chr4"), plain_name("4")
    ('4', '4')
    """
    return contig.removeprefix("chr")
