"""From BAM to evidence: what is counted, under which class, and that nothing else changes it."""

from dataclasses import replace

import numpy as np
import pysam
import pytest

from molecule_reads import (
    COMPLEMENT,
    READ_NT,
    Library,
    at,
    evidence_of,
    made_up_bases,
    other_base,
    write_reference,
)
from pipeline.variants.evidence import NO_CALL, Allele, ObservationFlag, SiteEvidence, StrandClass
from pipeline.variants.molecules import MoleculeSettings, ReadTally, UmiSource

BASES = made_up_bases(3000)
SITE = 1050
REF = BASES[SITE]
ALT = other_base(REF)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return write_reference(tmp_path_factory.mktemp("reference") / "ref.fa", {"1": BASES})


def look(library, reference, folder, settings=None, targets=((1000, 1100),), **options):
    path = library.write(folder / "reads.bam")
    return evidence_of(path, reference, targets, settings, **options)


def same(one: list[SiteEvidence], other: list[SiteEvidence]) -> bool:
    """Whether two lists hold the same evidence, however it is cut into windows."""
    return str(flat(one)) == str(flat(other))


def flat(windows):
    sites, rows = [], []
    for w in windows:
        for i in range(w.sites):
            place = w.contig, w.start + i, w.reference[i]
            sites.append((place, w.counts[i].tolist(), w.reads[i].item(), w.spanning[i].tolist()))
        for row in w.observations:
            values = [row[name].item() for name in row.dtype.names if name not in ("allele", "molecule")]
            rows.append((w.alleles[row["allele"]], sorted(zip(row.dtype.names[2:], values, strict=True))))
    return sites, sorted(rows)


def counted(evidence, base):
    """Molecules that show a base at SITE, by class."""
    return evidence.counts[SITE - evidence.start, "ACGT".index(base)].tolist()


def test_molecules_count_under_the_class_that_their_strands_give(reference, tmp_path):
    library = Library(BASES)
    for k, reads in enumerate([(1, 0), (0, 1), (3, 0), (0, 2), (1, 1), (2, 5)]):
        library.molecule(1000 + k, 120, reads=reads)
    [evidence] = look(library, reference, tmp_path)
    assert counted(evidence, REF) == [1, 1, 1, 1, 2]
    assert evidence.reads[SITE - 1000] == 16
    assert evidence.depth_molecules()[SITE - 1000] == 6
    assert len(evidence.observations) == 0


def test_a_variant_of_both_strands_is_one_duplex_observation(reference, tmp_path):
    library = Library(BASES)
    change = at(SITE, 1000, 120, ALT)
    library.molecule(1000, 120, reads=(2, 3), changes=(change, change))
    library.molecule(1001, 120, reads=(1, 1))
    [evidence] = look(library, reference, tmp_path)
    assert evidence.alleles == (Allele(position=SITE, ref=REF, alt=ALT),)
    [row] = evidence.observed(0)
    assert row["strand_class"] == StrandClass.DUPLEX
    assert (row["reads_forward"], row["reads_reverse"]) == (2, 3)
    assert (row["alt_forward"], row["alt_reverse"]) == (2, 3)
    assert row["end_distance"] == 50
    assert row["llr_forward"] == pytest.approx(2 * np.log(3 * (1 - 3e-4) / 3e-4), abs=0.1)
    assert row["mapping_quality"] == 60
    assert row["mismatches"] == 0


def test_damage_of_one_strand_is_no_call_but_is_seen(reference, tmp_path):
    library = Library(BASES)
    library.molecule(1000, 120, reads=(2, 2), changes=(at(SITE, 1000, 120, ALT), None))
    [evidence] = look(library, reference, tmp_path)
    assert evidence.counts[SITE - 1000, NO_CALL].tolist() == [0, 0, 0, 0, 1]
    assert evidence.strand_disagreements[SITE - 1000, "ACGT".index(ALT)].tolist() == [1, 0]
    assert evidence.strand_disagreements.sum() == 1
    assert len(evidence.observations) == 0


def test_a_sequencing_error_of_one_read_is_outvoted(reference, tmp_path):
    library = Library(BASES)
    library.molecule(1000, 120, reads=(3, 0))
    library.pair(1000, 120, change=at(SITE, 1000, 120, ALT))
    [evidence] = look(library, reference, tmp_path)
    assert counted(evidence, REF) == [0, 0, 1, 0, 0]
    assert len(evidence.observations) == 0


