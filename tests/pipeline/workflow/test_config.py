"""A configuration says what it means or is refused with every key that is wrong."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import ConfigRefused, UsageError
from pipeline.formats.digest import sha256_bytes
from pipeline.formats.records import to_json
from pipeline.model import Assay
from pipeline.workflow.config import (
    Config,
    load_config,
    settings_from_json,
    settings_types,
    shipped_panels,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Stands for an assay's settings."""

    min_reads: int = 2
    alpha: float = 0.001
    name: str = "standard"
    strict: bool = True

    def __post_init__(self) -> None:
        if self.min_reads < 1:
            raise ValueError("min_reads must be at least 1")


def config_of(folder: Path, text: str) -> Config:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, assays={Assay.NGS: Choices})


def test_default_is_the_schedule_of_the_trial():
    config = load_config()
    assert config.timepoint_codes == ("BASE", "DRD1", "IND", "PBSC", "ASCT", "CONS", "MNT1Y", "MNT2Y")
    assert all(t.label for t in config.timepoints)
    assert (config.baseline, config.thresholds, config.path) == ("BASE", (1e-5, 1e-6), None)
    assert config.settings == {assay: kind() for assay, kind in settings_types().items()}


def test_whatever_is_left_out_has_its_default(tmp_path):
    config = config_of(tmp_path, '[study]\nid = "MM-1"\n[ngs]\nmin_reads = 5\n')
    assert (config.study_id, config.baseline) == ("MM-1", "BASE")
    assert config.timepoint_codes == load_config().timepoint_codes
    assert config.settings_for(Assay.NGS) == Choices(min_reads=5)


def test_time_points_are_codes_or_tables_and_the_first_is_the_baseline(tmp_path):
    text = '[study]\ntimepoints = ["PRE", { code = "D28", label = "Day 28", window = "day 25-31" }]\n'
    config = config_of(tmp_path, text)
    assert config.timepoint_codes == ("PRE", "D28")
    assert config.baseline == "PRE"
    assert (config.timepoints[1].label, config.timepoints[1].window) == ("Day 28", "day 25-31")


def test_whole_number_may_stand_for_a_fraction_and_nothing_else_is_converted(tmp_path):
    assert config_of(tmp_path, "[ngs]\nalpha = 1\n").settings_for(Assay.NGS).alpha == 1.0
    for line in ('min_reads = "5"', "min_reads = 5.0", "min_reads = true", "strict = 1", "name = 3"):
        with pytest.raises(ConfigRefused, match=f"ngs.{line.split()[0]} must be"):
            config_of(tmp_path, f"[ngs]\n{line}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stduy]\n", r"stduy is not a known key \(did you mean 'study'\?\)"),
        ("[study]\nthreshold = [1e-5]\n", r"study.threshold is not a known key \(did you mean 'thresholds'"),
        ("[ngs]\nmin_raeds = 3\n", r"ngs.min_raeds is not a known key \(did you mean 'min_reads'"),
        ('[clinical]\nlab = "x.csv"\n', r"clinical.lab is not a known key \(did you mean 'labs'"),
        (
            '[study]\ntimepoints = [{ code = "A", lable = "x" }]\n',
            r"timepoints\[1\].lable is not a known key",
        ),
    ],
)
def test_unknown_key_is_named_with_what_was_meant(tmp_path, text, message):
    with pytest.raises(ConfigRefused, match=message) as refused:
        config_of(tmp_path, text)
    assert refused.value.path == str(tmp_path / "study.toml")
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('study = "x"\n', "study must be a table"),
        ("[study]\nid = 5\n", "study.id must be text"),
        ('[study]\nid = "../x"\n', "study.id must be 1 to 32 letters"),
        ('[study]\nbaseline = "PRE"\n', "study.baseline is none of the time points"),
        ("[study]\ntimepoints = []\n", "study.timepoints must be a list"),
        ('[study]\ntimepoints = ["A", "A"]\n', "study.timepoints name a code twice"),
        ('[study]\ntimepoints = ["A b"]\n', r"study.timepoints\[1\] needs a code"),
        ("[study]\nthresholds = [1e-5, 2]\n", "study.thresholds must be a list of fractions"),
        ("[study]\nthresholds = [nan]\n", "study.thresholds must be a list of fractions"),
        ("[ngs]\nmin_reads = 0\n", "ngs is impossible: min_reads must be at least 1"),
        ('[clinical]\nlabs = "absent.csv"\n', "clinical.labs names a file that is not there"),
        ("[clinical]\nlabs = 5\n", "clinical.labs must be text"),
    ],
)
def test_impossible_value_is_refused_by_its_key(tmp_path, text, message):
    with pytest.raises(ConfigRefused, match=message):
        config_of(tmp_path, text)


