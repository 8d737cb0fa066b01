"""Background of errors: what it learns, what it leaves out, and that a file holds all of it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputRefused
from pipeline.formats.bed import Target
from pipeline.variants.calling.background import (
    INDEL_KINDS,
    Background,
    SiteErrors,
    indel_kind,
    read_background,
    write_background,
)
from pipeline.variants.calling.contexts import context_name, reverse_context, surroundings
from pipeline.variants.calling.learning import BackgroundLearner
from pipeline.variants.evidence import Allele
from pipeline.variants.reference import Reference
from site_evidence import molecules_with, window
from small_gene import write_fasta

DEPTH = (500, 500, 500, 500, 1000)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    rng = np.random.default_rng(4)
    bases = "".join("ACGT"[c] for c in rng.integers(0, 4, 3000))
    bases = bases[:1000] + "C" + "A" * 9 + "G" + bases[1011:]
    with Reference(write_fasta(tmp_path_factory.mktemp("ref") / "r.fa", {"one": bases})) as opened:
        yield opened


def learned(reference, *samples, controls=None, start=100, end=2900, **settings):
    learner = BackgroundLearner([Target("one", start, end)], **settings)
    around = surroundings(reference, "one", start, end)
    for molecules in samples:
        learner.add(window(reference.bases("one", start, end), start, DEPTH, molecules), around)
    return learner.finish(len(samples) if controls is None else controls)


def sites_of(reference, base, start=110, end=2890):
    return [p for p in range(start, end) if reference.bases("one", p, p + 1) == base]


def rate(background, ref, alt, row):
    """Mean over the contexts of a substitution, as the strand itself reads it."""
    contexts = [c for c in range(64) if "ACGT"[(c >> 2) & 3] == ref]
    return background.substitution[contexts, "ACGT".index(alt), row].mean()


def test_contexts_and_runs_are_those_of_the_reference(reference):
    around = surroundings(reference, "one", 990, 1020)
    assert context_name(int(around.context[20])) == reference.bases("one", 1009, 1012)
    assert around.run_after[10] == 9  # C at 1000, nine A behind it
    assert around.run_after[11] == 1  # inside the run nothing is anchored
    assert around.run_near[10] == around.run_near[14] == around.run_near[20] == 9
    assert around.run_near[9] < 9
    assert surroundings(reference, "one", 0, 5).context[0] == -1
    turned = reverse_context(np.array([0b011011]))  # CGT
    assert context_name(int(turned[0])) == "ACG"


def test_errors_of_one_strand_stay_on_their_strand(reference):
    """C>T of forward strands and G>A of reverse strands are one error; C>T of reverse strands is G>A's."""
    molecules = []
    for position in sites_of(reference, "C")[:300]:
        molecules += molecules_with(Allele(position=position, ref="C", alt="T"), 1, strand_class=2)
    for position in sites_of(reference, "G")[:300]:
        molecules += molecules_with(Allele(position=position, ref="G", alt="A"), 1, strand_class=3)
    background = learned(reference, molecules)
    assert rate(background, "C", "T", 1) > 20 * rate(background, "G", "A", 1)
    by_strand = background.by_strand()
    context = next(c for c in range(64) if context_name(c) == "ACA")
    assert by_strand[context, 3, 2] == background.substitution[context, 3, 1]
    assert by_strand[context, 3, 3] < by_strand[context, 3, 2] / 20


def test_rates_are_errors_per_molecule(reference):
    rng = np.random.default_rng(3)
    positions = sites_of(reference, "T")
    molecules = []
    for position in positions:
        for strand_class, expected in ((0, 0.05), (2, 0.01), (4, 0.001)):
            count = rng.binomial(DEPTH[strand_class], expected / DEPTH[strand_class])
            allele = Allele(position=position, ref="T", alt="G")
            molecules += molecules_with(allele, int(count), strand_class=strand_class)
    background = learned(reference, molecules, molecules)
    seen = sum(m[0][1]["strand_class"] == 0 for m in molecules)
    of = len(positions) * DEPTH[0] + len(sites_of(reference, "A")) * DEPTH[1]
    assert rate(background, "T", "G", 0) == pytest.approx(seen / of, rel=0.15)
    assert (background.substitution > 0).all()


def test_what_was_never_seen_has_a_rate_above_zero_that_falls_with_the_molecules(reference):
    one, more = learned(reference, []), learned(reference, *([[]] * 8))
    assert (one.substitution > 0).all()
    assert (one.indel > 0).all()
    assert rate(more, "A", "C", 2) < rate(one, "A", "C", 2) / 3
    assert rate(one, "A", "C", 2) < 1e-6


