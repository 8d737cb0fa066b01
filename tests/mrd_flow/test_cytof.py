"""A mass cytometry run from files to populations: what is counted, compared, flagged and refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.study_cytof import MEANT
from mrd_flow.cytof.comparison import share_difference
from mrd_flow.cytof.panel import load_cytof_panel
from mrd_flow.cytof.parts import LIVE_CELLS
from mrd_flow.cytof.read import read_run
from mrd_flow.cytof.run import analyse_run
from mrd_flow.cytof.simulate import simulate_events, simulate_run
from mrd_flow.cytof.simulated_cells import CELLS, EventKind, Marrow, RunModel, after_daratumumab
from mrd_flow.fcs.writer import Column, write_fcs
from pipeline.detection import clopper_pearson, newcombe
from pipeline.errors import InputRefused, UsageError

PANEL = load_cytof_panel("marrow")
PLAIN = PANEL.model_copy(update={"barcodes": None})
PAIR = ("S01", "S02")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty samples, every second one after daratumumab."""
    folder = tmp_path_factory.mktemp("cytof")
    marrows = [Marrow(), after_daratumumab(Marrow())] * 10
    simulate_run(folder, PANEL, marrows, events=60_000, rng=np.random.default_rng(11))
    return folder


@pytest.fixture(scope="module")
def truth(folder):
    with np.load(folder / "truth.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def run(folder):
    return read_run([folder / "run.fcs"], PANEL)


@pytest.fixture(scope="module")
def result(run):
    return analyse_run(run, PANEL, comparisons=[PAIR])


def with_column(run, column, values):
    table = run.table.copy()
    table[:, run.columns.index(column)] = values
    return replace(run, table=table)


def written(path, columns, table):
    write_fcs(path, [Column(name=c) for c in columns], [table.astype(np.float32)], events=len(table))
    return path


def codes(result):
    return {f.code for f in result.flags}


def test_assigned_cells_are_of_their_sample(result, truth):
    assigned = result.sample >= 0
    whole = np.isin(truth["kind"], (EventKind.CELL, EventKind.DEAD))
    assert (whole & (truth["sample"] == result.sample))[assigned].mean() >= 0.99
    assert assigned[truth["kind"] == EventKind.CELL].mean() > 0.84


def test_dead_cells_doublets_debris_and_beads_are_no_live_cells(result, truth):
    kept = [
        (result.member[LIVE_CELLS] & (truth["kind"] == kind)).sum() / (truth["kind"] == kind).sum()
        for kind in (EventKind.DEAD, EventKind.DOUBLET, EventKind.DEBRIS, EventKind.BEAD)
    ]
    assert max(kept) < 0.05


def test_every_population_is_made_of_its_cells(result, truth):
    single = (truth["kind"] == EventKind.CELL) & result.member[LIVE_CELLS]
    for name, kinds in MEANT.items():
        meant = single & np.isin(truth["cell"], [list(CELLS).index(k) for k in kinds])
        both = int((meant & result.member[name]).sum())
        assert both / meant.sum() > 0.93, name
        assert both / result.member[name].sum() > 0.95, name


def test_counts_add_up_and_carry_exact_intervals(result):
    counts = {(p.sample, p.population): p for p in result.populations}
    for p in result.populations:
        assert (p.ci_low, p.ci_high) == clopper_pearson(p.count, p.denominator)
        assert p.fraction == p.count / p.denominator
    for sample in result.samples:
        own = result.sample == result.samples.index(sample)
        assert counts[sample, "t_cells"].denominator == own.sum()
        parts = [counts[sample, n].count for n in ("t_cd4", "t_cd8")]
        assert sum(parts) <= counts[sample, "t_cells"].count
        assert (
            sum(counts[sample, n].count for n in ("b_mature", "b_precursors"))
            == counts[sample, "b_cells"].count
        )


def test_the_doubt_about_the_cuts_only_widens(result):
    for count, doubt in zip(result.populations, result.doubts, strict=True):
        assert (count.sample, count.population) == (doubt.sample, doubt.population)
        assert doubt.ci_low <= count.ci_low <= count.fraction <= count.ci_high <= doubt.ci_high
    assert max(d.down for d in result.doubts) > 0


def test_the_debarcoding_table_counts_every_live_cell_once(result):
    assert sum(y.assigned for y in result.yields) == result.live_cells
    assert sum(y.closest for y in result.yields) == result.live_cells
    assert result.yields[-1].sample == "unassigned"


def test_treatment_shows_in_the_comparison(result):
    found = {(d.population, d.measure): d for d in result.differences}
    assert found["nk_cells", "fraction"].ci_high < 0
    assert found["plasma_cells", "fraction"].ci_high < 0
    assert found["t_cd8", "fraction"].ci_low > 0
    assert found["nk_cells", "masking_low"].ci_low > 0.5
    assert {d.first for d in result.differences} == {"S01"}


def test_masking_of_all_populations_is_told_from_loss(result, run):
    """The simulated drug hides CD38 everywhere; loss on plasma cells alone does not look so."""
    assert {"masking_possible", "masking_everywhere"} <= codes(result)
    cd38 = run.of("Yb172").copy()
    lost = result.member["plasma_cells"] & (result.sample == 2)
    only_plasma_cells = with_column(run, "Yb172", np.where(lost, cd38 * 0.01, cd38))
    again = analyse_run(only_plasma_cells, PANEL, comparisons=[("S01", "S03")])
    assert "masking_everywhere" not in codes(again)
    (found,) = (d for d in again.differences if (d.population, d.measure) == ("plasma_cells", "masking_low"))
    assert found.ci_low > 0.8


def test_a_clone_that_does_not_compete_is_believed(run):
    verified = PANEL.model_copy(update={"masking_competes": False})
    assert "masking_possible" not in codes(analyse_run(run, verified))


def test_medians_of_cd38_order_the_populations(result):
    medians = {m.population: m.median for m in result.masking if m.sample == "S01"}
    assert medians["plasma_cells"] > medians["nk_cells"] > medians["monocytes"] > medians["b_mature"]


def test_the_same_run_in_two_files_counts_the_same_cells(run, folder, tmp_path):
    half = len(run.table) // 2
    paths = [
        written(tmp_path / f"{i}.fcs", run.columns, part)
        for i, part in enumerate((run.table[:half], run.table[half:]))
    ]
    both = analyse_run(read_run(paths, PANEL), PANEL)
    whole = analyse_run(run, PANEL)
    assert both.assigned == pytest.approx(whole.assigned, rel=0.005)


def test_without_barcodes_each_file_is_a_sample(tmp_path):
    paths = []
    for number, marrow in enumerate((Marrow(), after_daratumumab(Marrow()))):
        columns, table, _ = simulate_events(
            PLAIN, [marrow], events=20_000, rng=np.random.default_rng([5, number])
        )
        paths.append(written(tmp_path / f"{number}.fcs", columns, table))
    read = read_run(paths, PLAIN)
    found = analyse_run(read, PLAIN, samples=("before", "after"), comparisons=[("before", "after")])
    assert found.samples == ("before", "after")
    assert found.yields == ()
    (nk,) = (d for d in found.differences if (d.population, d.measure) == ("nk_cells", "fraction"))
    assert nk.ci_low <= nk.difference <= nk.ci_high < 0
    assert analyse_run(read, PLAIN).samples == ("file_1", "file_2")


@pytest.mark.parametrize(
    ("panel", "samples", "pairs", "match"),
    [
        (PANEL, ("a",), (), "key names the samples"),
        (PLAIN, ("a", "b"), (), "one sample id for each of the 1 files"),
        (PLAIN, ("Yamada_Taro",), (), "must be a pseudonym"),
        (PLAIN, ("../x",), (), "must be a pseudonym"),
        (PANEL, (), (("S01", "Yamada_Taro"),), "two different samples"),
        (PANEL, (), (("S01", "S01"),), "two different samples"),
    ],
)
def test_ids_that_do_not_fit_are_refused_and_not_repeated(run, panel, samples, pairs, match):
    with pytest.raises(UsageError, match=match) as refused:
        analyse_run(run, panel, samples=samples, comparisons=pairs)
    assert "Yamada" not in str(refused.value)


def test_a_wrong_key_leaves_every_cell_unassigned_and_says_so(run):
    """All palladium equally bright: no event has a third and a fourth channel apart."""
    table = run.table.copy()
    for metal in PANEL.barcodes.metals:
        table[:, run.columns.index(metal)] = 100.0
    found = analyse_run(replace(run, table=table), PANEL, comparisons=[PAIR])
    assert found.assigned == 0
    assert "all_unassigned" in codes(found)
    assert {p.count for p in found.populations} == {0}
    assert {(p.fraction, p.ci_low) for p in found.populations} == {(None, None)}
    assert all(d.difference is None for d in found.differences)


def test_an_empty_run_gives_no_number_and_a_flag(run):
    empty = replace(run, table=run.table[:0], file=run.file[:0])
    found = analyse_run(empty, PANEL)
    assert {"no_live_cells", "drift_not_checked"} <= codes(found)
    assert all(p.fraction is None for p in found.populations)


def test_events_that_are_no_numbers_are_left_out_and_counted(run, tmp_path):
    table = run.table.copy()
    table[:7, 0] = np.nan
    table[7, 3] = np.inf
    read = read_run([written(tmp_path / "x.fcs", run.columns, table)], PANEL)
    assert len(read.table) == len(table) - 8
    assert any(f.code == "not_finite" and "8 events" in f.text for f in read.flags)


def test_a_sample_that_nothing_was_assigned_to_is_named(run, truth):
    gone = replace(run, table=run.table[truth["sample"] != 4], file=run.file[truth["sample"] != 4])
    found = analyse_run(gone, PANEL)
    (flag,) = (f for f in found.flags if f.code == "sample_empty")
    assert "S05: these may be stray" in flag.text


def test_a_file_without_gaussian_parameters_is_read_with_its_gates_left_out(run, tmp_path):
    gaussian = ("Center", "Offset", "Width", "Residual")
    keep = [i for i, c in enumerate(run.columns) if c not in gaussian]
    path = written(tmp_path / "x.fcs", [run.columns[i] for i in keep], run.table[:, keep])
    found = analyse_run(read_run([path], PANEL), PANEL)
    assert sum(f.code == "gate_left_out" for f in found.flags) == 4
    assert {s.gate for s in found.steps} == {"dna_191", "dna_193", "event_length", "live"}


def test_a_parameter_that_is_the_same_for_all_cuts_nothing_and_is_flagged(run):
    """Converted files hold columns of zeros."""
    found = analyse_run(with_column(run, "Center", 0.0), PANEL)
    (step,) = (s for s in found.steps if s.gate == "center")
    assert (step.low, step.high, step.events_out) == (None, None, step.events_in)
    assert any(f.code == "gate_left_out" and f.text.startswith("center") for f in found.flags)


@pytest.mark.parametrize(
    ("drop", "match"),
    [
        ("Event_length", "no mass cytometry file"),
        ("Pd104", "lacks barcode channel Pd104"),
        ("Ce140", "lacks Ce140"),
        ("Er170", r"lacks CD3 \(Er170\)"),
        ("Ir191", r"lacks DNA1 \(Ir191\)"),
    ],
)
def test_a_file_without_a_channel_is_refused_by_its_name(run, tmp_path, drop, match):
    keep = [i for i, c in enumerate(run.columns) if c != drop]
    path = written(tmp_path / "x.fcs", [run.columns[i] for i in keep], run.table[:9, keep])
    with pytest.raises(InputRefused, match=match):
        read_run([path], PANEL)


def test_a_fluorescence_file_is_refused(shared_data):
    with pytest.raises(InputRefused, match="no mass cytometry file"):
        read_run([shared_data / "flow" / "files" / "data1.fcs"], PANEL)


@pytest.mark.parametrize("spelling", ["{s}{m}Di", "({s}{m})Dd", "{m}{s}_x", "X({s}{m})Dd", "{s}{m}"])
def test_metals_are_found_however_they_are_spelled(run, tmp_path, spelling):
    named = [
        spelling.format(s=c.rstrip("0123456789"), m=c.lstrip("AaBbCcDdEeGgHhIiLlMmNnOoPprSstTuYy"))
        if c[-1].isdigit()
        else c
        for c in run.columns
    ]
    read = read_run([written(tmp_path / "x.fcs", named, run.table[:50])], PANEL)
    assert read.columns == run.columns
    assert np.array_equal(read.table, run.table[:50])


def test_a_metal_that_stands_twice_is_refused(run, tmp_path):
    columns = [*run.columns, "Er170Dd"]
    table = np.column_stack([run.table[:9], np.zeros(9)])
    with pytest.raises(InputRefused, match="several parameters are for Er170"):
        read_run([written(tmp_path / "x.fcs", columns, table)], PANEL)


def test_another_marker_on_the_metal_is_refused(run, tmp_path):
    columns = [Column(name=c, stain="170Er_CD19" if c == "Er170" else "") for c in run.columns]
    write_fcs(tmp_path / "x.fcs", columns, [run.table[:9]], events=9)
    with pytest.raises(InputRefused, match="another marker of the template on Er170"):
        read_run([tmp_path / "x.fcs"], PANEL)


def test_hostile_names_and_keywords_do_no_harm(run, tmp_path):
    columns = [Column(name=c, stain="=cmd|' /C calc'!A0\x1b[31m" if c == "Y89" else "") for c in run.columns]
    path = tmp_path / "Yamada_Taro\x1b[31m.fcs"
    write_fcs(path, columns, [run.table[:500]], events=500, keywords=(("$FIL", "../../etc/passwd"),))
    found = analyse_run(read_run([path], PANEL), PANEL)
    assert not any("Yamada" in f.text or "passwd" in f.text or "\x1b" in f.text for f in found.flags)


def test_the_same_file_twice_or_no_file_is_a_usage_error(folder):
    with pytest.raises(UsageError, match="given twice"):
        read_run([folder / "run.fcs"] * 2, PANEL)
    with pytest.raises(UsageError, match="at least one file"):
        read_run([], PANEL)


def test_a_few_cells_fall_back_to_the_template_and_say_so(run):
    few = replace(run, table=run.table[:300], file=run.file[:300])
    found = analyse_run(few, PANEL)
    assert "cut_fell_back" in codes(found)
    assert found.cuts["CD19"].at == PANEL.cuts["CD19"].at


def test_the_interval_of_a_difference_is_newcombe_s_published_one():
    """Newcombe 1998, table II, example (a), method 10: 56/70 against 48/80."""
    low, high = newcombe((48, 80), (56, 70))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@pytest.mark.parametrize(("first", "second"), [((0, 10), (0, 20)), ((10, 10), (0, 5)), ((3, 9), (9, 9))])
def test_a_difference_stays_within_its_interval_and_turns_with_its_sign(first, second):
    forth = share_difference(PAIR, ("a", "a"), "fraction", [first, second])
    back = share_difference(PAIR, ("a", "a"), "fraction", [second, first])
    assert -1 <= forth.ci_low <= forth.difference <= forth.ci_high <= 1
    assert (back.ci_low, back.ci_high) == pytest.approx((-forth.ci_high, -forth.ci_low))


def test_a_simulated_run_is_the_same_bytes_for_the_same_seed(tmp_path):
    for name in ("a", "b"):
        rng = np.random.default_rng(9)
        simulate_run(tmp_path / name, PANEL, [Marrow()] * 20, events=2000, rng=rng)
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["run.fcs", "truth.json", "truth.npz"]
    for name in ("run.fcs", "truth.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    told = json.loads((tmp_path / "a" / "truth.json").read_text())
    assert sum(told["events"].values()) == 2000


@pytest.mark.parametrize(
    ("marrows", "events", "model"),
    [
        (19, 10, RunModel()),
        (20, -1, RunModel()),
        (20, 10, RunModel(drift=0.95)),
        (20, 10, RunModel(dead=0.99)),
    ],
)
def test_the_simulator_refuses_what_cannot_be(marrows, events, model):
    with pytest.raises(ValueError, match=r"marrows|out of range"):
        simulate_events(PANEL, [Marrow()] * marrows, events=events, rng=np.random.default_rng(1), model=model)


@pytest.mark.parametrize("shares", [{"t_cd4": 0.5}, {"unicorn": 1.0}, {"t_cd4": 1.5, "t_cd8": -0.5}])
def test_a_marrow_has_known_cells_that_sum_to_one(shares):
    with pytest.raises(ValueError, match="shares must"):
        Marrow(shares=shares)