def test_all_problems_are_said_at_once(tmp_path):
    with pytest.raises(ConfigRefused, match="not a known key") as refused:
        config_of(tmp_path, "[study]\nidd = 1\nthresholds = []\n[ngs]\nmin_reads = 'x'\nalhpa = 1\n[flow]\n")
    for key in ("study.idd", "study.thresholds", "ngs.min_reads", "ngs.alhpa", "flow"):
        assert f"{key} " in str(refused.value)


def test_clinical_tables_are_found_from_the_configuration(tmp_path):
    (tmp_path / "labs.csv").write_text("patient_id\n")
    config = config_of(tmp_path, '[clinical]\nlabs = "labs.csv"\n')
    assert config.clinical.labs == tmp_path / "labs.csv"
    assert config.clinical.fish is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("[study]\nid = \n", 2, "6"), ("a = 1\nb = [", 2, None), ("a = 1\na = 2\n", 2, "6")],
)
def test_syntax_error_is_placed(tmp_path, text, line, column):
    with pytest.raises(ConfigRefused, match=f"line {line}.* is not TOML") as refused:
        config_of(tmp_path, text)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_backslashes_in_a_path_get_their_own_remedy(tmp_path):
    with pytest.raises(ConfigRefused, match="write paths with / or between single quotes"):
        config_of(tmp_path, '[clinical]\nlabs = "C:\\data\\labs.csv"\n')


def test_mark_of_a_windows_editor_is_tolerated_and_latin_1_is_not(tmp_path):
    assert config_of(tmp_path, '\ufeff[study]\nid = "A"\n').study_id == "A"
    (tmp_path / "study.toml").write_bytes('[study]\ntitle = "\u00fc"\n'.encode("latin-1"))
    with pytest.raises(ConfigRefused, match=r"not UTF-8 text. Remedy: save it as UTF-8"):
        load_config(tmp_path / "study.toml")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigRefused, match=r"absent.toml: cannot be read \(No such file"):
        load_config(tmp_path / "absent.toml")


def test_digest_is_that_of_the_file(tmp_path):
    config = config_of(tmp_path, '[study]\nid = "A"\n')
    assert config.sha256 == sha256_bytes(b'[study]\nid = "A"\n')


def test_assay_without_settings_is_a_usage_error():
    with pytest.raises(UsageError, match="assay 'flow' has no settings yet"):
        load_config(assays={Assay.NGS: Choices}).settings_for(Assay.FLOW)


@pytest.mark.parametrize("assay", settings_types())
def test_settings_survive_a_task(assay):
    settings = load_config().settings_for(assay)
    assert settings_from_json(assay, to_json(settings)) == settings


def test_settings_of_a_changed_task_are_refused():
    with pytest.raises(ConfigRefused, match=r"ngs\.bogus is not a known key"):
        settings_from_json(Assay.NGS, {"bogus": 1})


def test_panels_that_ship_have_their_tubes_counted():
    assert shipped_panels() == {"euroflow": 2, "srl": 1}


def test_validated_limits_are_read_by_method(tmp_path):
    text = '[validated."flow:euroflow"]\nlob = 0.0\nlod = 2e-6\nloq = 5e-6\nstudy = "EP17 2026"\n'
    limits = config_of(tmp_path, text).validated[0]
    assert (limits.method, limits.lob, limits.lod, limits.loq) == ("flow:euroflow", 0.0, 2e-6, 5e-6)
    assert config_of(tmp_path, "").validated == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[validated.blood]\nlob=0.0\nlod=1e-6\nloq=1e-5\nstudy="s"\n', "validated.blood is no method"),
        ('[validated."flow:a b"]\nlob=0.0\nlod=1e-6\nloq=1e-5\nstudy="s"\n', "is no method"),
        ("[validated.ngs]\nlod = 1e-6\n", "validated.ngs needs lob, lod, loq and study"),
        ('[validated.ngs]\nlob=2e-6\nlod=1e-6\nloq=1e-5\nstudy="s"\n', "lob <= lod <= loq"),
        ('[validated.ngs]\nlob=0.0\nlod=1e-6\nloq=1e-5\nstudy=" "\n', "names the validation study"),
        ('[validated.ngs]\nlob=0.0\nlod=1e-6\nloq=1e-5\nstudy="s"\nlto=1\n', "did you mean 'loq'"),
    ],
)
def test_validated_limits_that_cannot_be_are_refused(tmp_path, text, why):
    with pytest.raises(ConfigRefused, match=re.escape(why)):
        config_of(tmp_path, text)
