"""HGVS protein names of a change in a coding sequence.

What is compared are the two proteins, not the bases: the first residue that differs decides, a
deletion or insertion stands at its last place in the protein, and a shifted frame is followed to
its stop, into the 3' UTR where the sequence is known. ``Ter?`` says that it is not.
"""

from dataclasses import dataclass

__all__ = ["CodingSequence", "ProteinChange", "protein_change"]

_BASES = "TCAG"
_CODE = dict(
    zip(
        (a + b + c for a in _BASES for b in _BASES for c in _BASES),
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        strict=True,
    )
)
_THREE = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYV*",
        [
            "Ala",
            "Arg",
            "Asn",
            "Asp",
            "Cys",
            "Gln",
            "Glu",
            "Gly",
            "His",
            "Ile",
            "Leu",
            "Lys",
            "Met",
            "Phe",
            "Pro",
            "Ser",
            "Thr",
            "Trp",
            "Tyr",
            "Val",
            "Ter",
        ],
        strict=True,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodingSequence:
    """The bases from the start codon to the transcript's end, and the protein they give.

    ``length_nt`` is the coding part with its stop codon. ``protein`` ends in ``*``; the first
    residue is methionine whatever the start codon is.
    """

    bases: str
    length_nt: int
    protein: str

    @classmethod
    def of(cls, bases: str, length_nt: int) -> "CodingSequence | None":
        """None where the protein cannot be told: unknown bases, no stop or an early one."""
        residues = _translated(bases[:length_nt])
        if "X" in residues or residues.find("*") != len(residues) - 1 or len(residues) < 2:
            return None
        return cls(bases=bases, length_nt=length_nt, protein="M" + residues[1:])


@dataclass(frozen=True, slots=True)
class ProteinChange:
    """The name after ``p.`` and the Sequence Ontology terms that go with it."""

    name: str
    terms: tuple[str, ...]


_UNKNOWN = ProteinChange("?", ("coding_sequence_variant",))
_START_LOST = ProteinChange("Met1?", ("start_lost",))


def protein_change(coding: CodingSequence, start: int, end: int, alt: str) -> ProteinChange:
    """What happens to the protein when ``alt`` stands in place of ``[start, end)``.

    Parameters
    ----------
    coding
        The reference.
    start, end
        0-based half-open interval from the first base of the start codon; ``end`` may lie in the
        3' UTR, and ``start`` before the start codon (negative).
    alt
        The new bases in the transcript's direction.

    Returns
    -------
    ProteinChange
        ``?`` where the new bases, or those that come to be read, are not known.
    """
    if start < 0:
        return _START_LOST
    bases = coding.bases
    shift = len(alt) - (end - start)
    first = start // 3
    if start < 3:
        codon = (bases[:start] + alt + bases[end : end + 3])[:3]
        if codon != bases[:3]:
            return _START_LOST
    if shift % 3 == 0 and end <= coding.length_nt - 3:
        return _in_frame(coding, start, end, alt)
    residues = "M" if first == 0 else ""
    read_from = max(first, 1)
    mutated = bases[first * 3 : start] + alt + bases[end:]
    residues += _to_stop(mutated[3 * (read_from - first) :])
    return _read_on(coding, first, residues, shifted=shift % 3 != 0)


def _in_frame(coding: CodingSequence, start: int, end: int, alt: str) -> ProteinChange:
    """Codons are exchanged, added or taken out; what follows is read as before."""
    first = start // 3
    last = (end + 2) // 3
    codons = coding.bases[first * 3 : start] + alt + coding.bases[end : last * 3]
    new = _translated(codons)
    if first == 0 and new:
        new = "M" + new[1:]
    if "X" in new:
        return _UNKNOWN
    old = coding.protein[first:last]
    if new == old:
        name = _span(coding.protein, first, last) + "="
        return ProteinChange(name, ("synonymous_variant",))
    stop = new.find("*")
    if stop >= 0:
        return _new_stop(coding.protein, first, old, new[: stop + 1], len(alt) - (end - start))
    return _difference(coding.protein, first, old, new)


def _new_stop(protein: str, at: int, old: str, new: str, shift: int) -> ProteinChange:
    """Residues up to a stop that was not there; what came after it is lost."""
    same = _common_head(old, new)
    at, old, new = at + same, old[same:], new[same:]
    terms: tuple[str, ...] = ("stop_gained",)
    if shift:
        terms += ("inframe_insertion" if shift > 0 else "inframe_deletion",)
    if new == "*":
        return ProteinChange(f"{_residue(protein, at)}Ter", terms)
    if not old:
        return ProteinChange(f"{_residue(protein, at - 1)}_{_residue(protein, at)}ins{_three(new)}", terms)
    return ProteinChange(f"{_span(protein, at, at + len(old))}delins{_three(new)}", terms)