def test_variants_teach_nothing(reference):
    clean = learned(reference, [])
    position = sites_of(reference, "A")[40]
    snp = molecules_with(Allele(position=position, ref="A", alt="G"), 400, strand_class=4)
    assert rate(learned(reference, snp), "A", "G", 2) == pytest.approx(rate(clean, "A", "G", 2), rel=0.01)
    clone = molecules_with(Allele(position=position, ref="A", alt="G"), 3, strand_class=4)
    assert rate(learned(reference, clone), "A", "G", 2) == pytest.approx(rate(clean, "A", "G", 2), rel=0.01)
    error = molecules_with(Allele(position=position, ref="A", alt="G"), 1, strand_class=4)
    assert rate(learned(reference, error), "A", "G", 2) > 1.5 * rate(clean, "A", "G", 2)


def test_slippage_is_learned_by_length_of_run_even_where_it_is_frequent(reference):
    loss = Allele(position=1000, ref="CA", alt="C")
    slips = molecules_with(loss, 200, strand_class=2)
    background = learned(reference, slips)
    kind = INDEL_KINDS.index("run_loss")
    assert background.indel[kind, 9, 1] == pytest.approx(0.2, rel=0.05)
    assert background.indel[kind, 2, 1] < 1e-4
    assert background.indel[INDEL_KINDS.index("run_gain"), 9, 1] < 0.01
    assert indel_kind("C", "CA", 9, "A") == 0
    assert INDEL_KINDS[indel_kind("CAA", "C", 9, "A")] == "run_loss_more"
    assert INDEL_KINDS[indel_kind("C", "CG", 9, "A")] == "insertion"


def test_sites_differ_as_much_as_controls_say(reference):
    rng = np.random.default_rng(9)
    even, uneven = [], []
    for ref, alt, strand_class in (("G", "T", 0), ("C", "A", 1)):
        for position in sites_of(reference, ref):
            allele = Allele(position=position, ref=ref, alt=alt)
            factor = rng.gamma(2.5, 1 / 2.5)
            even += molecules_with(allele, int(rng.poisson(1.0)), strand_class=strand_class)
            uneven += molecules_with(allele, int(rng.poisson(factor)), strand_class=strand_class)
    alike, differing = learned(reference, even), learned(reference, uneven)
    assert alike.shape > 3 * differing.shape
    assert 1.5 < differing.shape < 6
    assert learned(reference, even, controls=0).shape == 4  # without controls nothing is known of sites


def test_samples_with_and_without_umis_do_not_mix(reference):
    learner = BackgroundLearner([Target("one", 100, 200)])
    around = surroundings(reference, "one", 100, 200)
    bases = reference.bases("one", 100, 200)
    learner.add(window(bases, 100, DEPTH), around)
    with pytest.raises(InputRefused, match="with and without UMIs"):
        learner.add(window(bases, 100, DEPTH, has_umis=False), around)


def test_a_file_holds_all_of_it_and_has_the_same_bytes_again(reference, tmp_path):
    molecules = molecules_with(Allele(position=1000, ref="CA", alt="C"), 2, strand_class=2)
    molecules += molecules_with(Allele(position=150, ref=reference.bases("one", 150, 151), alt="N"), 0)
    background = learned(reference, molecules, molecules)
    for name in ("a.parquet", "b.parquet"):
        write_background(tmp_path / name, background)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    found = read_background(tmp_path / "a.parquet")
    base = (np.arange(64) >> 2) & 3
    other = base[:, None] != np.arange(4)
    np.testing.assert_array_equal(found.substitution[other], background.substitution[other])
    np.testing.assert_array_equal(found.indel, background.indel)
    assert (found.shape, found.samples, found.has_umis) == (background.shape, 2, True)
    assert found.sites.errors == {("one", 1000, "CA", "C"): 4}
    assert found.sites.molecules["one", 150] == (2000.0, 2000.0, 2000.0)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(InputRefused, match="cannot be read as Parquet"):
        read_background(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputRefused, match="no background of errors"):
        read_background(path)


def test_an_unknown_neighbour_takes_the_highest_rate():
    substitution = np.full((64, 4, 3), 1e-6)
    substitution[7, 2] = 1e-3
    background = Background(
        substitution=substitution,
        indel=np.full((6, 21, 3), 1e-6),
        shape=10.0,
        sites=SiteErrors(),
        samples=2,
        has_umis=True,
    )
    assert background.by_strand()[-1, 2, 0] == 1e-3
