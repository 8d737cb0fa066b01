"""A second way to read and make HGVS names, on plain strings, sharing no code with the product.

Everything here is slow and literal: a gene is a dictionary from written positions to places on the
contig, a change is applied to the whole contig, and what is the last place or a duplication is found
by trying every place.
"""

import csv
import gzip
import re
from itertools import pairwise

AMINO_ACIDS = {
    "Ala": "GCT GCC GCA GCG", "Arg": "CGT CGC CGA CGG AGA AGG", "Asn": "AAT AAC", "Asp": "GAT GAC",
    "Cys": "TGT TGC", "Gln": "CAA CAG", "Glu": "GAA GAG", "Gly": "GGT GGC GGA GGG", "His": "CAT CAC",
    "Ile": "ATT ATC ATA", "Leu": "TTA TTG CTT CTC CTA CTG", "Lys": "AAA AAG", "Met": "ATG",
    "Phe": "TTT TTC", "Pro": "CCT CCC CCA CCG", "Ser": "TCT TCC TCA TCG AGT AGC",
    "Thr": "ACT ACC ACA ACG", "Trp": "TGG", "Tyr": "TAT TAC", "Val": "GTT GTC GTA GTG",
    "Ter": "TAA TAG TGA",
}  # fmt: skip
RESIDUE_OF = {codon: name for name, codons in AMINO_ACIDS.items() for codon in codons.split()}
PAIR = {"A": "T", "T": "A", "C": "G", "G": "C", "N": "N"}
NAME = re.compile(
    r"[^:]+:[cngm]\.([-*]?\d+(?:[+-]\d+)?)(?:_([-*]?\d+(?:[+-]\d+)?))?"
    r"(?:([ACGTN])>([ACGTN])|delins([ACGTN]+)|(del)|(dup)|ins([ACGTN]+))"
)


def other_strand(bases):
    return "".join(PAIR[base] for base in reversed(bases))


def contigs(path):
    found, name = {}, None
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            if line.startswith(">"):
                name = line[1:].split()[0]
                found[name] = []
            else:
                found[name].append(line.strip().upper())
    return {name: "".join(parts) for name, parts in found.items()}


def genes(path):
    """Strand, exons and coding segments (1-based, closed, ascending) by gene of the panel's GFF3."""
    found = {}
    with path.open() as file:
        for cells in csv.reader(file, delimiter="\t"):
            if len(cells) == 9 and cells[2] in ("exon", "CDS"):
                gene = found.setdefault(cells[0], {"strand": cells[6], "exon": [], "CDS": []})
                gene[cells[2]].append((int(cells[3]), int(cells[4])))
    for gene in found.values():
        gene["exon"].sort()
        gene["CDS"].sort()
    return found


class Genome(dict):
    """Written g. positions → themselves."""

    def __missing__(self, key):
        return int(key)


def written_positions(gene, reach=300):
    """Every c. position of a gene → 1-based position on its contig, introns up to ``reach`` from an exon."""
    forward = gene["strand"] == "+"
    exonic = [p for a, b in gene["exon"] for p in range(a, b + 1)]
    if not forward:
        exonic.reverse()
    coding = {p for a, b in gene["CDS"] for p in range(a, b + 1)}
    first = next(i for i, p in enumerate(exonic) if p in coding)
    total = len(coding)
    names = {}
    for i, p in enumerate(exonic):
        number = i - first
        if number < 0:
            names[p] = f"-{-number}"
        else:
            names[p] = str(number + 1) if number < total else f"*{number - total + 1}"
    table = {name: p for p, name in names.items()}
    for (_, left), (right, _) in pairwise(gene["exon"]):
        inside = list(range(left + 1, right))
        before, after = (left, right) if forward else (right, left)
        if not forward:
            inside.reverse()
        half = (len(inside) + 1) // 2
        for k, p in enumerate(inside[:half][:reach], start=1):
            table[f"{names[before]}+{k}"] = p
        for k, p in enumerate(reversed(inside[half:][-reach:]), start=1):
            table[f"{names[after]}-{k}"] = p
    return table


