"""``nadir chip call``: a BAM file to variants, genes with their limits, and a result."""

import csv
import json
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from chip.coverage import coding_intervals
from chip.rules.change import parse_change
from chip.rules.rule_set import load_rule_set
from chip.rules.verdict import classify
from pipeline.cli.main import main
from pipeline.formats.bed import read_targets
from pipeline.variants.effect import Annotator
from pipeline.variants.gene_models import read_gene_models
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import LibraryDesign
from pipeline.variants.simulation.library import LibraryFiles, simulate_library
from pipeline.variants.simulation.planted import PlantedVariant


@dataclass(frozen=True, kw_only=True)
class PanelFiles:
    """The reference of 51 genes, and the targets of some of them."""

    reference: Path
    genes: Path
    targets: Path


def panel(shared_data, folder, names):
    """Targets: coding exons and splice sites of the genes named."""
    files = PanelFiles(
        reference=shared_data / "chip_reference/panel51.fa.gz",
        genes=shared_data / "chip_reference/panel51.gff3",
        targets=folder / "targets.bed",
    )
    with Reference(files.reference) as bases:
        models = read_gene_models(files.genes, reference=bases)
        lines = [
            f"{t.contig}\t{start}\t{end}\n"
            for t in models.transcripts
            if t.gene in names
            for start, end in coding_intervals(t)
        ]
    files.targets.write_text("".join(lines))
    return files


def draw_drivers(files, names, *, each, vaf, rng):
    """Substitutions that the rules call IN, as far from each other as a fragment is wide or nearly so."""
    rules = load_rule_set("topmed_2022")
    found = []
    with Reference(files.reference) as bases:
        models = read_gene_models(files.genes, reference=bases)
        annotator = Annotator(bases, models)
        for transcript in models.transcripts:
            if transcript.gene in names:
                found += _drivers_of(transcript, annotator, rules, each, vaf, rng)
    return found


def _drivers_of(transcript, annotator, rules, each, vaf, rng):
    found = []
    intervals = [(s, e) for s, e in coding_intervals(transcript) if e - s > 12]
    for _ in range(400):
        start, end = intervals[int(rng.integers(len(intervals)))]
        at = int(rng.integers(start + 2, end - 2))
        ref = annotator.reference.bases(transcript.contig, at, at + 1)
        alt = "ACGT"[int(rng.integers(4))]
        if ref == "N" or alt == ref or any(abs(at - v.start) < 60 for v in found):
            continue
        effects = annotator.effects(transcript.contig, at + 1, ref, alt)
        effect = next(e for e in effects if e.gene == transcript.gene)
        change = parse_change(effect.gene, effect.hgvs_p or "", effect.hgvs_c or "", effect.terms)
        if classify(change, rules).decided.verdict == "IN":
            found.append(PlantedVariant(contig=transcript.contig, start=at, ref=ref, alt=alt, vaf=vaf))
        if len(found) == each:
            break
    return found


def write_library(path, files, planted, *, molecules, rng):
    """A sorted, indexed BAM of a duplex UMI library with the simulator's default errors; gives its truth."""
    with Reference(files.reference) as bases:
        return simulate_library(
            bases,
            read_targets(files.targets, bases.lengths_nt),
            planted,
            LibraryDesign(depth_molecules=molecules),
            rng,
            LibraryFiles(bam=path),
            sample="s",
        )


R552 = PlantedVariant(contig="PPM1D", start=63_273, ref="C", alt="T", vaf=0.05)


def call(bam, files, out, *more):
    """Run the command in this process; gives exit code and what it said."""
    command = [
        "nadir", "chip", "call", str(bam), "--reference", str(files.reference), "--genes", str(files.genes),
        "--targets", str(files.targets), "--out", str(out), *more,
    ]  # fmt: skip
    said = StringIO()
    with patch.object(sys, "argv", command), redirect_stderr(said):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    return code, said.getvalue()


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def files(shared_data, tmp_path_factory):
    return panel(shared_data, tmp_path_factory.mktemp("panel"), ("PPM1D",))


@pytest.fixture(scope="module")
def carrier(files, tmp_path_factory):
    """A library of 500 molecules with PPM1D R552* at 5 %, called."""
    folder = tmp_path_factory.mktemp("carrier")
    write_library(folder / "s.bam", files, [R552], molecules=500, rng=np.random.default_rng(1))
    code, said = call(folder / "s.bam", files, folder / "chip.tsv")
    assert code == 0, said
    return folder