def test_overlapping_mates_are_one_read_and_their_disagreement_none(reference, tmp_path):
    library = Library(BASES)
    library.pair(1020, 70)  # both mates cover SITE
    library.pair(1021, 70, change=lambda text, mate: text if mate else at(SITE, 1021, 70, ALT)(text, mate))
    [evidence] = look(library, reference, tmp_path)
    assert counted(evidence, REF) == [1, 0, 0, 0, 0]
    assert evidence.reads[SITE - 1000] == 2
    assert evidence.counts[SITE - 1000, NO_CALL].sum() == 1


def test_the_better_of_two_differing_mates_is_believed_and_flagged(reference, tmp_path):
    library = Library(BASES)
    library.pair(1020, 70, change=at(SITE, 1020, 70, ALT))
    second = library.rows[-1]
    qualities = second.query_qualities
    second.query_sequence = BASES[second.reference_start : second.reference_start + READ_NT]
    qualities[SITE - second.reference_start] = 7
    second.query_qualities = qualities
    [evidence] = look(library, reference, tmp_path)
    [row] = evidence.observations
    assert row["flags"] & ObservationFlag.MATES_DISAGREE
    assert (row["mapped_forward"], row["mapped_reverse"]) == (1, 0)


def test_umis_tell_molecules_of_one_place_apart(reference, tmp_path):
    library = Library(BASES)
    library.molecule(1000, 120, "AAAA-CCCC")
    library.molecule(1000, 120, "GGTT-CCAA")
    [evidence] = look(library, reference, tmp_path)
    assert counted(evidence, REF) == [0, 0, 0, 0, 2]


@pytest.mark.parametrize(("edits", "molecules"), [(0, 2), (1, 1)])
def test_a_misread_umi_joins_the_one_it_comes_from(reference, tmp_path, edits, molecules):
    library = Library(BASES)
    library.molecule(1000, 120, "ACGTAC-TTGACA", reads=(4, 4))
    library.pair(1000, 120, "ACGTAC-TTGACC")
    [evidence] = look(library, reference, tmp_path, MoleculeSettings(umi_edits=edits))
    assert evidence.molecules == molecules


def test_two_common_umis_one_base_apart_stay_two_molecules(reference, tmp_path):
    library = Library(BASES)
    library.molecule(1000, 120, "ACGTAC-TTGACA", reads=(4, 4))
    library.molecule(1000, 120, "ACGTAC-TTGACC", reads=(4, 4))
    [evidence] = look(library, reference, tmp_path)
    assert evidence.molecules == 2


def test_without_umis_fragment_ends_tell_molecules_apart_and_none_is_duplex(reference, tmp_path):
    library = Library(BASES)
    for start in (1000, 1000, 1001):
        library.pair(start, 120, None)
    library.pair(1000, 120, None, strand=1)
    [evidence] = look(library, reference, tmp_path, MoleculeSettings(umi=UmiSource(kind="none")))
    assert counted(evidence, REF) == [1, 1, 1, 0, 0]
    assert not evidence.has_umis


def test_without_umis_an_amplicon_counts_its_pairs(reference, tmp_path):
    """Primers set the ends of all its molecules; 101 copies of one molecule are not believed."""
    library = Library(BASES)
    for number in range(101):
        library.pair(1000, 120, None, change=at(SITE, 1000, 120, ALT) if number < 3 else None)
    for _ in range(100):
        library.pair(1010, 120, None)
    [evidence] = look(library, reference, tmp_path, MoleculeSettings(umi=UmiSource(kind="none")))
    assert counted(evidence, REF) == [98, 0, 1, 0, 0]
    assert counted(evidence, ALT) == [3, 0, 0, 0, 0]


def test_a_umi_with_n_is_dropped_and_counted(reference, tmp_path):
    library, tally = Library(BASES), ReadTally()
    library.molecule(1000, 120)
    library.pair(1001, 120, "ACNT-TTGA")
    [evidence] = look(library, reference, tmp_path, tally=tally)
    assert evidence.molecules == 1
    assert tally.alignments["umi_with_n"] == 2
    assert tally.alignments["kept"] == 4
    assert tally.fragments == 2


