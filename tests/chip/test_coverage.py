"""Depths of sites to limits of genes: coding bases and splice sites alone, the weak part decides."""

import gzip

import pytest

from chip.coverage import coverage_of_genes, read_site_depths
from pipeline.errors import InputRefused
from pipeline.variants.coordinates import Transcript

HEAD = "chrom\tpos\tref\tdepth_molecules\tduplex_molecules\tlod\treason\n"


def transcript(strand=1):
    """Exons 101-200 and 301-400 (1-based), coding from the 51st base to the 150th of the transcript."""
    return Transcript(
        name="T",
        protein="P",
        gene="TET2",
        contig="c",
        strand=strand,
        exons=((100, 200), (300, 400)),
        coding=(50, 150),
    )


def coverage(depths, **more):
    options = {"min_depth": 20, "share": 0.95} | more
    return coverage_of_genes(depths, [transcript(more.pop("strand", 1))], **options)


@pytest.mark.parametrize("strand", [1, -1])
def test_only_coding_bases_and_splice_sites_count(strand):
    inside = {*range(151, 201), *range(301, 351)}  # the same on both strands, by symmetry
    splice = {149, 150, 201, 202, 299, 300, 351, 352}
    depths = [("c", p, 1000 if p in inside else 10) for p in range(1, 500)]
    (found,) = coverage_of_genes(depths, [transcript(strand)], min_depth=20, share=0.95)
    assert found.target_nt == 100 + len(splice)
    assert found.covered_fraction == pytest.approx(100 / 108)
    assert found.molecules_median == 1000


def test_the_depth_of_the_weak_part_makes_the_limit():
    depths = [("c", p, 400 if p < 160 else 1000) for p in range(151, 201)]
    (found,) = coverage(depths)
    assert (found.molecules_median, found.molecules_low) == (1000, 400)


def test_a_gene_without_target_bases_is_not_in_it():
    assert coverage([("c", 10, 1000)]) == ()
    assert coverage([("other", 160, 1000)]) == ()


def test_old_names_of_genes_are_resolved():
    old = Transcript(name="T", protein="P", gene="MLL", contig="c", strand=1, exons=((0, 9),), coding=(0, 9))
    (found,) = coverage_of_genes([("c", 5, 50)], [old], min_depth=20, share=0.95)
    assert found.gene == "KMT2A"


@pytest.mark.parametrize("name", ["x.tsv", "x.tsv.gz"])
def test_limits_are_read_plain_and_packed(tmp_path, name):
    text = HEAD + "c\t5\tA\t900\t400\t0.01\t\nc\t6\tA\t0\t0\t\tno_coverage\n"
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert list(read_site_depths(tmp_path / name)) == [("c", 5, 900), ("c", 6, 0)]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a\tb\n", "other columns"),
        (HEAD + "c\tx\tA\t1\n", "line 2: is no site"),
        (HEAD + "c\t5\n", "is no site"),
    ],
)
def test_tables_that_are_no_limits_are_refused(tmp_path, text, cause):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(InputRefused, match=cause):
        list(read_site_depths(tmp_path / "x.tsv"))


def test_a_truncated_table_is_refused(tmp_path):
    packed = gzip.compress((HEAD + "c\t5\tA\t900\t400\t0.01\t\n" * 2000).encode())
    (tmp_path / "x.tsv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputRefused, match="cannot be read"):
        list(read_site_depths(tmp_path / "x.tsv.gz"))