@pytest.fixture(scope="module")
def blank(files, tmp_path_factory):
    """The same without a variant."""
    folder = tmp_path_factory.mktemp("blank")
    write_library(folder / "s.bam", files, [], molecules=500, rng=np.random.default_rng(2))
    code, said = call(folder / "s.bam", files, folder / "chip.tsv")
    assert code == 0, said
    return folder


def test_a_driver_in_a_bam_file_is_in_at_its_fraction(carrier):
    (row,) = [r for r in rows(carrier / "chip.tsv") if r["verdict"] == "IN"]
    assert (row["gene"], row["pos"], row["hgvsp"].split("p.")[1]) == ("PPM1D", "63274", "Arg552Ter")
    assert float(row["vaf_low"]) < 0.05 < float(row["vaf_high"])
    assert row["counted"] == "molecules"
    result = json.loads((carrier / "chip.result.json").read_text())
    assert (result["status"], result["at_threshold"], result["genes"]) == ("DETECTED", "POS", "PPM1D")


def test_no_driver_is_said_with_the_limit_of_the_gene(blank):
    result = json.loads((blank / "chip.result.json").read_text())
    assert (result["status"], result["at_threshold"]) == ("NOT_DETECTED", "NEG")
    assert 0.005 < result["lod"] <= 0.02
    (gene,) = [g for g in rows(blank / "chip.genes.tsv") if g["status"] == "evaluable"]
    assert gene["gene"] == "PPM1D"
    assert float(gene["detectable_vaf"]) == pytest.approx(result["lod"], rel=1e-3)
    assert float(gene["molecules_median"]) == pytest.approx(500, rel=0.1)


def test_everything_not_in_has_a_reason(carrier, blank):
    found = [*rows(carrier / "chip.tsv"), *rows(blank / "chip.tsv")]
    assert all(r["reason"] for r in found)
    assert sum(r["verdict"] == "REVIEW" for r in found) == 0


def test_the_same_file_gives_the_same_bytes(carrier, files, tmp_path):
    assert call(carrier / "s.bam", files, tmp_path / "chip.tsv")[0] == 0
    for name in ("chip.tsv", "chip.genes.tsv", "chip.result.json"):
        assert (tmp_path / name).read_bytes() == (carrier / name).read_bytes()


def test_a_bam_that_is_not_there_or_empty_is_refused(files, tmp_path):
    code, said = call(tmp_path / "absent.bam", files, tmp_path / "chip.tsv")
    assert (code, "there is no such file" in said) == (3, True)
    (tmp_path / "empty.bam").write_bytes(b"")
    code, _ = call(tmp_path / "empty.bam", files, tmp_path / "chip.tsv")
    assert code == 3
    assert not (tmp_path / "chip.tsv").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("vaf", "molecules"), [(0.02, 500), (0.01, 1000)])
def test_drivers_at_the_threshold_are_found_and_little_else(shared_data, tmp_path, vaf, molecules):
    """Recall of at least 95 %, no false driver, fractions within 3 % of the molecules that were drawn."""
    names = ("DNMT3A", "PPM1D", "TP53")
    files = panel(shared_data, tmp_path, names)
    rng = np.random.default_rng(17)
    planted = draw_drivers(files, names, each=12, vaf=vaf, rng=rng)
    truth = write_library(tmp_path / "s.bam", files, planted, molecules=molecules, rng=rng)
    assert call(tmp_path / "s.bam", files, tmp_path / "chip.tsv", "--sex", "F")[0] == 0
    found = {(r["chrom"], int(r["pos"]), r["alt"]): r for r in rows(tmp_path / "chip.tsv")}
    drawn = {
        (v.contig, v.start + 1, v.alt): mutant / all_molecules
        for v, (all_molecules, mutant, _, _) in zip(truth.planted, truth.tally.tolist(), strict=True)
    }
    assert len(drawn) >= 25
    hits = {key: found[key] for key in drawn if key in found and found[key]["verdict"] == "IN"}
    assert len(hits) >= 0.95 * len(drawn)
    seen = np.mean([float(r["vaf"]) for r in hits.values()])
    assert seen == pytest.approx(np.mean([drawn[key] for key in hits]), rel=0.03)
    assert not [key for key, r in found.items() if key not in drawn and r["verdict"] == "IN"]