def _difference(protein: str, at: int, old: str, new: str) -> ProteinChange:
    """Two stretches that differ while all before and behind them is the same."""
    head = _common_head(old, new)
    at, old, new = at + head, old[head:], new[head:]
    tail = _common_head(old[::-1], new[::-1])
    old, new = old[: len(old) - tail], new[: len(new) - tail]
    if not old:
        return _inserted(protein, at, new)
    if not new:
        end = at + len(old)
        while end < len(protein) - 1 and protein[end] == protein[at]:
            at, end = at + 1, end + 1
        return ProteinChange(f"{_span(protein, at, end)}del", ("inframe_deletion",))
    if len(old) == len(new) == 1:
        return ProteinChange(f"{_residue(protein, at)}{_three(new)}", ("missense_variant",))
    term = "missense_variant" if len(old) == len(new) else "protein_altering_variant"
    return ProteinChange(f"{_span(protein, at, at + len(old))}delins{_three(new)}", (term,))


def _inserted(protein: str, at: int, new: str) -> ProteinChange:
    while at < len(protein) - 1 and protein[at] == new[0]:
        new, at = new[1:] + new[0], at + 1
    term = ("inframe_insertion",)
    if protein[max(at - len(new), 0) : at] == new:
        return ProteinChange(f"{_span(protein, at - len(new), at)}dup", term)
    return ProteinChange(f"{_residue(protein, at - 1)}_{_residue(protein, at)}ins{_three(new)}", term)


def _read_on(coding: CodingSequence, first: int, new: str, *, shifted: bool) -> ProteinChange:
    """A frame that is shifted, or a stop codon that is touched: read to the next stop."""
    protein = coding.protein
    old = protein[first:]
    same = _common_head(old, new)
    if same == len(old):
        return ProteinChange(f"Ter{len(protein)}=", ("stop_retained_variant",))
    at, rest = first + same, new[same:]
    if not rest or rest[0] == "X":
        return ProteinChange("?", ("frameshift_variant",)) if shifted else _UNKNOWN
    ended = rest.find("*")
    if protein[at] == "*":
        end = "?" if ended < 0 else str(ended)
        return ProteinChange(f"Ter{at + 1}{_three(rest[0])}extTer{end}", ("stop_lost",))
    if rest[0] == "*":
        return ProteinChange(
            f"{_residue(protein, at)}Ter", ("stop_gained", *(("frameshift_variant",) if shifted else ()))
        )
    if not shifted:
        return _ends_otherwise(protein, at, rest)
    end = "?" if ended < 0 else str(ended + 1)
    return ProteinChange(f"{_residue(protein, at)}{_three(rest[0])}fsTer{end}", ("frameshift_variant",))


def _ends_otherwise(protein: str, at: int, new: str) -> ProteinChange:
    """The stop codon and residues before it are replaced in frame."""
    if not new.endswith("*"):
        return ProteinChange("?", ("stop_lost",))
    found = _difference(protein, at, protein[at:], new)
    return ProteinChange(found.name, (*found.terms, "stop_retained_variant"))


def _translated(bases: str) -> str:
    get = _CODE.get
    return "".join([get(bases[i : i + 3], "X") for i in range(0, len(bases), 3)])


def _to_stop(bases: str) -> str:
    """Residues up to the first stop, ``*`` included, or as far as the bases are known (then ``X``)."""
    found = []
    for i in range(0, len(bases) - 2, 3):
        residue = _CODE.get(bases[i : i + 3], "X")
        found.append(residue)
        if residue in "*X":
            break
    return "".join(found)


def _common_head(one: str, other: str) -> int:
    length = min(len(one), len(other))
    for i in range(length):
        if one[i] != other[i]:
            return i
    return length


def _three(residues: str) -> str:
    return "".join([_THREE[r] for r in residues])


def _residue(protein: str, at: int) -> str:
    return f"{_THREE[protein[at]]}{at + 1}"


def _span(protein: str, start: int, end: int) -> str:
    first = _residue(protein, start)
    return first if end - start <= 1 else f"{first}_{_residue(protein, end - 1)}"