def test_badly_mapped_reads_are_no_evidence_but_counted(reference, tmp_path):
    library = Library(BASES)
    library.molecule(1000, 120)
    library.pair(1030, 100, mapping_quality=3)
    [evidence] = look(library, reference, tmp_path)
    assert evidence.reads[SITE - 1000] == 2
    assert evidence.low_mapping[SITE - 1000] == 1


def test_unmapped_secondary_and_failed_alignments_are_dropped_and_counted(reference, tmp_path):
    library, tally = Library(BASES), ReadTally()
    library.molecule(1000, 120)
    for flag in (256, 2048, 512):
        library.pair(1010, 100)
        for row in library.rows[-2:]:
            row.flag |= flag
    [evidence] = look(library, reference, tmp_path, tally=tally)
    assert evidence.molecules == 1
    assert (tally.alignments["not_primary"], tally.alignments["failed_qc"]) == (4, 2)


def test_inline_umis_are_no_evidence(reference, tmp_path):
    """Four bases of each mate are UMI: they never vote, wherever the aligner put them."""
    library = Library(BASES)
    umi = "GGCA"

    def change(text, mate):
        return umi + text[4:] if mate == 0 else text[:-4] + umi.translate(COMPLEMENT)[::-1]

    for _ in range(2):
        library.pair(1000, 150, None, change=change)
    [evidence] = look(library, reference, tmp_path, MoleculeSettings(umi=UmiSource.parse("inline:4+4")),
                      targets=[(990, 1160)])  # fmt: skip
    assert len(evidence.observations) == 0
    covered = np.flatnonzero(evidence.reads) + 990
    assert (covered.min(), covered.max()) == (1004, 1145)
    assert evidence.molecules == 1


def test_umis_at_the_end_of_names(reference, tmp_path):
    library = Library(BASES)
    for k, umi in enumerate(("AAAA", "AAAA", "CCGG")):
        library.pair(1000, 120, None)
        for row in library.rows[-2:]:
            row.query_name = f"run:1:{k}:{umi}"
    [evidence] = look(library, reference, tmp_path, MoleculeSettings(umi=UmiSource.parse("header")))
    assert counted(evidence, REF) == [1, 0, 1, 0, 0]


def test_every_target_site_comes_once_covered_or_not(reference, tmp_path):
    library = Library(BASES)
    library.molecule(1000, 120)
    windows = look(library, reference, tmp_path, targets=[(10, 20), (1000, 1100), (2990, 3000)])
    assert [(w.start, w.end) for w in windows] == [(10, 20), (1000, 1100), (2990, 3000)]
    assert windows[0].counts.sum() == 0
    assert windows[2].reference == BASES[2990:]


@pytest.fixture(scope="module")
def crowd():
    """Some hundred molecules over the contig, with errors of every kind."""
    library = Library(BASES)
    rng = np.random.default_rng(3)

    def spoiled(text, mate):
        letters = list(text)
        for k in np.flatnonzero(rng.random(len(text)) < 0.01):
            letters[k] = other_base(letters[k], int(rng.integers(1, 4)))
        return "".join(letters)

    for _ in range(150):
        start, length = int(rng.integers(50, 2700)), int(rng.integers(80, 200))
        umi = made_up_bases(6, int(rng.integers(1 << 30)))
        reads = (int(rng.integers(0, 3)), int(rng.integers(0, 3)))
        library.molecule(start, length, f"{umi[:3]}-{umi[3:]}", reads=reads, changes=(spoiled, spoiled))
    return library


@pytest.fixture(scope="module")
def crowd_evidence(crowd, reference, tmp_path_factory):
    path = crowd.write(tmp_path_factory.mktemp("crowd") / "reads.bam")
    return path, evidence_of(path, reference, [(100, 900), (1200, 2900)])


def test_windows_cut_by_load_change_nothing(crowd_evidence, reference):
    path, whole = crowd_evidence
    settings = MoleculeSettings(records_at_once=40, max_fragment_nt=210)
    cut = evidence_of(path, reference, [(100, 900), (1200, 2900)], settings)
    assert len(cut) > len(whole)
    assert same(cut, whole)