def applied(name, table, contig, forward=True):
    """The contig after the change that a name describes; ``table`` maps written positions."""
    first, last, _, base, replaced, deleted, doubled, inserted = NAME.fullmatch(name).groups()
    ends = sorted((table[first], table[last or first]))
    left, right = ends[0] - 1, ends[1]
    new = base or replaced or inserted or ""
    if not forward:
        new = other_strand(new)
    if inserted:
        assert right - left == 2, "an insertion names the two bases beside it"
        return contig[: left + 1] + new + contig[right - 1 :]
    if doubled:
        return contig[:right] + contig[left:right] + contig[right:]
    return contig[:left] + ("" if deleted else new) + contig[right:]


def places(contig, start, ref, alt):
    """Every place (0-based start, allele) at which an insertion or deletion gives the same contig."""
    mutated = contig[:start] + alt + contig[start + len(ref) :]
    size = abs(len(ref) - len(alt))
    found = []
    for at in range(max(start - 150, 0), min(start + 150, len(contig)) + 1):
        if len(ref) > len(alt):
            piece, same = contig[at : at + size], contig[:at] + contig[at + size :]
        else:
            piece = mutated[at : at + size]
            same = contig[:at] + piece + contig[at:]
        if same == mutated and len(piece) == size:
            found.append((at, piece))
    return found


def expected_shape(contig, start, ref, alt, forward):
    """Kind of change and 0-based ``[left, right)`` of the bases that its name must give."""
    while ref and alt and ref[0] == alt[0]:
        ref, alt, start = ref[1:], alt[1:], start + 1
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    if ref and alt:
        return ("sub" if len(ref) == len(alt) == 1 else "delins"), start, start + len(ref)
    every = places(contig, start, ref, alt)
    at, piece = max(every) if forward else min(every)
    if ref:
        return "del", at, at + len(piece)
    before = contig[at - len(piece) : at] if forward else contig[at : at + len(piece)]
    if before == piece:
        return "dup", *((at - len(piece), at) if forward else (at, at + len(piece)))
    return "ins", at - 1, at + 1


def protein(coding):
    """Residues of a coding sequence up to its stop, as three-letter words; None for a codon with N."""
    words = []
    for i in range(0, len(coding) - 2, 3):
        words.append(RESIDUE_OF.get(coding[i : i + 3]))
        if words[-1] in ("Ter", None):
            break
    return words


def protein_after(name, words):
    """The residues after the change that a p. name describes; for a shifted frame what is known of it.

    Returns the words and, for ``fsTer`` and ``ext``, the 1-based place of the new stop (None: not known).
    """
    change = name.split(":p.")[1]
    match = re.fullmatch(r"Ter(\d+)([A-Z][a-z]{2})extTer(\d+|\?)", change)
    if match:
        assert int(match[1]) == len(words)
        stop = None if match[3] == "?" else int(match[1]) + int(match[3])
        return [*words[:-1], match[2]], stop
    match = re.fullmatch(r"([A-Z][a-z]{2})(\d+)([A-Z][a-z]{2})fsTer(\d+|\?)", change)
    if match:
        at = int(match[2])
        assert words[at - 1] == match[1]
        return [*words[: at - 1], match[3]], None if match[4] == "?" else at + int(match[4]) - 1
    match = re.fullmatch(
        r"([A-Z][a-z]{2})(\d+)(?:_([A-Z][a-z]{2})(\d+))?(=|delins|del|dup|ins)?((?:[A-Z][a-z]{2})*)", change
    )
    first, last = int(match[2]), int(match[4] or match[2])
    assert words[first - 1] == match[1]
    assert not match[3] or words[last - 1] == match[3]
    new = re.findall("...", match[6])
    kind = match[5]
    if kind == "=":
        after = list(words)
    elif kind == "ins":
        assert last == first + 1
        after = words[:first] + new + words[first:]
    elif kind == "dup":
        after = words[:last] + words[first - 1 : last] + words[last:]
    else:
        after = words[: first - 1] + new + words[last:]
    if "Ter" in after:
        after = after[: after.index("Ter") + 1]
    return after, len(after)
