"""How many templates some UMIs stand for: misread UMIs folded, and those drawn twice added."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["collision_corrected", "fold_umis"]

_BASES = b"ACGT"
_FOLDED_SHARE = 2  # a UMI with at least so many times the reads can be the parent of another
_ROUNDS = 3  # of folding: each improves the sizes of true families, on which the next rests


def collision_corrected(umis: int, possible: int) -> float:
    """Templates behind a number of different UMIs, those that drew the same one included.

    Parameters
    ----------
    umis
        Different UMIs seen, u.
    possible
        All that there are, K, each equally likely.

    Returns
    -------
    float
        -K ln(1 - u/K): n draws are expected to hit K (1 - exp(-n/K)) of K. Where all were seen
        no number is the likeliest; the lower bound given is that of u = K - 1/2.

    Examples
    --------
    >>> round(collision_corrected(100, 65536), 1), round(collision_corrected(40000, 65536))
    (100.1, 61768)
    """
    return -possible * math.log1p(-min(umis, possible - 0.5) / possible)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A UMI that may be a misreading: its parent, its reads, and misread reads expected."""

    umi: bytes
    parent: bytes
    reads: int
    expected: float


def fold_umis(found: Mapping[bytes, Counter[bytes]], error_rate: float, possible: int) -> int:
    """Fold misread UMIs into their parents.

    Parameters
    ----------
    found
        For each consensus sequence its UMIs and the reads of each; changed in place.
    error_rate
        Misread bases of a UMI, each as often as any other, in (0, 1).
    possible
        UMIs there are.

    Returns
    -------
    int
        How many were folded.

    Notes
    -----
    See `mrd_ngs.umi.UmiCollector.resolve`.
    """
    candidates = {sequence: _candidates(sizes, error_rate) for sequence, sizes in sorted(found.items())}
    sizes_all: Counter[int] = Counter(size for sizes in found.values() for size in sizes.values())
    chosen: dict[bytes, list[_Candidate]] = {}
    for _ in range(_ROUNDS):
        true = sizes_all - Counter(one.reads for listed in chosen.values() for one in listed)
        total = max(1, true.total())
        share = {size: count / total for size, count in true.items()}
        chosen = {
            sequence: _likeliest(
                listed, len(found[sequence]) - len(chosen.get(sequence, ())), share, possible
            )
            for sequence, listed in candidates.items()
            if listed
        }
    for sequence, listed in chosen.items():
        sizes = found[sequence]
        for one in sorted(listed, key=lambda c: (c.reads, c.umi)):  # a parent's parent has more reads
            sizes[one.parent] += sizes.pop(one.umi)
    return sum(len(listed) for listed in chosen.values())


def _candidates(sizes: Counter[bytes], error_rate: float) -> list[_Candidate]:
    found: list[_Candidate] = []
    if len(sizes) < 2:
        return found
    for umi, reads in sizes.items():
        parents = [
            (sizes[other], other)
            for at in range(len(umi))
            for base in _BASES
            if base != umi[at]
            and (other := umi[:at] + bytes((base,)) + umi[at + 1 :]) in sizes
            and sizes[other] >= _FOLDED_SHARE * reads
        ]
        if parents:
            _, parent = min(parents, key=lambda p: (-p[0], p[1]))
            expected = sum(size for size, _ in parents) * error_rate / 3
            found.append(_Candidate(umi, parent, reads, expected))
    return found


def _likeliest(
    candidates: list[_Candidate], umis: int, share: Mapping[int, float], possible: int
) -> list[_Candidate]:
    """As many candidates as are expected to be misread, the likeliest first."""
    filled = collision_corrected(max(umis - 1, 1), possible) / possible  # templates for each UMI
    weighed = []
    for one in candidates:
        misread = math.exp(one.reads * math.log(one.expected) - one.expected - math.lgamma(one.reads + 1))
        drawn = filled * share.get(one.reads, 0.0)
        weighed.append((misread / (misread + drawn) if misread > 0 else 0.0, one))
    weighed.sort(key=lambda item: (-item[0], item[1].umi))
    expected = round(sum(probability for probability, _ in weighed))
    return [one for _, one in weighed[:expected]]
