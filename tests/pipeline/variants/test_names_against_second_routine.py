"""Names of generated variants of every class, read back and compared with what they came from."""

import re

import numpy as np
import pytest

from pipeline.variants.effect import Annotator
from pipeline.variants.gene_models import read_gene_models
from pipeline.variants.reference import Reference
from references import reference
from variant_names import (
    RESIDUE_OF,
    Genome,
    applied,
    contigs,
    expected_shape,
    genes,
    other_strand,
    protein,
    protein_after,
    written_positions,
)

CLASSES = ("snv", "mnv", "ins", "dup", "del", "delins", "repeat")
EACH = 1000  # of a class: 7,000 in all
WINDOW_NT = 400


@pytest.fixture(scope="module")
def panel():
    fasta, gff3 = reference("chip_reference", "panel51.fa.gz"), reference("chip_reference", "panel51.gff3")
    bases = Reference(fasta)
    return Annotator(bases, read_gene_models(gff3, reference=bases)), contigs(fasta), genes(gff3)


def coding_order(gene):
    """1-based positions of the coding bases in reading order, and of the 3' UTR after them."""
    forward = gene["strand"] == "+"
    coding = sorted((p for a, b in gene["CDS"] for p in range(a, b + 1)), reverse=not forward)
    exonic = sorted((p for a, b in gene["exon"] for p in range(a, b + 1)), reverse=not forward)
    return coding, exonic[exonic.index(coding[-1]) + 1 :]


class Spliced:
    """A gene's coding bases and those behind, read out once, and where each coding base stands."""

    def __init__(self, gene, contig):
        forward = gene["strand"] == "+"
        coding, utr = coding_order(gene)
        self.number = {position: i for i, position in enumerate(coding)}
        self.coding, self.behind = read_out(contig, coding, forward), read_out(contig, utr, forward)
        self.words = protein(self.coding)


@pytest.fixture(scope="module")
def spliced(panel):
    _, sequences, models = panel
    return {name: Spliced(gene, sequences[name]) for name, gene in models.items()}


def read_out(contig, positions, forward):
    bases = "".join(contig[p - 1] for p in positions)
    return bases if forward else "".join(other_strand(b) for b in bases)


def drawn(kind, rng, contig, gene):
    """A variant near or inside an exon: 0-based start, REF and ALT, not trimmed; bases around it known."""
    while True:
        left, right = gene["exon"][rng.integers(len(gene["exon"]))]
        if rng.random() < 0.5:  # at an edge of the exon
            at = int((left - 1 if rng.random() < 0.5 else right) + rng.integers(-8, 9))
        else:
            at = int(rng.integers(left - 1, right))
        at, ref, alt = alleles(kind, rng, contig, at)
        pad = int(rng.integers(1, 4))
        start = at - pad
        after = int(rng.integers(0, 3))
        whole = contig[start : at + len(ref) + after]
        if (
            ref != alt
            and "N" not in whole + alt
            and gene["exon"][0][0] + 9 < start < gene["exon"][-1][1] - 20
        ):
            behind = contig[at + len(ref) : at + len(ref) + after]
            return start, whole, contig[start:at] + alt + behind


def alleles(kind, rng, contig, at):
    def some(length):
        return "".join(rng.choice(list("ACGT"), length))

    size = int(rng.integers(1, 8))
    if kind == "snv":
        return at, contig[at], some(1)
    if kind == "mnv":
        size = int(rng.integers(2, 4))
        return at, contig[at : at + size], some(size)
    if kind == "ins":
        return at, "", some(size)
    if kind == "dup":
        return at, "", contig[at - size : at]
    if kind == "del":
        return at, contig[at : at + size], ""
    if kind == "delins":
        return at, contig[at : at + size], some(int(rng.integers(1, 6)))
    unit = int(rng.integers(1, 4))  # a repeat: on to the next place where a unit stands twice
    while contig[at : at + unit] != contig[at + unit : at + 2 * unit]:
        at += 1
    copy = contig[at : at + unit]
    return (at, "", copy * int(rng.integers(1, 3))) if rng.random() < 0.5 else (at, copy, "")


