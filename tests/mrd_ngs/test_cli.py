"""`nadir ngs` as a user meets it: files out, words on stderr, machine output on stdout."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mrd_ngs.cli import app
from mrd_ngs.evidence import reverse_complement
from pipeline.errors import ConfigRefused, DamagedFile, GateFailed, InputRefused, UsageError
from pipeline.formats.fastq import read_fastq
from pipeline.formats.records import from_json
from pipeline.model import Marker, MrdResult, Status


def nadir_ngs(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue("small_data")) / "ngs"


@pytest.fixture(scope="module")
def markers(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("index") / "markers.json"
    run = nadir_ngs(
        "index", folder / "baseline.fastq.gz", "--out", out, "--spike-ins", folder / "spike_ins.tsv",
        "--cells", 6000, "--patient", "NDR-007",
    )  # fmt: skip
    assert run.exit_code == 0
    assert "1 of " in run.stderr
    assert "unverified" in run.stderr
    assert run.stdout == ""
    return out


def test_index_writes_every_candidate_with_its_reason(markers: Path, folder: Path) -> None:
    document = json.loads(markers.read_text())
    truth = json.loads((folder / "truth.json").read_text())
    found = [from_json(Marker, m) for m in document["markers"]]
    assert [m.junction for m in found if m.taken] == [truth["clone"]["junction"]]
    assert {m.patient_id for m in found} == {"NDR-007"}
    assert document["reads"]["input"] == sum(v for k, v in document["reads"].items() if k != "input")


def test_track_writes_a_result_and_says_it_in_words(markers: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    run = nadir_ngs(
        "track", folder / "neg_near.fastq.gz", "--markers", markers, "--out", out, "--json",
        "--spike-ins", folder / "spike_ins.tsv", "--cells", 300_000, "--timepoint", "ASCT",
    )  # fmt: skip
    assert run.exit_code == 0
    assert "IGH-1: NOT_DETECTED 0 (95 % 0 to " in run.stderr
    assert "limit of detection " in run.stderr
    document = json.loads(out.read_text())
    assert json.loads(run.stdout) == document
    result = from_json(MrdResult, document["targets"][0])
    assert result.status is Status.NOT_DETECTED
    assert result.patient_id == "NDR-007"
    assert {key: document[key] for key in ("value", "lod", "status", "target_id")} == {
        "value": 0.0, "lod": result.lod, "status": "NOT_DETECTED", "target_id": "IGH-1"
    }  # fmt: skip
    evidence = document["evidence"][0]["window"]
    assert evidence["exact"] == 0
    assert evidence["one_mismatch"] > 0


def test_same_command_writes_the_same_bytes(markers: Path, folder: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    for out in outs:
        nadir_ngs("track", folder / "mrd_1e-3.fastq.gz", "--markers", markers, "--out", out, "--dna-ng", 2000)
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_track_without_spike_ins_is_not_evaluable_and_says_why(
    markers: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    run = nadir_ngs(
        "track", folder / "mrd_1e-3.fastq.gz", "--markers", markers, "--out", out, "--cells", 300_000
    )
    assert run.exit_code == 0
    assert "IGH-1: NOT_EVALUABLE [spike_ins_not_found]" in run.stderr
    assert "no spike-ins are stated" in run.stderr
    assert "clone reads of 2,000" in run.stderr


@pytest.mark.parametrize("option", ["--patient", "--timepoint"])
def test_what_looks_like_a_name_is_refused_and_not_repeated(
    folder: Path, tmp_path: Path, option: str
) -> None:
    with pytest.raises(UsageError, match=f"{option} is not a pseudonym or code") as caught:
        nadir_ngs("index", folder / "baseline.fastq.gz", "--out", tmp_path / "m.json", option, "Yamada_Taro")
    assert "Yamada" not in str(caught.value)
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize(("option", "text"), [("--collected-on", "12.3.2026"), ("--material", "marrow")])
def test_placeholders_that_mean_nothing_are_refused(
    folder: Path, tmp_path: Path, option: str, text: str
) -> None:
    with pytest.raises(UsageError, match=f"{option} is "):
        nadir_ngs("index", folder / "baseline.fastq.gz", "--out", tmp_path / "m.json", option, text)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no markers"),
        ('{"markers": [3]}', "holds no markers"),
        ('{"markers": [{"taken": true}]}', "not a Marker record"),
    ],
)
def test_markers_that_are_none_are_refused(folder: Path, tmp_path: Path, text: str, cause: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(DamagedFile, match=rf"m\.json: {cause}"):
        nadir_ngs("track", folder / "neg_near.fastq.gz", "--markers", path, "--out", tmp_path / "r.json")


def test_a_marker_of_other_letters_is_refused(markers: Path, folder: Path, tmp_path: Path) -> None:
    document = json.loads(markers.read_text())
    document["markers"][0]["sequence"] = "not dna"
    path = tmp_path / "m.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DamagedFile, match="a marker's sequence is not in A, C, G, T"):
        nadir_ngs("track", folder / "neg_near.fastq.gz", "--markers", path, "--out", tmp_path / "r.json")


def test_mates_of_different_files_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match="its name is not that of its mate"):
        nadir_ngs(
            "index", folder / "baseline.fastq.gz", folder / "neg_near.fastq.gz", "--out", tmp_path / "m.json"
        )


def test_mates_give_the_markers_of_the_merged_reads(markers: Path, folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "1.fastq").open("wb") as first, (tmp_path / "2.fastq").open("wb") as second:
        for read in read_fastq(folder / "baseline.fastq.gz"):
            name, bases, qualities = read.name.encode(), read.sequence, read.qualities
            turned = reverse_complement(bases)
            first.write(b"@%s\n%s\n+\n%s\n" % (name, bases[:150], qualities[:150]))
            second.write(b"@%s\n%s\n+\n%s\n" % (name, turned[:150], qualities[::-1][:150]))
    run = nadir_ngs(
        "index", tmp_path / "1.fastq", tmp_path / "2.fastq", "--out", tmp_path / "m.json",
        "--spike-ins", folder / "spike_ins.tsv", "--cells", 6000, "--patient", "NDR-007",
    )  # fmt: skip
    assert run.exit_code == 0
    paired, merged = json.loads((tmp_path / "m.json").read_text()), json.loads(markers.read_text())
    assert paired["reads"] == {
        **merged["reads"],
        **dict.fromkeys(paired["reads"].keys() - merged["reads"].keys(), 0),
    }
    assert paired["markers"] == merged["markers"]


def test_clones_writes_the_table_and_says_how_diverse(folder: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "a.airr.tsv", tmp_path / "b.airr.tsv"]
    for out in outs:
        run = nadir_ngs(
            "clones", folder / "baseline.fastq.gz", "--out", out, "--json", "--rarefy", 100,
            "--spike-ins", folder / "spike_ins.tsv", "--cells", 6000,
        )  # fmt: skip
    assert run.exit_code == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    document = json.loads(run.stdout)
    assert sum(document["kept_reads"].values()) == document["reads"]["kept"]
    (diversity,) = document["diversity"]
    assert diversity["locus"] == "IGH"
    assert diversity["counted"] == "templates"
    assert diversity["largest_share"] > 0.5
    assert "IGH: " in run.stderr
    assert "Gini-Simpson" in run.stderr
    truth = json.loads((folder / "truth.json").read_text())
    header, first = (line.split("\t") for line in outs[0].read_text().splitlines()[:2])
    assert dict(zip(header, first, strict=True))["junction"] == truth["clone"]["junction"]


def other_patient(markers: Path, path: Path) -> Path:
    """A second patient, whose marker is in no sample."""
    document = json.loads(markers.read_text())
    for marker in document["markers"]:
        marker["patient_id"] = "NDR-008"
        marker["sequence"] = marker["sequence"].translate(str.maketrans("ACGT", "CGTA"))
    path.write_text(json.dumps(document))
    return path


def test_control_judges_a_run_and_track_heeds_it(markers: Path, folder: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "control.json", other_patient(markers, tmp_path / "other.json")
    run = nadir_ngs(
        "control", folder / "baseline.fastq.gz", folder / "mrd_1e-3.fastq.gz", folder / "neg_near.fastq.gz",
        "--patient", "NDR-007", "--patient", "NDR-007", "--patient", "NDR-008",
        "--markers", markers, "--markers", other, "--out", out, "--json",
        "--spike-ins", folder / "spike_ins.tsv",
    )  # fmt: skip
    assert run.exit_code == 0
    assert "hopping: 0 of a sample's reads" in run.stderr
    assert "sample 3 (NDR-008): passed" in run.stderr
    document = json.loads(out.read_text())
    assert json.loads(run.stdout) == document
    assert document["passed"] is True
    result = tmp_path / "result.json"
    tracked = nadir_ngs(
        "track", folder / "mrd_1e-3.fastq.gz", "--markers", markers, "--out", result, "--control", out,
        "--spike-ins", folder / "spike_ins.tsv", "--cells", 300_000,
    )  # fmt: skip
    assert tracked.exit_code == 0
    (evidence,) = json.loads(result.read_text())["evidence"]
    assert 0 < evidence["hopped_reads"] < evidence["window"]["exact"]
    assert "reads expected from other samples of the run" in tracked.stderr


def test_exchanged_samples_fail_the_gate_and_are_named(markers: Path, folder: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "control.json", other_patient(markers, tmp_path / "other.json")
    with pytest.raises(GateFailed, match="1 of 2 samples of the run failed its control"):
        nadir_ngs(
            "control", folder / "neg_near.fastq.gz", folder / "mrd_1e-3.fastq.gz",
            "--markers", markers, "--markers", other, "--out", out,
        )  # fmt: skip
    document = json.loads(out.read_text())
    assert [sample["passed"] for sample in document["samples"]] == [True, False]
    assert "exchanged sample suspected" in document["samples"][1]["problems"][0]


@pytest.mark.parametrize(
    ("patients", "cause"),
    [((), "whose sample is whose is not clear"), (("NDR-007",), "1 times --patient for 2 samples")],
)
def test_control_asks_whose_sample_is_whose(
    markers: Path, folder: Path, tmp_path: Path, patients: tuple[str, ...], cause: str
) -> None:
    options = [word for patient in patients for word in ("--patient", patient)]
    with pytest.raises(UsageError, match=cause):
        nadir_ngs(
            "control", folder / "neg_near.fastq.gz", folder / "mrd_1e-3.fastq.gz", *options,
            "--markers", markers, "--out", tmp_path / "c.json",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cause"),
    [("{", "is not JSON"), ("{}", "holds no findings"), ('{"findings": []}', "does not know this sample")],
)
def test_a_control_of_another_run_is_refused(
    markers: Path, folder: Path, tmp_path: Path, text: str, cause: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(InputRefused, match=cause):
        nadir_ngs(
            "track", folder / "neg_near.fastq.gz", "--markers", markers, "--out", tmp_path / "r.json",
            "--control", path,
        )  # fmt: skip


def test_simulate_writes_libraries_and_truth(tmp_path: Path) -> None:
    run = nadir_ngs(
        "simulate", "--out", tmp_path / "sim", "--seed", 3, "--mrd", "1e-2", "--reads", 1000,
        "--cells", 20_000, "--b-cells", 50, "--spike-copies", 5, "--json",
    )  # fmt: skip
    assert run.exit_code == 0
    truth = json.loads(run.stdout)
    assert truth == json.loads((tmp_path / "sim" / "truth.json").read_text())
    assert sorted(truth["libraries"]) == ["baseline", "mrd_1e-2", "neg_near"]


@pytest.mark.parametrize("command", ["index", "track", "clones", "control", "simulate"])
def test_help_names_every_option_in_words(command: str) -> None:
    run = nadir_ngs(command, "--help")
    assert run.exit_code == 0
    assert "--out" in run.stdout
    assert "--json" in run.stdout


def test_a_studys_run_choices_are_honoured(folder: Path, tmp_path: Path) -> None:
    config, out = tmp_path / "study.toml", tmp_path / "m.json"
    config.write_text("[study]\nid = 'S'\n[ngs]\nmarker_rules = 'clonoseq_like'\n")
    given = ("index", folder / "baseline.fastq.gz", "--out", out, "--spike-ins", folder / "spike_ins.tsv")
    assert nadir_ngs(*given, "--cells", 6000, "--config", config).exit_code == 0
    document = json.loads(out.read_text())
    assert document["settings"]["marker_rules"] == "clonoseq_like"
    assert {marker["rule_set"] for marker in document["markers"]} == {"clonoseq_like 1"}


def test_an_unknown_run_choice_is_refused_with_the_nearest(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "study.toml"
    config.write_text("[ngs]\nmarker_rule = 'x'\n")
    given = ("index", folder / "baseline.fastq.gz", "--out", tmp_path / "m.json", "--config", config)
    with pytest.raises(ConfigRefused, match=r"ngs\.marker_rule .*did you mean 'marker_rules'"):
        nadir_ngs(*given)


def test_track_looks_a_subclone_up_at_diagnosis(markers: Path, folder: Path, tmp_path: Path) -> None:
    given = ("track", folder / "neg_near.fastq.gz", "--markers", markers, "--spike-ins",
             folder / "spike_ins.tsv", "--cells", 300_000, "--out", tmp_path / "r.json")  # fmt: skip
    for option, said in (
        ((), "baseline not known"),
        (("--baseline", folder / "baseline.fastq.gz"), "not seen at baseline"),
    ):
        run = nadir_ngs(*given, *option)
        assert run.exit_code == 0
        assert said in run.stderr
        assert "NOT_DETECTED" in run.stderr


@pytest.mark.parametrize(
    "option", [("--kind", "IGX"), ("--umi-nt", 8, "--umi-in", "second"), ("--mates-nt", 20)]
)
def test_simulate_refuses_what_it_cannot_make(option: tuple[object, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kind must be one of|umi_in must be|mates_nt must be"):
        nadir_ngs("simulate", "--out", tmp_path, "--reads", 1000, "--cells", 20_000, *option)


def test_mates_with_umis_from_simulation_to_result(tmp_path: Path) -> None:
    """Molecules are counted, of both markers; the estimate covers the truth."""
    given = ("--seed", 5, "--mrd", 2e-3, "--reads", 12_000, "--cells", 100_000, "--b-cells", 500)
    run = nadir_ngs(
        "simulate", "--out", tmp_path, *given, "--umi-nt", 10, "--umi-in", "first", "--mates-nt", 160,
        "--kind", "IGK",
    )  # fmt: skip
    assert run.exit_code == 0
    truth = json.loads((tmp_path / "truth.json").read_text())
    config = tmp_path / "study.toml"
    config.write_text("[ngs]\numi_source = 'first'\numi_length_nt = 10\n")
    spikes = ("--spike-ins", tmp_path / "spike_ins.tsv", "--config", config)
    mates = [tmp_path / f"baseline_R{n}.fastq.gz" for n in (1, 2)]
    assert nadir_ngs("index", *mates, *spikes, "--cells", 2000, "--out", tmp_path / "m.json").exit_code == 0
    mates = [tmp_path / f"mrd_2e-3_R{n}.fastq.gz" for n in (1, 2)]
    out = tmp_path / "r.json"
    run = nadir_ngs(
        "track", *mates, *spikes, "--cells", 100_000, "--markers", tmp_path / "m.json", "--out", out
    )
    assert run.exit_code == 0
    document = json.loads(out.read_text())
    assert document["counted"] == "molecules"
    assert document["umis"]["families"] > 500
    assert (
        document["reads"]["input"] == 12_000 == sum(v for k, v in document["reads"].items() if k != "input")
    )
    heavy = next(t for t in document["targets"] if t["target_id"] == "IGH-1")
    library = truth["libraries"]["mrd_2e-3"]
    assert heavy["ci_low"] <= library["clone_cells"] / library["cells"] <= heavy["ci_high"]
