"""Settings say which key is impossible; distinct reads keep every read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrd_ngs.evidence import DistinctReads, reverse_complement
from mrd_ngs.settings import NgsSettings

dna = st.text("ACGTN", min_size=1, max_size=30).map(str.encode)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("marker_rules", "own.toml"),
        ("background_alpha", 1.0),
        ("window_min_nt", 12),
        ("min_reads", 0),
        ("window_flank_nt", -1),
        ("denoise_safety", 0.9),
        ("denoise_alpha", 1.0),
        ("discordance_alpha", 0.0),
        ("marker_shared_sampling", 0.0),
        ("marker_amplification_sd", -0.1),
        ("hop_rate_max", 1.0),
        ("swap_ratio", 1.0),
        ("max_read_nt", 10),
        ("mates_min_overlap_nt", 9),
        ("mates_max_mismatch_rate", 0.5),
        ("mates_unmerged", "both"),
        ("umi_source", "header"),
        ("umi_length_nt", 3),
        ("umi_length_nt", 25),
        ("umi_delimiter", ""),
        ("umi_spacer", "A-C"),
        ("umi_family_mismatch_rate", 0.2),
        ("umi_min_family_reads", 0),
    ],
)
def test_impossible_setting_is_named(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        NgsSettings(**{key: value})


@given(dna)
def test_reverse_complement_is_its_own_inverse(sequence: bytes) -> None:
    assert reverse_complement(reverse_complement(sequence)) == sequence


@given(st.dictionaries(dna, st.integers(1, 50)))
def test_no_read_is_lost_and_the_most_abundant_come_first(counts: dict[bytes, int]) -> None:
    reads = DistinctReads.from_counts(counts)
    assert int(reads.counts.sum()) == sum(counts.values())
    assert reads.counts.tolist() == sorted(reads.counts.tolist(), reverse=True)
    kept = {reads.sequence(i) for i in range(len(reads))}
    assert kept == {min(s, reverse_complement(s)) for s in counts}


@given(st.dictionaries(dna, st.integers(1, 50)), st.integers(0, 2**16))
def test_a_subset_keeps_order_and_counts(counts: dict[bytes, int], seed: int) -> None:
    reads = DistinctReads.from_counts(counts)
    which = np.random.default_rng(seed).random(len(reads)) < 0.5
    part = reads.subset(which)
    assert part.sequences() == [reads.sequence(i) for i in np.flatnonzero(which)]
    assert part.sequences() == [part.sequence(i) for i in range(len(part))]
    assert part.counts.tolist() == reads.counts[which].tolist()