def generated(panel, kind):
    """Variants of a class over all genes, with their effects."""
    annotator, sequences, models = panel
    rng = np.random.default_rng([20, CLASSES.index(kind)])
    names = sorted(models)
    for number in range(EACH):
        name = names[number % len(names)]
        start, ref, alt = drawn(kind, rng, sequences[name], models[name])
        yield name, start, ref, alt, annotator.effects(name, start + 1, ref, alt)[0]


@pytest.fixture(scope="module")
def tables(panel):
    return {name: written_positions(gene) for name, gene in panel[2].items()}


@pytest.mark.parametrize("kind", CLASSES)
def test_name_gives_back_the_mutated_genome_at_its_last_place(panel, tables, kind):
    _, sequences, models = panel
    unproven = 0
    for name, start, ref, alt, effect in generated(panel, kind):
        forward = models[name]["strand"] == "+"
        mutated = sequences[name][:start] + alt + sequences[name][start + len(ref) :]
        assert applied(effect.hgvs_c, tables[name], sequences[name], forward) == mutated, effect
        assert applied(effect.hgvs_g, Genome(), sequences[name]) == mutated, effect
        cut = max(start - WINDOW_NT, 0)
        window = sequences[name][cut : start + WINDOW_NT]
        if "position_unproven" in effect.notes:
            unproven += 1
            continue
        for written, table, direction in (
            (effect.hgvs_c, tables[name], forward),
            (effect.hgvs_g, Genome(), True),
        ):
            shape, left, right = expected_shape(window, start - cut, ref, alt, direction)
            assert shape_of(written, table) == (shape, left + cut, right + cut), (written, ref, alt)
    assert unproven <= 0.1 * EACH


def shape_of(name, table):
    first, last, kind = re.search(
        r"\.([-*\d+]+?)(?:_([-*\d+]+))?(>|[ACGT]>|delins|del|dup|ins)", name
    ).groups()
    ends = sorted((table[first], table[last or first]))
    return ("sub" if ">" in kind else kind), ends[0] - 1, ends[1]


@pytest.mark.parametrize("kind", CLASSES)
def test_protein_name_gives_back_the_translated_mutant(panel, spliced, kind):
    _, _, models = panel
    checked = 0
    for name, start, ref, alt, effect in generated(panel, kind):
        forward = models[name]["strand"] == "+"
        gene = spliced[name]
        inside = [p for p in range(start + 1, start + len(ref) + 1) if p not in gene.number]
        if inside or not any(a < start and start + len(ref) < b for a, b in models[name]["CDS"]):
            continue
        checked += 1
        before, words = gene.coding, gene.words
        at = gene.number[start + 1 if forward else start + len(ref)]
        new = alt if forward else other_strand(alt)
        after = before[:at] + new + before[at + len(ref) :] + gene.behind
        if after[:3] != before[:3]:
            assert effect.hgvs_p.endswith(":p.Met1?")
            continue
        expected = protein(after)
        if effect.hgvs_p is None:  # moved out of the coding sequence, behind the stop
            assert effect.terms == ("3_prime_UTR_variant",)
            assert expected == words
            continue
        if effect.hgvs_p.endswith(":p.?"):  # only where N comes before the first residue that differs
            assert expected[-1] is None
            assert expected[:-1] == words[: len(expected) - 1]
            continue
        found, stop = protein_after(effect.hgvs_p, words)
        if re.search("fsTer|extTer", effect.hgvs_p):
            assert expected[: len(found)] == found, effect
            assert stop == (len(expected) if expected[-1] == "Ter" else None), effect
            assert words[len(found) - 1] != found[-1]
        else:
            assert found == expected, effect
            assert_last_place(effect.hgvs_p, words)
    assert checked >= EACH // 4


