"""Bases in pieces, contigs told apart."""

import hashlib

import numpy as np
import pytest

from pipeline.errors import InputRefused
from pipeline.variants.reference import Reference
from small_gene import write_fasta


def test_pieces_join_to_the_sequence(tmp_path):
    rng = np.random.default_rng(1)
    bases = "".join(rng.choice(list("ACGTacgtNR"), 200_000))
    expected = bases.upper().replace("R", "N")
    with Reference(write_fasta(tmp_path / "r.fa", {"chr1": bases})) as reference:
        for start, end in ((0, 10), (65_530, 65_540), (65_536, 65_537), (1, 199_999), (199_999, 200_000)):
            assert reference.bases("chr1", start, end) == expected[start:end]
        assert reference.bases("chr1", 7, 7) == ""
        assert reference.md5("chr1") == hashlib.md5(bases.upper().encode()).hexdigest()


def test_contig_of_another_name_length_or_content_is_refused(tmp_path):
    with Reference(write_fasta(tmp_path / "r.fa", {"chr1": "ACGT", "2": "ACGT"})) as reference:
        reference.require("chr1", length_nt=4, md5=hashlib.md5(b"ACGT").hexdigest().upper())
        with pytest.raises(InputRefused, match="has contig chr1 but not 1: the names are spelled otherwise"):
            reference.require("1")
        with pytest.raises(InputRefused, match="has contig 2 but not chr2"):
            reference.require("chr2")
        with pytest.raises(InputRefused, match=r"has no contig x.*such as chr1"):
            reference.require("x")
        with pytest.raises(InputRefused, match=r"is 4 nucleotides long.*Expected: 5.*same genome build"):
            reference.require("chr1", length_nt=5)
        with pytest.raises(InputRefused, match="has MD5 f1f8f4bf413b16ad135722aa4591043e"):
            reference.require("chr1", md5="0" * 32)


def test_file_that_cannot_be_looked_into_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="no such file"):
        Reference(tmp_path / "r.fa")
    (tmp_path / "r.fa").write_text(">a\nACGT\n")
    with pytest.raises(InputRefused, match=r"has no index \(.fai\).*samtools faidx"):
        Reference(tmp_path / "r.fa")
    (tmp_path / "r.fa.fai").write_text("not an index\n")
    with pytest.raises(InputRefused, match="cannot be read as indexed FASTA"):
        Reference(tmp_path / "r.fa")
