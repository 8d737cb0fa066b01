"""Reads to be annotated keep their names; mates become one read."""

from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.evidence import reverse_complement
from mrd_ngs.named_reads import NamedReads
from mrd_ngs.settings import NgsSettings

FRAGMENTS = [
    np.random.default_rng(i).choice(np.frombuffer(b"ACGT", np.uint8), 250).tobytes() for i in range(4)
]


def mates(folder: Path) -> tuple[Path, Path]:
    """Three pairs that overlap by 50 bases, and one whose mates do not."""
    pairs = [(f[:150], reverse_complement(f)[:150]) for f in FRAGMENTS]
    pairs[2] = (pairs[2][0][:100], pairs[2][1][:100])
    paths = folder / "1.fastq", folder / "2.fastq"
    for mate, path in enumerate(paths):
        rows = (
            b"@p%d/%d\n%s\n+\n%s\n" % (i, mate + 1, p[mate], b"I" * len(p[mate])) for i, p in enumerate(pairs)
        )
        path.write_bytes(b"".join(rows))
    return paths


def test_mates_are_merged_under_the_name_of_the_first(tmp_path: Path) -> None:
    named = NamedReads(*mates(tmp_path), NgsSettings())
    expected = [(f"p{i}/1", FRAGMENTS[i]) for i in (0, 1, 3)]
    assert list(named) == expected
    assert list(named) == expected, "and again"
    assert named.merging is not None
    assert (named.merging.pairs, named.merging.merged) == (4, 3)


@pytest.mark.parametrize("kept", ["first", "second"])
def test_of_pairs_that_do_not_overlap_either_mate_can_be_kept(tmp_path: Path, kept: str) -> None:
    found = dict(NamedReads(*mates(tmp_path), NgsSettings(mates_unmerged=kept)))
    alone = FRAGMENTS[2][:100] if kept == "first" else reverse_complement(FRAGMENTS[2])[:100]
    assert found["p2/1"] == alone
    assert len(found) == 4


def test_single_reads_pass_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.fasta"
    path.write_bytes(b">a b\nacgt\nAC\n>c\nGG\n")
    named = NamedReads(path, None, NgsSettings())
    assert list(named) == [("a b", b"ACGTAC"), ("c", b"GG")]
    assert named.merging is None
