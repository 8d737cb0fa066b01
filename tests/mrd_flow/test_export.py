"""A tube handed to other programs: gates, events and a record, which must be the result's own."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mrd_flow.call import call_patient
from mrd_flow.engine.gatingml import apply_gates
from mrd_flow.evidence import FlowSettings
from mrd_flow.export.gated_fcs import CLASS_CODES
from mrd_flow.export.miflowcyt import NOT_STATED
from mrd_flow.export.tube import export_tube, regated
from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.plasma_cells.classification import knowledge_of
from mrd_flow.plasma_cells.merged import merge_tubes, write_cells
from mrd_flow.read import count_sample, open_sample
from mrd_flow.result_document import result_document
from pipeline.errors import DamagedFile, InputRefused, UsageError
from pipeline.formats.atomic import write_json
from pipeline.formats.digest import sha256_file

PERSON = "Doe^Jane"


@pytest.fixture(scope="module")
def sample(tmp_path_factory, make_tubes, make_sample, euroflow):
    """Folder with a pair of tubes, their result and their cells; the file's keywords name a person."""
    folder = tmp_path_factory.mktemp("export")
    settings = FlowSettings()
    paths = []
    for number, (path, _) in enumerate(make_tubes(folder, euroflow, 40_000, 5e-3, 21), start=1):
        data = read_data_sets(path)[0]
        spillover = data.spillover
        named = folder / f"named_{number}.fcs"
        write_fcs(
            named,
            [Column(name=p.name, stain=p.stain) for p in data.parameters],
            data.chunks(),
            events=data.events,
            spillover=([data.parameters[c].name for c in spillover.columns], spillover.matrix),
            keywords=[
                ("$CYT", "<script>&\x1b"), ("$OP", PERSON), ("$SRC", PERSON), ("PATIENT ID", PERSON),
                ("$TIMESTEP", "0.01"), ("$P4V", "512"), ("$P5V", PERSON),
            ],
        )  # fmt: skip
        paths.append(named)
    opened = open_sample(make_sample(*paths), euroflow, settings)
    counted = count_sample(opened, knowledge_of(euroflow, settings, None), settings)
    calls = call_patient([counted.evidence], settings=settings)
    write_json(folder / "r.json", result_document(counted.evidence, calls, threshold=1e-5))
    write_cells(folder / "x.parquet", merge_tubes(counted.cells))
    return folder, paths, counted


def test_the_exported_gates_give_the_same_events(sample, tmp_path):
    folder, paths, counted = sample
    assert export_tube(paths[1], folder / "r.json", "gatingml", tmp_path / "g.xml") == len(
        counted.gated[1].gates
    )
    found = {g.gate: g for g in apply_gates(paths[1], tmp_path / "g.xml")}
    assert found.keys() == {t.gate for t in counted.gated[1].tallies}
    cells = np.flatnonzero(found["plasma_cells"].members)
    assert set(counted.gated[1].plasma_cell_events) <= set(cells)
    assert len(cells) - len(counted.gated[1].plasma_cells) <= counted.gated[1].excluded
    text = (tmp_path / "g.xml").read_text()
    assert 'population="neutrophils"' in text
    assert ET.fromstring(text).tag.endswith("Gating-ML")


def test_the_exported_cells_are_the_files_own_with_their_class(sample, tmp_path):
    import flowio

    folder, paths, counted = sample
    out = tmp_path / "cells.fcs"
    gated, found = counted.gated[1], counted.classified.tubes[2]
    assert export_tube(paths[1], folder / "r.json", "fcs", out, cells=folder / "x.parquet") == len(
        gated.plasma_cells
    )
    source, written = read_data_sets(paths[1])[0], read_data_sets(out)[0]
    table, width = written.table(), len(source.parameters)
    np.testing.assert_array_equal(table[:, :width], source.table()[gated.plasma_cell_events])
    np.testing.assert_allclose(written.spillover.matrix, source.spillover.matrix)
    assert int((table[:, width] == CLASS_CODES["aberrant"]).sum()) == int(found.aberrant.sum()) > 0
    np.testing.assert_allclose(table[:, width + 1], -np.log10(found.deviation_p), rtol=1e-6)
    assert [p.name for p in written.parameters[width:]][:2] == ["nadir class", "nadir deviation"]
    assert flowio.FlowData(str(out)).event_count == len(table)


