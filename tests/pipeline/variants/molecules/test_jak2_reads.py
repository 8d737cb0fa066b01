"""Real inline-UMI reads over JAK2 exon 14: V617F where it is known, and its share."""

import pytest

from pipeline.formats.bed import read_targets
from pipeline.variants.evidence import NO_CALL
from pipeline.variants.molecules import MoleculeSettings, UmiSource, read_evidence
from pipeline.variants.reference import Reference

V617F = 5_073_769  # GRCh37, 0-based: G>T


def share(folder, name, umi):
    """Share of T among molecules at V617F, and how many molecules."""
    settings = MoleculeSettings(umi=UmiSource.parse(umi))
    with Reference(folder / "chr9_GRCh37_padded.fa.gz") as reference:
        targets = read_targets(folder / "jak2.bed", reference.lengths_nt)
        [window] = read_evidence(folder / f"{name}.bam", reference, targets, settings)
    counts = window.counts[V617F - window.start, :NO_CALL].sum(axis=1)
    return counts[3] / counts.sum(), counts.sum()


@pytest.mark.parametrize("name", ["case1_rep1", "case2_rep1"])
def test_v617f_is_where_it_is_known(shared_data, name):
    """2.3 to 3.3 % of the reads, by the data's publisher; of the molecules within their sampling error."""
    reads, _ = share(shared_data / "jak2_smmip", name, "none")
    molecules, families = share(shared_data / "jak2_smmip", name, "inline:4+4")
    assert 0.02 <= reads <= 0.035
    assert 0.01 <= molecules <= 0.06
    assert 100 <= families <= 600


@pytest.mark.parametrize("name", ["case5_rep1", "control1"])
def test_v617f_is_not_where_it_is_not(shared_data, name):
    reads, _ = share(shared_data / "jak2_smmip", name, "none")
    molecules, _ = share(shared_data / "jak2_smmip", name, "inline:4+4")
    assert reads < 0.001
    assert molecules == 0
