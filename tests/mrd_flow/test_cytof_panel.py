"""Mass cytometry templates: what ships, and what is refused."""

from itertools import combinations

import pytest

from mrd_flow.cytof.panel import load_cytof_panel
from pipeline.errors import ConfigRefused, UsageError
from pipeline.formats.shipped import shipped_config, shipped_names

TEXT = shipped_config("marrow", "cytof").read_text(encoding="utf-8")


def written(tmp_path, old, new):
    assert old in TEXT
    path = tmp_path / "own.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return path


def test_every_shipped_template_says_what_is_unverified():
    assert shipped_names("cytof") == ("marrow",)
    for name in shipped_names("cytof"):
        said = " ".join(u.what for u in load_cytof_panel(name).unverified)
        for part in ("antibody", "metals", "cuts", "clean-up", "populations", "barcode key"):
            assert part in said


def test_the_barcode_scheme_is_three_of_six_with_all_twenty_codes():
    barcodes = load_cytof_panel("marrow").barcodes
    assert set(barcodes.codes) == set(combinations(range(6), 3))


def test_bead_and_barcode_metals_are_the_published_ones():
    """EQ beads at masses 140, 151, 153, 165, 175; palladium at 102, 104, 105, 106, 108, 110."""
    panel = load_cytof_panel("marrow")
    assert panel.beads.metals == ("Ce140", "Eu151", "Eu153", "Ho165", "Lu175")
    assert [m[2:] for m in panel.barcodes.metals] == ["102", "104", "105", "106", "108", "110"]
    assert panel.cofactor == 5.0


def test_plasma_cells_are_found_without_the_marker_that_is_masked():
    panel = load_cytof_panel("marrow")
    assert all(panel.masking not in (*p.positive, *p.negative) for p in panel.populations)


def test_a_population_knows_its_path():
    panel = load_cytof_panel("marrow")
    paths = {p.name: panel.path_of(p) for p in panel.populations}
    assert paths["t_cd8_hladr"] == "live_cells/t_cells/t_cd8/t_cd8_hladr"
    assert paths["monocytes"] == "live_cells/rest/myeloid_dr/monocytes"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("cofactor = 5.0 ", "cofacter = 5.0 ", "unknown key"),
        ('S01 = "111000"', 'S01 = "111100"', "3 of 6"),
        ('S02 = "110100"', 'S02 = "111000"', "same code"),
        ('CD3 = "Er170"', 'CD3 = "Yb172"', "two channels have the metal 'Yb172'"),
        ('CD3 = "Er170"', 'CD3 = "Pd102"', "both a barcode and a channel"),
        ('landmark = "b_cells"', 'landmark = "monocytes"', "needs 'monocytes' before"),
        ('parent = "t_cells"', 'parent = "monocytes"', "comes before 'monocytes'"),
        ('positive = ["CD138"]', 'positive = ["CD999"]', "no cut"),
        ('masking = "CD38"', 'masking = "CD83"', "has no cut"),
        ("low = 0.1, high = 0.5", "low = 0.4, high = 0.5", "low <= at <= high"),
        ('dna = ["DNA1", "DNA2"]', 'dna = ["DNA9"]', "no channel"),
        ('dimension = "Center"', 'dimension = "Cen\\u001bter"', "pattern"),
        ("positive = 3\n", "positive = 6\n", "below the number of channels"),
    ],
)
def test_a_template_that_contradicts_itself_is_refused_with_the_reason(tmp_path, old, new, match):
    with pytest.raises(ConfigRefused, match=match):
        load_cytof_panel(written(tmp_path, old, new))


@pytest.mark.parametrize("bad", ["Yamada_Taro", '"../evil"', '"=cmd()"', "unassigned"])
def test_a_sample_id_that_is_no_pseudonym_is_refused_and_not_repeated(tmp_path, bad):
    with pytest.raises(ConfigRefused, match="no pseudonym") as refused:
        load_cytof_panel(written(tmp_path, 'S01 = "111000"', f'{bad} = "111000"'))
    assert bad.strip('"') not in str(refused.value)


def test_a_code_of_a_wrong_type_does_not_repeat_its_sample(tmp_path):
    with pytest.raises(ConfigRefused, match=r"barcodes\.key") as refused:
        load_cytof_panel(written(tmp_path, 'S01 = "111000"', "Yamada_Taro = 111000"))
    assert "Yamada" not in str(refused.value)


def test_an_unknown_template_names_those_there_are():
    with pytest.raises(UsageError, match="There are: marrow"):
        load_cytof_panel("nonesuch")
