"""Insertions and deletions: named leftmost, counted once, ends that hide them realigned."""

import pysam
import pytest

from molecule_reads import READ_NT, Library, evidence_of, made_up_bases, write_reference
from pipeline.variants.evidence import DELETED, Allele, ObservationFlag, StrandClass
from pipeline.variants.molecules import MoleculeSettings

LEFT, RIGHT = made_up_bases(1500, 4)[:-1] + "C", "C" + made_up_bases(1500, 5)[1:]
BASES = f"{LEFT}AAAAAAAAG{RIGHT}"  # the run of A begins at 1500
RUN = 1500


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return write_reference(tmp_path_factory.mktemp("reference") / "ref.fa", {"1": BASES})


def gapped(library, start, length, umi, cigars, bases, *, strand=0):
    """A pair whose mates have these CIGARs and bases."""
    library.pair(start, length, umi, strand=strand)
    for row, cigar, text in zip(library.rows[-2:], cigars, bases, strict=True):
        row.query_sequence = text
        row.query_qualities = pysam.qualitystring_to_array("F" * len(text))
        row.cigarstring = cigar


def without(start, size, at, gone):
    """``size`` bases from ``start`` of a molecule that lost ``gone`` bases from ``at``."""
    text = BASES[start:at] + BASES[at + gone :]
    return text[:size]


def deletion_molecule(library, start, umi, at, gone, *, strands=(0, 1)):
    """Fragments whose left mate shows the deletion in its middle, wherever the aligner put it."""
    for strand in strands:
        front = at - start
        text = without(start, READ_NT, at, gone)
        end = start + 150
        gapped(library, start, 150, umi, [f"{front}M{gone}D{READ_NT - front}M", f"{READ_NT}M"],
               [text, BASES[end - READ_NT : end]], strand=strand)  # fmt: skip


def test_a_deletion_in_a_run_is_named_leftmost_and_seen_on_both_strands(reference, tmp_path):
    library = Library(BASES)
    deletion_molecule(library, RUN - 30, "ACGT-TTGA", RUN + 5, 2)  # put into the middle of the run
    deletion_molecule(library, RUN - 31, "ACGT-TTGA", RUN, 2)
    library.molecule(RUN - 32, 150)
    [evidence] = evidence_of(library.write(tmp_path / "x.bam"), reference, [(RUN - 50, RUN + 50)])
    before = BASES[RUN - 1]
    assert evidence.alleles == (Allele(position=RUN - 1, ref=f"{before}AA", alt=before),)
    assert evidence.observations["strand_class"].tolist() == [StrandClass.DUPLEX] * 2
    assert evidence.spanning[49].tolist() == [0, 0, 0, 0, 3]
    assert evidence.counts[:, DELETED].sum() == 4  # two bases of two molecules


def test_a_read_that_ends_in_a_run_cannot_tell_its_length(reference, tmp_path):
    library = Library(BASES)
    library.pair(RUN - READ_NT + 4, 60, "ACGT-TTGA")
    [evidence] = evidence_of(library.write(tmp_path / "x.bam"), reference, [(RUN - 50, RUN + 50)])
    assert evidence.counts[49].sum() == 1
    assert evidence.spanning[49].sum() == 0


@pytest.mark.parametrize("inserted", ["T", "GATTACA", "ACGTTGCA" * 5])
def test_an_insertion_is_spelled_out(reference, tmp_path, inserted):
    library = Library(BASES)
    at, start = 1400, 1380
    text = (BASES[start:at] + inserted + BASES[at : at + READ_NT])[: READ_NT + 20]
    if len(text) - 20 - len(inserted) < 10:
        text = BASES[start:at] + inserted + BASES[at : at + 20]
    cigar = f"20M{len(inserted)}I{len(text) - 20 - len(inserted)}M"
    gapped(library, start, 150, "ACGT-TTGA", [cigar, f"{READ_NT}M"], [text, BASES[1470:1530]])
    [evidence] = evidence_of(library.write(tmp_path / "x.bam"), reference, [(1350, 1450)])
    [allele] = evidence.alleles
    haplotype = BASES[: allele.position] + allele.alt + BASES[allele.position + len(allele.ref) :]
    assert haplotype == BASES[:at] + inserted + BASES[at:]
    assert evidence.observations[0]["end_distance"] <= 20


