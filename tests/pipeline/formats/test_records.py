"""What is written is what is read, in JSON and in Parquet."""

from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DamagedFile
from pipeline.formats.records import from_json, read_parquet, to_json, write_parquet
from pipeline.model import Assay, GateCount, Material, MrdResult, Sample, Status
from results import mrd_result


def test_result_survives_json_and_parquet(tmp_path):
    results = [
        mrd_result(),
        mrd_result(
            status=Status.NOT_EVALUABLE,
            value=None,
            ci_low=None,
            ci_high=None,
            lod=None,
            loq=None,
            denominator=0,
        ),
    ]
    assert [from_json(MrdResult, to_json(r)) for r in results] == results
    write_parquet(tmp_path / "mrd.parquet", MrdResult, results)
    assert read_parquet(tmp_path / "mrd.parquet", MrdResult) == results


def test_parquet_columns_are_the_fields_and_empty_tables_keep_them(tmp_path):
    import pyarrow.parquet as pq

    for record_type in (MrdResult, GateCount):
        write_parquet(tmp_path / "x.parquet", record_type, [])
        assert pq.read_schema(tmp_path / "x.parquet").names == [f.name for f in fields(record_type)]
        assert read_parquet(tmp_path / "x.parquet", record_type) == []


def test_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_parquet(tmp_path / name, MrdResult, [mrd_result(), mrd_result(timepoint="CONS")])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(st.floats(1e-9, 1), st.text(max_size=20), st.integers(0, 10**9))
def test_any_number_and_text_survive_json(lod, qc, numerator):
    result = mrd_result(lod=lod, qc=qc, numerator=numerator)
    assert from_json(MrdResult, to_json(result)) == replace(result, numerator=float(numerator))


def test_sample_with_files_survives_json():
    sample = Sample(
        study_id="T1",
        patient_id="P01",
        timepoint="BASE",
        collected_on=date(2026, 1, 1),
        material=Material.BONE_MARROW,
        assay=Assay.NGS,
        files=(Path("a_1.fastq"), Path("a_2.fastq")),
        sha256=("", "0" * 64),
        spike_ins=Path("s.tsv"),
        cells=1000,
    )
    assert from_json(Sample, to_json(sample)) == sample


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "unknown keys in a MrdResult record"),
        ({"status": "NEGATIVE"}, "not a MrdResult record"),
        ({"lod": None}, "NOT_DETECTED result needs a limit of detection"),
        ({"lod_basis": None}, "a value is missing"),
        ({"lod": "1e-5"}, "expected float, found str"),
        ({"collected_on": "1 March"}, "not a MrdResult record"),
    ],
)
def test_records_that_are_none_are_refused(change, message):
    with pytest.raises(DamagedFile, match=message):
        from_json(MrdResult, {**to_json(mrd_result()), **change}, path="mrd.json")


def test_cut_parquet_is_refused(tmp_path):
    path = tmp_path / "mrd.parquet"
    write_parquet(path, MrdResult, [mrd_result()])
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DamagedFile, match="not a readable Parquet table"):
        read_parquet(path, MrdResult)
