"""A template is read strictly, and a file that does not fit it gives no number."""

import dataclasses

import pytest

from mrd_flow.fcs.layout import Parameter
from mrd_flow.panel.detectors import assign_detectors
from mrd_flow.panel.template import Panel, load_panel, panel_path
from pipeline.errors import ConfigRefused, UsageError
from pipeline.formats.shipped import shipped_config


def parameter(name: str, stain: str = "", top: float = 262144.0) -> Parameter:
    return Parameter(
        name=name, stain=stain, kind="F", bits=32, range=top, decades=0.0, log_zero=0.0, gain=1.0
    )


def tube_parameters(panel: Panel, tube: int) -> list[Parameter]:
    scatter = [parameter(n) for n in panel.scatter]
    return scatter + [parameter(f"{f}-A", m) for m, f in panel.tubes[tube - 1].markers.items()]


def altered(tmp_path, old, new, name="euroflow"):
    text = shipped_config(name, "panels").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_euroflow_has_ten_antigens_in_two_tubes_of_eight(euroflow):
    """Roshal, Blood Adv 2017;1:728: 10 antigens, two 8-colour tubes."""
    assert [len(t.markers) for t in euroflow.tubes] == [8, 8]
    assert {m for t in euroflow.tubes for m in t.markers} == {
        *("CD138", "CD27", "CD38", "CD56", "CD45", "CD19"),
        *("CD117", "CD81", "cyKappa", "cyLambda"),
    }
    assert (euroflow.decision_count, euroflow.loq_count) == (20, 50)