def test_an_indel_in_both_overlapping_mates_counts_once(reference, tmp_path):
    library = Library(BASES)
    start, at = 1380, 1410
    text = without(start, READ_NT, at, 3)
    gapped(library, start, READ_NT + 3, "ACGT-TTGA", ["30M3D30M", "30M3D30M"], [text, text])
    library.rows[-1].reference_start = start
    [evidence] = evidence_of(library.write(tmp_path / "x.bam"), reference, [(1350, 1450)])
    [row] = evidence.observations
    assert (row["alt_forward"], row["strand_class"]) == (1, StrandClass.SINGLE_FORWARD)
    assert (row["mapped_forward"], row["mapped_reverse"]) == (1, 1)


def test_read_ends_that_hide_a_known_deletion_are_realigned(reference, tmp_path):
    """Two molecules show it by CIGAR; of two more the read ends behind it: as mismatches, as a clip."""
    library = Library(BASES)
    at, gone = 1400, 4
    for start in (1370, 1371):
        deletion_molecule(library, start, "ACGT-TTGA", at, gone, strands=(0,))
    start = at - READ_NT + 8  # eight bases lie behind the deletion
    text = without(start, READ_NT, at, gone)
    far = BASES[start + 90 : start + 150]
    gapped(library, start, 150, "CCCC-GGGG", [f"{READ_NT}M", f"{READ_NT}M"], [text, far])
    start -= 4  # twelve do
    text = without(start, READ_NT + 8, at, gone)[: READ_NT + 8]
    gapped(library, start, 150, "CCCC-GGGG", [f"{at - start}M{len(text) - at + start}S", f"{READ_NT}M"],
           [text, BASES[start + 90 : start + 150]])  # fmt: skip
    [evidence] = evidence_of(library.write(tmp_path / "x.bam"), reference, [(1350, 1450)])
    assert [len(a.ref) - len(a.alt) for a in evidence.alleles] == [gone]  # and no substitution
    flags = evidence.observations["flags"]
    assert len(flags) == 4
    assert ((flags & ObservationFlag.REALIGNED) > 0).sum() == 2


def test_a_molecule_with_a_true_substitution_beside_a_known_indel_keeps_it(reference, tmp_path):
    library = Library(BASES)
    at, gone = 1400, 4
    for start in (1370, 1371):
        deletion_molecule(library, start, "ACGT-TTGA", at, gone, strands=(0,))
    site = 1406
    new = "ACGT"[("ACGT".index(BASES[site]) + 1) % 4]
    library.pair(1375, 150, "AAAA-TTTT",
                 change=lambda t, mate: t if mate else t[: site - 1375] + new + t[site - 1374 :])  # fmt: skip
    [evidence] = evidence_of(library.write(tmp_path / "x.bam"), reference, [(1350, 1450)])
    assert Allele(position=site, ref=BASES[site], alt=new) in evidence.alleles
    assert len(evidence.observations) == 3


def test_a_family_of_thousands_and_a_place_full_of_umis_stay_cheap(reference, tmp_path):
    """Every UMI of four bases taken at one place, and 3,000 reads of one molecule at another."""
    library = Library(BASES)
    for k in range(256):
        umi = "".join("ACGT"[k >> (2 * i) & 3] for i in range(4))
        for _ in range(4):
            library.pair(1200, 100, umi)
    for _ in range(3000):
        library.pair(1400, 100, "ACGT")
    path = library.write(tmp_path / "x.bam")
    crowd, family = evidence_of(path, reference, [(1220, 1230), (1420, 1430)], MoleculeSettings())
    assert crowd.molecules == 256  # neighbours by chance, as common as each other
    assert family.molecules == 1
    assert family.reads.tolist() == [3000] * 10
