"""Clonal haematopoiesis in a batch: the graft's variants with their verdicts, on tables and page."""

from batches import HEADER
from pipeline.formats.records import read_parquet
from pipeline.model import Status
from pipeline.model.chip import ChipGene, ChipResult, ChipVariant
from pipeline.workflow.run import run_batch

CONFIG = '[study]\nid = "T1"\ntimepoints = ["BASE", "PBSC"]\nthresholds = [1e-5]\n'
VARIANTS = (
    "gene\tprotein_change\tcdna_change\tvaf\tdepth\talt_depth\n"
    "DNMT3A\tR882H\tc.2645G>A\t0.05\t1000\t50\n"
    "TET2\tI1873T\tc.5618T>C\t0.49\t1000\t490\n"
    "TTN\tR100H\tc.299G>A\t0.05\t1000\t50\n"
)


def run(tmp_path, name):
    (tmp_path / "graft.tsv").write_text(VARIANTS)
    row = "P01,PBSC,2025-06-01,stem_cell_product,chip,graft.tsv,,C1,,,,panel51,F\n"
    (tmp_path / "sheet.csv").write_text(HEADER + row)
    (tmp_path / "config.toml").write_text(CONFIG)
    out = tmp_path / name
    run_batch(tmp_path / "sheet.csv", out, config_path=tmp_path / "config.toml", jobs=1)
    return out


def test_a_graft_has_its_result_its_variants_and_its_genes(tmp_path):
    out = run(tmp_path, "batch")
    results = read_parquet(out / "results" / "chip.parquet", ChipResult)
    variants = read_parquet(out / "results" / "chip_variants.parquet", ChipVariant)
    assert [(r.patient_id, r.timepoint, r.status, r.genes) for r in results] == [
        ("P01", "PBSC", Status.DETECTED, "DNMT3A")
    ]
    assert {v.gene: v.verdict for v in variants}["DNMT3A"] == "IN"
    assert {v.gene: v.verdict for v in variants}["TTN"] == "OUT"
    assert all(v.reason for v in variants)
    assert read_parquet(out / "results" / "chip_genes.parquet", ChipGene)
    page = (out / "report" / "patients" / "P01.html").read_text()
    assert "Clonal haematopoiesis" in page
    assert "R882H" in page
    assert "For research use only" in page


def test_a_second_run_repeats_nothing_and_leaves_the_same_bytes(tmp_path):
    first = run(tmp_path, "batch")
    before = {p: p.read_bytes() for p in (first / "results").rglob("*.parquet")}
    run(tmp_path, "batch")
    assert {p: p.read_bytes() for p in (first / "results").rglob("*.parquet")} == before
    assert (first / "tasks" / "P01.chip" / "events.jsonl").read_text().count('"started"') == 1