@pytest.mark.parametrize("name", ["euroflow", "srl"])
def test_shipped_templates_say_what_is_unverified(name):
    panel = load_panel(name)
    said = "; ".join(u.what for u in panel.unverified)
    assert "fluorochromes" in said
    assert "normal plasma cells" in said
    assert "hemodilution references" in said


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("decision_count = 20", "decison_count = 20", "decision_count", "Field required"),
        ('title = "', 'colour = "red"\ntitle = "', "colour", "unknown key"),
        ("decision_count = 20", 'decision_count = "20"', "decision_count", "valid integer"),
        ("decision_count = 20", "decision_count = 0", "decision_count", "greater than or equal to 1"),
        ("{ max = 0.9 }", "{ maximum = 0.9 }", "maximum", "unknown key"),
        ("{ max = 0.9 }", "{ min = 9.0, max = 1.0 }", "bounds", "min must lie below max"),
        ("{ max = 0.9 }", "{ max = nan }", "max", "finite"),
        ("limits = [15000.0, 45000.0]", "limits = [45000.0, 15000.0]", "min_rule", "low below high"),
        ("limits = [15000.0, 45000.0]", "limits = [15000.0]", "limits", "Field required"),
        ("limits = [15000.0, 45000.0]", "limits = [30000.0, 45000.0]", "bounds", "within its limits"),
        ("limits = [15000.0, 45000.0]", "limits = [0.0, 45000.0]", None, "on scatter needs limits above 0"),
        ('kind = "valley"', 'kind = "deepest"', "min_rule", "does not match any of the expected tags"),
        ('kind = "valley"', 'kind = "valley", depth = 1.0', "depth", "unknown key"),
        ('kind = "valley"', 'kind = "valley", most_depth = 1.0', "most_depth", "less than 1"),
        ("quantile = 0.99,", "quantile = 1.0,", "quantile", "less than 1"),
        ("quantile = 0.99,", "", "quantile", "Field required"),
        ('landmark = "b_precursors"', 'landmark = "platelets"', None, "'platelets', which does not stand"),
        ('landmark = "b_precursors"', 'landmark = "by_CD138"', None, "'by_CD138', which does not stand"),
        ('kind = "valley"', 'kind = "valley", population = "t_cells"', None, "'t_cells', which does not"),
        ("bounds.CD27 = { min = 0.5 }", "bounds.CD28 = { min = 0.5 }", None, "'CD28', which tube 1 does"),
        ('name = "t_cells" ', 'name = "singlets" ', None, "names of gates and landmarks must differ"),
        ("min_events = 500", "min_events = 0", "min_events", "greater than or equal to 1"),
        ('second = "by_CD138"', 'second = "by_CD139"', None, "names gate 'by_CD139', which tube 1 does not"),
        ('dimension = "CD38"', 'dimension = "CD138"', None, "needs a min_rule of gate 'by_CD38'"),
        ("share = 0.1", "share = 0.0", "share", "greater than 0"),
        ("share = 0.1", "share = 0.1\ntubes = [3]", None, "names a tube there is not"),
        ('parent = "singlets"', 'parent = "single"', None, "comes before its parent"),
        ("bounds.CD19 =", "bounds.CD20 =", None, "which tube 1 does not have"),
        ('plasma_cell_gate = "plasma_cells"', 'plasma_cell_gate = "CD20"', None, "must exist in tube 1"),
        ('gates = ["by_CD38", "by_CD138"]', 'gates = ["late"]', None, "before it stands"),
        ('gate = "mast_cells"', 'gate = "late"', None, "hemodilution names gate 'late', which is not there"),
        ('gate = "T_cells"', 'gate = "late"', None, "expected names gate 'late', which is not there"),
        (
            "min_fraction = 0.001",
            "min_fraction = 1.0",
            "expected",
            "min_fraction must lie below max_fraction",
        ),
        ("diluted_below = 0.6", "diluted_below = 0.9", "hemodilution", "must not lie above suspected_below"),
        ("reference = 0.0142", "reference = 0.0", "reference", "greater than 0"),
        ("w = 0.5", "w = 3.0", "logicle", "logicle needs"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_its_name(tmp_path, old, new, key, reason):
    path = altered(tmp_path, old, new)
    with pytest.raises(ConfigRefused, match=reason) as refused:
        load_panel(path)
    assert "mine.toml" in str(refused.value)
    assert key is None or key in str(refused.value.column)


def test_a_landmark_needs_bounds_that_are_fixed(tmp_path):
    head, tail = shipped_config("euroflow", "panels").read_text().split("[[gates]]", 1)
    bare = '[[landmarks]]\nname = "stroma"\nparent = "nucleated"\n'
    rule = '{ kind = "valley", limits = [0.1, 0.5] }'
    for bounds, reason in [
        ("", "Field required"),
        (f"bounds.CD45 = {{ min = 0.3, min_rule = {rule} }}", "no rule"),
    ]:
        (tmp_path / "mine.toml").write_text(f"{head}{bare}{bounds}\n\n[[gates]]{tail}")
        with pytest.raises(ConfigRefused, match=reason) as refused:
            load_panel(tmp_path / "mine.toml")
        assert "landmarks" in str(refused.value.column)


def test_the_limits_of_two_rules_must_leave_min_below_max(tmp_path):
    rule = '{ kind = "valley", limits = [0.2, 0.5] }'
    path = altered(tmp_path, "{ max = 0.9 }", f"{{ min = 0.3, max = 0.46, min_rule = {rule} }}")
    with pytest.raises(ConfigRefused, match="limits must leave min below max"):
        load_panel(path)


def test_what_is_no_template_is_refused(tmp_path):
    assert panel_path("srl") == shipped_config("srl", "panels")
    with pytest.raises(UsageError, match="There are: euroflow, srl"):
        load_panel("../euroflow")
    with pytest.raises(ConfigRefused, match="No such file"):
        load_panel(tmp_path / "absent.toml")
    (tmp_path / "x.toml").write_text("= 1")
    with pytest.raises(ConfigRefused, match="not TOML"):
        load_panel(tmp_path / "x.toml")


def test_markers_are_found_by_stain(euroflow):
    found = assign_detectors(tuple(tube_parameters(euroflow, 2)), euroflow, 2)
    assert found.mismatch == ""
    assert found.columns["cyLambda"] == 10
    assert found.anomalies == ()


@pytest.mark.parametrize("stain", ["CD38 FITC", "cd38", "CD38ME", "Anti/CD38"])
def test_spellings_of_a_marker_are_known(euroflow, stain):
    parameters = tube_parameters(euroflow, 1)
    parameters[5] = parameter("FITC-A", stain)
    assert assign_detectors(tuple(parameters), euroflow, 1).columns["CD38"] == 5


def test_a_missing_marker_is_named(euroflow):
    parameters = tube_parameters(euroflow, 1)
    del parameters[8]
    assert "not found: CD19" in assign_detectors(tuple(parameters), euroflow, 1).mismatch


def test_cd3_is_not_taken_for_cd38(euroflow):
    parameters = tube_parameters(euroflow, 1)
    parameters[5] = parameter("FITC-A", "CD3")
    assert "not found: CD38" in assign_detectors(tuple(parameters), euroflow, 1).mismatch


def test_swapped_tubes_are_recognised(euroflow):
    mismatch = assign_detectors(tuple(tube_parameters(euroflow, 2)), euroflow, 1).mismatch
    assert "not found: CD117, CD81" in mismatch
    assert "markers of tube 2" in mismatch


def test_a_marker_on_two_detectors_is_ambiguous(euroflow):
    parameters = [*tube_parameters(euroflow, 1), parameter("X-A", "CD38")]
    assert "found more than once: CD38" in assign_detectors(tuple(parameters), euroflow, 1).mismatch


def test_an_unlabelled_detector_is_taken_by_its_fluorochrome_and_said(euroflow):
    parameters = [dataclasses.replace(p, stain="") for p in tube_parameters(euroflow, 1)]
    found = assign_detectors(tuple(parameters), euroflow, 1)
    assert found.mismatch == ""
    assert {a.code for a in found.anomalies} == {"marker_by_fluorochrome"}


def test_a_scale_of_another_length_is_a_mismatch(euroflow):
    parameters = [dataclasses.replace(p, range=1024.0) for p in tube_parameters(euroflow, 1)]
    assert "range" in assign_detectors(tuple(parameters), euroflow, 1).mismatch