def assert_last_place(name, words):
    """A deletion, duplication or insertion in a protein stands as far to its end as it can."""
    match = re.search(r"p\.\D+(\d+)(?:_\D+(\d+))?(del|dup|ins)(\w*)$", name)
    if match and not (match[3] == "del" and match[4]):
        first, last = int(match[1]), int(match[2] or match[1])
        moves = match[4][:3] if match[3] == "ins" else words[first - 1]
        behind = words[first] if match[3] == "ins" else words[last]
        assert moves != behind or behind == "Ter", name
        if match[3] == "ins":
            new = re.findall("...", match[4])
            assert words[first - len(new) : first] != new, name


def test_every_coding_base_goes_to_its_place_and_back(panel):
    annotator, _, models = panel
    bases = 0
    for transcript in annotator.models.transcripts:
        coding, _ = coding_order(models[transcript.gene])
        for number, position in enumerate(coding, start=1):
            place = transcript.read(str(number))
            assert transcript.genome(place) == position - 1
            assert transcript.place(position - 1) == place
            assert transcript.written(place) == str(number)
        bases += len(coding)
    assert bases == 139_908  # ../shared/notes/chip_genome.md, section 2


def snv_names(panel, name):
    """Every substitution of a gene's coding sequence: the name it gets and the one it must get."""
    annotator, sequences, models = panel
    forward = models[name]["strand"] == "+"
    coding, _ = coding_order(models[name])
    bases = read_out(sequences[name], coding, forward)
    for number, position in enumerate(coding):
        codon = bases[number - number % 3 : number - number % 3 + 3]
        residue = number // 3 + 1
        for alt in "ACGT".replace(bases[number], ""):
            on_plus = alt if forward else other_strand(alt)
            mutant = codon[: number % 3] + alt + codon[number % 3 + 1 :]
            effect = annotator.effects(name, position, sequences[name][position - 1], on_plus)[0]
            yield effect, expected_snv(RESIDUE_OF[codon], residue, RESIDUE_OF[mutant])


def expected_snv(old, residue, new):
    if residue == 1:
        return "Met1?", "start_lost"
    if old == new:
        return f"{old}{residue}=", "stop_retained_variant" if old == "Ter" else "synonymous_variant"
    if old == "Ter":
        return f"Ter{residue}{new}ext", "stop_lost"
    return f"{old}{residue}{new}", "stop_gained" if new == "Ter" else "missense_variant"


def assert_every_snv(panel, names):
    count = 0
    for name in names:
        for effect, (change, term) in snv_names(panel, name):
            found = effect.hgvs_p.split(":p.")[1]
            assert found == change or (change.endswith("ext") and found.startswith(change)), effect
            assert term in effect.terms
            count += 1
    return count


def test_every_substitution_of_two_genes_is_translated(panel):
    assert assert_every_snv(panel, ["KRAS", "NPM1"]) == 3 * (570 + 885)


@pytest.mark.slow
def test_every_substitution_of_every_gene_is_translated(panel):
    assert assert_every_snv(panel, sorted(panel[2])) == 3 * 139_908


def test_terms_at_exon_edges_follow_from_the_written_position(panel, tables):
    annotator, sequences, _ = panel
    for name in ("TP53", "TET2", "PTEN"):
        for written, position in tables[name].items():
            match = re.fullmatch(r"([-*]?)\d+([+-]\d+)?", written)
            base = sequences[name][position - 1]
            terms = set(annotator.effects(name, position, base, "A" if base != "A" else "C")[0].terms)
            distance = int(match[2] or 0)
            assert ("splice_donor_variant" in terms) == (distance in (1, 2)), written
            assert ("splice_acceptor_variant" in terms) == (distance in (-1, -2)), written
            assert ("intron_variant" in terms) == (distance != 0)
            if distance:
                assert ("splice_region_variant" in terms) == (3 <= abs(distance) <= 8), written
            else:
                assert ("5_prime_UTR_variant" in terms) == (match[1] == "-")
                assert ("3_prime_UTR_variant" in terms) == (match[1] == "*")
