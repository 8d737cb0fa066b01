"""Diversity of a repertoire: polyclonal and clonal ones are told apart, at the same depth."""

import math

import numpy as np
import pytest

from mrd_ngs.clonotype import Clonotype
from mrd_ngs.diversity import Diversity, measure_diversity, measure_loci


def clonotype(number: int, reads: int, templates: float | None, locus: str = "IGH") -> Clonotype:
    return Clonotype(
        sequence_id=f"{locus}-{number}", sequence="ACGT", rev_comp=False, productive=True,
        v_call=f"{locus}V1-1*01", d_call="", j_call=f"{locus}J4*01", sequence_alignment="",
        germline_alignment="", junction="TGTTGG", junction_aa="CW", v_cigar="", d_cigar="", j_cigar="",
        clone_id=f"{locus}-{number}", locus=locus, duplicate_count=reads, distinct_sequences=1,
        templates=templates, share_of_locus=0.0, share_of_cells=None,
    )  # fmt: skip


def measured(reads: list[int], templates: list[float] | None = None, *, rarefied_to: int = 50) -> Diversity:
    listed = [clonotype(i, n, None if templates is None else templates[i]) for i, n in enumerate(reads)]
    rng = np.random.default_rng(1)
    return measure_diversity(listed, locus="IGH", rarefied_to=rarefied_to, rng=rng)


def test_equal_clones_have_the_diversity_of_their_number() -> None:
    found = measured([10] * 40)
    assert found.shannon == pytest.approx(math.log(40))
    assert found.effective_clones == pytest.approx(40)
    assert found.gini_simpson == pytest.approx(1 - 1 / 40)
    assert found.chao1 == 40  # none was seen once, so none is missing
    assert found.largest_share == pytest.approx(1 / 40)


def test_chao1_adds_the_unseen() -> None:
    # Chao (1984), bias-corrected: S + F1 (F1 - 1) / (2 (F2 + 1)), with 6 singletons and 2 doubletons
    assert measured([1] * 6 + [2] * 2 + [9]).chao1 == pytest.approx(9 + 6 * 5 / (2 * 3))


def test_a_clone_is_seen_in_every_measure() -> None:
    polyclonal, clonal = measured([5] * 400), measured([5] * 400 + [20_000])
    assert clonal.shannon < polyclonal.shannon
    assert clonal.gini_simpson < 0.2 < 0.99 < polyclonal.gini_simpson
    assert clonal.rarefied_clones is not None
    assert polyclonal.rarefied_clones is not None
    assert clonal.rarefied_clones < polyclonal.rarefied_clones / 3
    assert clonal.largest_share > 0.9


def test_rarefied_values_do_not_depend_on_depth() -> None:
    shallow, deep = measured([5] * 100), measured([500] * 100)
    assert shallow.rarefied_clones == pytest.approx(deep.rarefied_clones, rel=0.1)
    assert shallow.rarefied_shannon == pytest.approx(deep.rarefied_shannon, rel=0.05)
    assert shallow.rarefied_gini_simpson == pytest.approx(deep.rarefied_gini_simpson, rel=0.02)


def test_too_few_to_be_rarefied_have_no_rarefied_value() -> None:
    found = measured([3, 2], rarefied_to=6)
    assert found.rarefied_clones is found.rarefied_shannon is found.rarefied_gini_simpson is None


def test_templates_are_counted_where_they_are_known() -> None:
    found = measured([100, 5], [20.2, 0.4], rarefied_to=5)
    assert (found.counted, found.individuals) == ("templates", 21)
    assert (measured([100, 5]).counted, measured([100, 5]).individuals) == ("reads", 105)


def test_same_state_of_randomness_same_values() -> None:
    assert measured([5] * 60) == measured([5] * 60)


def test_every_locus_is_measured_apart() -> None:
    listed = [clonotype(1, 9, None, "IGK"), clonotype(1, 4, None), clonotype(2, 4, None)]
    loci = measure_loci(listed, rarefied_to=3, rng=np.random.default_rng(1))
    assert [(d.locus, d.clones) for d in loci] == [("IGH", 2), ("IGK", 1)]


def test_no_clones_are_refused() -> None:
    with pytest.raises(ValueError, match="no clone to measure"):
        measured([])
