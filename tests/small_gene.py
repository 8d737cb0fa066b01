"""A made-up gene of three exons on either strand, written as FASTA and GFF3."""

import pysam

from variant_names import other_strand

# 5' UTR AACT, then ATG GCT AAA AAA G|AA CGT CGT CGT CTT TGG GTG G|CA TTG TAA and the 3' UTR
EXONS = ("AACTATGGCTAAAAAAG", "AACGTCGTCGTCTTTGGGTGG", "CATTGTAACCCTGACCTAGA")
INTRONS = ("GTAAGTCCTACCTTTCCTTTCAG", "GTGAGTTTTCTTACAG")  # 23 bases (odd) and 16
FLANK = "TTCGATCGTACCGGATAGCA"
GENE = FLANK + EXONS[0] + INTRONS[0] + EXONS[1] + INTRONS[1] + EXONS[2] + FLANK


def at(written):
    """0-based place on the gene's own strand of c. position 1 to 42."""
    within, start = written + 3, len(FLANK)
    for exon, intron in zip(EXONS, (*INTRONS, ""), strict=True):
        if within < len(exon):
            break
        within -= len(exon)
        start += len(exon) + len(intron)
    return start + within


def write_fasta(path, contigs):
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    pysam.faidx(str(path))
    return path


def gff3_lines(strand="+", contig="one", gene="GENE1", transcript="T1.2", tag="", coding=True):
    """The gene's lines; on the minus strand for the contig's other strand."""
    pieces, start = [], len(FLANK)
    for exon, intron in zip(EXONS, (*INTRONS, ""), strict=True):
        pieces.append(("exon", start, start + len(exon), "."))
        start += len(exon) + len(intron)
    if coding:
        pieces.append(("CDS", pieces[0][1] + 4, pieces[0][2], "0"))
        pieces.append(("CDS", pieces[1][1], pieces[1][2], "2"))
        pieces.append(("CDS", pieces[2][1], pieces[2][1] + 8, "2"))
    whole = (len(FLANK), len(GENE) - len(FLANK), ".")
    rows = [("gene", *whole, f"ID=gene:{gene};Name={gene}")]
    attributes = f"ID=transcript:{transcript};Parent=gene:{gene}" + (f";tag={tag}" if tag else "")
    rows.append(("mRNA", *whole, attributes))
    part = f"Parent=transcript:{transcript};protein_id=P1"
    rows += [(*piece, part) for piece in pieces]
    lines = []
    for kind, left, right, phase, text in rows:
        if strand == "-":
            left, right = len(GENE) - right, len(GENE) - left
        lines.append("\t".join([contig, "x", kind, str(left + 1), str(right), ".", strand, phase, text]))
    return lines


def write_gff3(path, *blocks):
    path.write_text("##gff-version 3\n" + "".join(f"{line}\n" for block in blocks for line in block))
    return path


def on_plus(strand, start, ref, alt):
    """POS, REF and ALT in VCF of a change given on the gene's own strand (0-based ``start``)."""
    if strand == "+":
        return start + 1, ref, alt
    return len(GENE) - start - len(ref) + 1, other_strand(ref), other_strand(alt)


def contig_of(strand):
    return GENE if strand == "+" else other_strand(GENE)
