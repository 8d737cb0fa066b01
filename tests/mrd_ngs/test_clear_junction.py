"""Junctions found without the compiled annotator are the annotator's own."""

import numpy as np
import pytest

from mrd_ngs import annotate_kernels, clear_junction
from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.clear_junction import ClearJunction
from mrd_ngs.evidence import reverse_complement
from mrd_ngs.germline import load_germline
from rearrangements import recombine

SHARED_NUMBERS = (
    *("V_K", "J_K", "MATCH", "MISMATCH", "CLIPPED", "CLIPPED_NEAR_CYS", "DEEP_FALL", "CLIPPED_J"),
    *("LONGEST_CDR3", "MIN_J", "TRP_AT"),
)


@pytest.mark.parametrize("name", SHARED_NUMBERS)
def test_numbers_are_those_of_the_kernels(name: str) -> None:
    assert getattr(clear_junction, name) == getattr(annotate_kernels, name)


@pytest.mark.parametrize(
    ("rates", "indel_share", "least"),
    [((0.0, 0.03), 0.0, 0.8), ((0.05, 0.12), 0.5, 0.3)],
    ids=["plain", "hard"],
)
def test_what_is_clear_is_what_the_annotator_finds(
    rates: tuple[float, float], indel_share: float, least: float
) -> None:
    germline, rng = load_germline(), np.random.default_rng(3)
    reads = [recombine(rng, germline, rates=rates, indel_share=indel_share).read for _ in range(150)]
    annotated = annotate_sequences(reads, germline)
    clear = 0
    for read, other in zip(reads, annotated, strict=True):
        found = clear_junction.clear_junction(read.encode(), germline)
        if found is None:
            continue
        clear += 1
        assert other is not None
        coding = reverse_complement(read.encode()) if other.rev_comp else read.encode()
        assert found == ClearJunction(coding, other.junction_start, other.junction_end)
    assert clear >= least * len(reads)


def test_what_is_no_rearrangement_is_left_to_the_annotator() -> None:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    rng = np.random.default_rng(5)
    for length in (1, 7, 8, 60, 300):
        assert clear_junction.clear_junction(rng.choice(letters, length).tobytes(), load_germline()) is None


def test_v_without_j_and_a_junction_that_is_cut_are_left_to_the_annotator() -> None:
    germline = load_germline()
    v = next(gene.sequence for gene in germline.v if gene.name == "IGHV3-23*01")
    j = next(gene.sequence for gene in germline.j if gene.name == "IGHJ4*02")
    whole = (v + "GATTCGGGT" + j).encode()
    assert clear_junction.clear_junction(whole, germline) is not None
    assert clear_junction.clear_junction(v.encode(), germline) is None
    assert clear_junction.clear_junction(whole[: -len(j) + 12], germline) is None