def test_order_of_input_changes_nothing(crowd, crowd_evidence, reference, tmp_path):
    _, whole = crowd_evidence
    unsorted = replace(crowd, order="unsorted")
    path = unsorted.write(tmp_path / "shuffled.bam", shuffled=5)
    assert same(evidence_of(path, reference, [(100, 900), (1200, 2900)]), whole)


def test_threads_change_nothing(crowd_evidence, reference):
    path, whole = crowd_evidence
    once, thrice = ReadTally(), ReadTally()
    for threads, tally in ((1, once), (3, thrice)):
        assert same(
            evidence_of(path, reference, [(100, 900), (1200, 2900)], threads=threads, tally=tally), whole
        )
    assert once == thrice
    assert once.alignments["kept"] > 500


def test_a_file_without_index_is_read_all_the_same(crowd, crowd_evidence, reference, tmp_path):
    _, whole = crowd_evidence
    path = crowd.write(tmp_path / "bare.bam", index=False)
    assert same(evidence_of(path, reference, [(100, 900), (1200, 2900)]), whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bare.bam"]


def test_cram_gives_what_bam_gives(crowd_evidence, reference, tmp_path):
    path, whole = crowd_evidence
    cram = tmp_path / "reads.cram"
    pysam.view("-C", "-T", str(reference), "-o", str(cram), str(path), catch_stdout=False)
    assert same(evidence_of(cram, reference, [(100, 900), (1200, 2900)]), whole)


def test_counts_equal_those_of_a_plain_routine(crowd, crowd_evidence):
    """The twin knows each read's molecule by its ends and UMI; the UMIs here are not misread."""
    _, whole = crowd_evidence
    expected = plain_counts(crowd)
    for window in whole:
        for i in range(window.sites):
            wanted = expected.get(window.start + i, np.zeros((6, 5), dtype=int))
            assert window.counts[i].tolist() == wanted.tolist(), window.start + i


def plain_counts(library):
    """Molecules by base and class at each position, from the rows, one vote at a time."""
    pairs: dict[str, list] = {}
    for row in library.rows:
        pairs.setdefault(row.query_name, []).append(row)
    votes: dict[tuple, dict] = {}
    for left, right in pairs.values():
        strand = 0 if left.is_read1 else 1
        umi = left.get_tag("RX").split("-")
        key = (left.reference_start, right.reference_end, *(umi if strand == 0 else umi[::-1]))
        for position, base, quality in merged(left, right):
            error = 0.75 if quality is None else 10 ** (-quality / 10) + 1e-4
            weight = np.log((1 - error) / (error / 3))
            site = votes.setdefault(key, {}).setdefault(position, [{}, {}])
            site[strand].setdefault(base, []).append(weight)
    counts: dict[int, np.ndarray] = {}
    for sites in votes.values():
        for position, strands in sites.items():
            base, seen = called(strands)
            counts.setdefault(position, np.zeros((6, 5), dtype=int))[base, seen] += 1
    return counts


def merged(left, right):
    """One base and quality a position; none where equally good mates differ (depth without a vote)."""
    bases = dict(enumerate(left.query_sequence, left.reference_start))
    for position, base in enumerate(right.query_sequence, right.reference_start):
        if position not in bases:
            bases[position] = base
            yield position, base, 37
        elif bases[position] == base:
            del bases[position]
            yield position, base, 74
        else:
            del bases[position]
            yield position, "-", None
    yield from ((position, base, 37) for position, base in bases.items() if position < right.reference_start)


def called(strands):
    best, reads = [None, None], [sum(map(len, s.values())) for s in strands]
    for s, votes in enumerate(strands):
        sums = [*sorted(((sum(w), b) for b, w in votes.items()), reverse=True), (0.0, "-")]
        if votes and sums[0][0] - sums[1][0] >= 5.5:
            best[s] = sums[0][1]
    seen = [r if b else 0 for r, b in zip(reads, best, strict=True)]
    if (best[0] and best[1] and best[0] != best[1]) or not any(best):
        return NO_CALL, class_of(*reads)
    return "ACGT".index(best[0] or best[1]), class_of(*seen)


def class_of(forward, reverse):
    if forward and reverse:
        return StrandClass.DUPLEX
    return (2 if forward > 1 else 0) if forward else (3 if reverse > 1 else 1)