def test_another_gate_without_classes(sample, tmp_path):
    folder, paths, counted = sample
    out = tmp_path / "cells.fcs"
    events = export_tube(paths[0], folder / "r.json", "fcs", out, gate="nucleated")
    assert events == counted.gated[0].count("nucleated") == read_data_sets(out)[0].events
    assert len(read_data_sets(out)[0].parameters) == len(read_data_sets(paths[0])[0].parameters)
    with pytest.raises(UsageError, match="no such gate"):
        export_tube(paths[0], folder / "r.json", "fcs", out, gate="nothing")


def test_the_record_says_what_is_known_and_names_nobody(sample, tmp_path):
    folder, paths, counted = sample
    out = tmp_path / "m.json"
    export_tube(paths[0], folder / "r.json", "miflowcyt", out)
    record = json.loads(out.read_text())
    assert record["data"]["file_sha256"] == sha256_file(paths[0])
    assert [g["count"] for g in record["gates"]] == [t.count for t in counted.gated[0].tallies]
    assert record["specimen"] == {
        "material": "bone_marrow", "subject": "P1", "organism": "Homo sapiens", "treatment": NOT_STATED,
    }  # fmt: skip
    reagent = record["reagents"][0]
    assert (reagent["analyte"], reagent["fluorochrome"], reagent["clone"]) == ("CD138", "BV421", NOT_STATED)
    voltages = [p["voltage"] for p in record["instrument"]["parameters"]]
    assert voltages[3:5] == ["512", NOT_STATED]
    assert record["instrument"]["model"] == "<script>&\\x1b"


def test_nothing_exported_names_a_person(sample, tmp_path):
    folder, paths, _ = sample
    for form in ("gatingml", "fcs", "miflowcyt"):
        export_tube(paths[0], folder / "r.json", form, tmp_path / form)
        assert PERSON.encode() in paths[0].read_bytes()
        assert PERSON.encode() not in (tmp_path / form).read_bytes()


def test_a_file_that_is_not_the_results_is_refused(sample, tmp_path, make_tubes, euroflow):
    folder, paths, _ = sample
    other, _ = make_tubes(tmp_path, euroflow, 2_000, 0.0, 3)[0]
    with pytest.raises(InputRefused, match="do not give the result's counts"):
        regated(other, folder / "r.json")
    document = json.loads((folder / "r.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps(document | {"panel_version": "0"}))
    with pytest.raises(InputRefused, match="another template, or another version"):
        regated(paths[0], tmp_path / "old.json")


@pytest.mark.parametrize(
    ("text", "what"),
    [("{", "not JSON"), ("[]", "not a result"), ('{"gates": [3]}', "not a result"), ("[" * 9999, "not JSON")],
)
def test_what_is_no_result_is_refused(sample, tmp_path, text, what):
    _, paths, _ = sample
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DamagedFile, match=what):
        regated(paths[0], tmp_path / "r.json")


def test_the_command_writes_what_the_function_does(sample, tmp_path):
    import typer
    from typer.testing import CliRunner

    from mrd_flow.export.cli import export

    app = typer.Typer()
    app.command()(export)
    folder, paths, counted = sample
    options = [str(paths[0]), "--result", str(folder / "r.json"), "--as", "fcs", "--out"]
    found = CliRunner().invoke(app, [*options, str(tmp_path / "a.fcs"), "--gate", "nucleated"])
    assert found.exit_code == 0
    assert f"{counted.gated[0].count('nucleated')} events; written to" in found.stderr
    export_tube(paths[0], folder / "r.json", "fcs", tmp_path / "b.fcs", gate="nucleated")
    assert sha256_file(tmp_path / "a.fcs") == sha256_file(tmp_path / "b.fcs")


def test_options_that_say_nothing_are_refused(sample, tmp_path):
    folder, paths, _ = sample
    with pytest.raises(UsageError, match="--as must be one of gatingml, fcs, miflowcyt"):
        export_tube(paths[0], folder / "r.json", "pdf", tmp_path / "x")
    with pytest.raises(UsageError, match="--as fcs only"):
        export_tube(paths[0], folder / "r.json", "gatingml", tmp_path / "x", gate="nucleated")
