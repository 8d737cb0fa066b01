"""The packaged germline is OGRDB's, and a user's own is read with the same anchors."""

import json
from pathlib import Path

import pytest

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.germline import Gene, GermlineSet, has_cysteine, load_germline, reading_frame_of
from pipeline.errors import InputRefused
from pipeline.formats.digest import sha256_file

DATA = Path(__file__).resolve().parents[2] / "mrd_ngs" / "data"
V = ">IGHV1-2*02\n"


@pytest.fixture(scope="module")
def germline() -> GermlineSet:
    return load_germline()


def write_set(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.fasta").write_text(text)
    return folder


def fasta(genes: tuple[Gene, ...]) -> str:
    return "".join(f">{gene.name}\n{gene.sequence}\n" for gene in genes)


def test_every_packaged_file_is_listed_with_its_digest_and_release() -> None:
    files = json.loads((DATA / "manifest.json").read_text())["files"]
    assert set(files) == {p.name for p in DATA.glob("*.fasta")}
    assert all(entry["sha256"] == sha256_file(DATA / name) for name, entry in files.items())
    assert {name[:3]: entry["release"] for name, entry in files.items() if len(name) == 10} == {
        "igh": "9",
        "igk": "4",
        "igl": "3",
    }


def test_packaged_bases_are_those_of_the_source(germline: GermlineSet, shared_data: Path) -> None:
    for segment, genes in (("v", germline.v), ("d", germline.d), ("j", germline.j)):
        source = (shared_data / "germline_ogrdb" / "ungapped" / f"{segment}.fasta").read_text()
        records = [record.split("\n", 1) for record in source.split(">")[1:]]
        expected = {name.split("__")[0]: bases.replace("\n", "") for name, bases in records}
        assert {gene.name: gene.sequence for gene in genes} == expected


def test_kde_and_intron_are_the_candidate_bases_and_say_what_is_confirmed(
    germline: GermlineSet, shared_data: Path
) -> None:
    text = (shared_data / "germline_ogrdb" / "kde_candidates.fa").read_text()
    records = {r.split()[0].lstrip(">"): "".join(r.splitlines()[1:]) for r in text.split("\n>")}
    elements = {element.name: element.sequence for element in germline.elements}
    assert elements == {
        "IGKKde": records["IGK_KDE_551"],
        "IGKintron": records["IGK_INTRON_RSS_CODING"],
    }
    notes = json.loads((DATA / "manifest.json").read_text())["files"]["igk_elements.fasta"]["records"]
    assert all(notes[name]["read_confirmed"] and notes[name]["not_read_confirmed"] for name in elements)


def test_every_j_anchor_is_the_tryptophan_or_phenylalanine_of_its_motif(germline: GermlineSet) -> None:
    for gene in germline.j:
        assert gene.anchor is not None
        motif = gene.sequence[gene.anchor : gene.anchor + 12]
        assert motif[:3] in {"TGG", "TTC", "TTT"}
        assert motif[3:5] == motif[9:11] == "GG"
        assert gene.sequence[gene.anchor :][:3] == ("TGG" if gene.name.startswith("IGHJ") else motif[:3])


def test_the_two_v_without_cys104_have_an_anchor_all_the_same(germline: GermlineSet) -> None:
    odd = {gene.name: gene for gene in germline.v if gene.anchor != _column_104(gene)}
    without = [gene.name for gene in germline.v if not has_cysteine(gene)]
    assert without == ["IGKV2-29*01"]  # TGA where its sister allele has TGC
    assert list(odd) == ["IGLV3-2*03"]  # a deletion in FWR3 puts its cysteine 4 bases before column 310
    assert odd["IGLV3-2*03"].sequence[odd["IGLV3-2*03"].anchor or 0 :].startswith("TGTCGCTCGG")


def _column_104(gene: Gene) -> int:
    gapped = _gapped()[gene.name]
    return 309 - gapped[:309].count(".")


def _gapped() -> dict[str, str]:
    records: dict[str, str] = {}
    for path in DATA.glob("ig?v.fasta"):
        for record in path.read_text().split(">")[1:]:
            name, bases = record.split("\n", 1)
            records[name.strip()] = bases.replace("\n", "")
    return records


@pytest.mark.parametrize("name", ["IGKV2-29*01", "IGLV3-2*03"])
def test_a_read_of_a_v_without_cys104_is_annotated(germline: GermlineSet, name: str) -> None:
    v = next(gene for gene in germline.v if gene.name == name)
    j = next(gene for gene in germline.j if gene.name.startswith(name[:3]))
    found = annotate_sequences([v.sequence + j.sequence], germline)[0]
    assert found is not None
    assert found.v_call.split(",")[0] == name
    assert found.junction.startswith(v.sequence[v.anchor or 0 :][:10])
    assert found.productive is False


def test_a_set_without_gaps_gets_the_anchors_of_the_numbered_one(
    germline: GermlineSet, tmp_path: Path
) -> None:
    own = load_germline(write_set(tmp_path, mine_v=fasta(germline.v), mine_j=fasta(germline.j)))
    assert own.v == germline.v
    assert own.j == germline.j
    assert own.d == ()
    assert own.elements == germline.elements
    assert own.regions == {}


def test_a_set_without_gaps_annotates_alike(germline: GermlineSet, tmp_path: Path) -> None:
    own = load_germline(write_set(tmp_path, all_genes=fasta(germline.v) + fasta(germline.j)))
    read = germline.v[0].sequence[50:] + "GGATCCTTACG" + germline.j[3].sequence
    ours, packaged = annotate_sequences([read], own)[0], annotate_sequences([read], germline)[0]
    assert ours is not None
    assert packaged is not None
    assert (ours.v_call, ours.j_call, ours.junction) == (packaged.v_call, packaged.j_call, packaged.junction)
    assert ours.d_call == ""


def test_a_v_like_no_other_has_no_anchor_and_is_named(germline: GermlineSet, tmp_path: Path) -> None:
    odd = ">IGHV99-1*01\n" + "ACGTTGCA" * 30 + "\n"
    own = load_germline(write_set(tmp_path, v=fasta(germline.v[:3]) + odd, j=fasta(germline.j)))
    assert own.unplaced == ("IGHV99-1*01",)
    read = germline.v[0].sequence + "GGATCCTTACG" + germline.j[3].sequence
    assert annotate_sequences([read], own)[0] is not None


def test_reading_frame_follows_the_anchor() -> None:
    assert [reading_frame_of(Gene("IGHJ4*02", "A" * 20, anchor)) for anchor in (14, 15, None)] == [2, 0, 0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no germline file in the folder"),
        ({"v": V + "ACGT\n"}, "no J gene in the folder"),
        ({"v": ">TRBV1*01\nACGT\n"}, "not a gene name"),
        ({"v": ">\nACGT\n"}, "a record without a name"),
        ({"v": "ACGT\n"}, "not a sequence"),
        ({"v": V + "MKV*\n"}, "not a sequence"),
        ({"v": V}, "IGHV1-2\\*02 has no sequence"),
        ({"v": V + "ACGT\n" + V + "ACGA\n"}, "an allele has two sequences"),
        ({"v": V + "ACGT", "j": ">IGHJ4*02\n" + "A" * 80 + "TGGGGCCAGGGA\n"}, "80 bases before its anchor"),
    ],
)
def test_a_folder_that_is_no_germline_set_is_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(InputRefused, match=message):
        load_germline(write_set(tmp_path, **files))


def test_a_v_with_leader_or_signal_is_refused(germline: GermlineSet, tmp_path: Path) -> None:
    long = f">IGHV1-2*99\n{'A' * 200}{germline.v[0].sequence}\n"
    with pytest.raises(InputRefused, match="bases before Cys104"):
        load_germline(write_set(tmp_path, v=fasta(germline.v[1:9]) + long, j=fasta(germline.j)))


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.fasta").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputRefused, match="not text in UTF-8"):
        load_germline(tmp_path)
