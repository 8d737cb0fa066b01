"""The merged table marks what it imputes, imputes no light chain, and holds no NaN."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from mrd_flow.plasma_cells.merged import TubeCells, merge_tubes, write_cells

BACKBONE = ("FSC-A", "CD38", "CD19")


def cells(tube, rng, size, extra, classes=None):
    """Two sorts of cells: CD19 and the tube's own markers are bright together or dim together."""
    bright = rng.random(size) < 0.5
    level = np.where(bright, 0.8, 0.2)
    values = np.column_stack(
        [rng.normal(1e5, 1e4, size), rng.normal(0.8, 0.02, size), level + rng.normal(0, 0.02, size)]
        + [level + rng.normal(0, 0.02, size) for _ in extra]
    )
    return TubeCells(
        tube=tube,
        dimensions=(*BACKBONE, *extra),
        values=values,
        events=np.sort(rng.choice(10_000, size, replace=False)).astype(np.int64),
        classes=np.array(["normal"] * size) if classes is None else np.array(classes),
        deviation=rng.random(size),
        likelihood_ratio=rng.normal(size=size),
        cohesion=rng.random(size),
    )


@pytest.fixture
def pair(rng):
    return cells(1, rng, 400, ("CD117", "CD81")), cells(2, rng, 300, ("cyKappa", "cyLambda"))


def test_measured_values_are_untouched_and_imputed_ones_marked(pair):
    merged = merge_tubes(pair)
    assert merged.dimensions == (*BACKBONE, "CD117", "CD81", "cyKappa", "cyLambda")
    assert np.array_equal(merged.values[:400, :5], pair[0].values)
    assert np.array_equal(merged.values[400:, :3], pair[1].values[:, :3])
    assert merged.imputed[400:, 3:5].all()
    assert not merged.imputed[:400].any()
    assert not merged.imputed[:, :3].any()


def test_an_imputed_marker_follows_the_backbone(pair):
    merged = merge_tubes(pair)
    assert np.corrcoef(merged.values[400:, 2], merged.values[400:, 3])[0, 1] > 0.95


def test_light_chains_are_never_imputed(pair):
    merged = merge_tubes(pair)
    assert np.isnan(merged.values[:400, 5:]).all()
    assert not merged.imputed[:, 5:].any()


def test_values_come_from_cells_of_the_same_class_only(rng):
    donor = cells(1, rng, 50, ("CD117",), ["aberrant"] * 50)
    taker = cells(2, rng, 4, ("cyKappa",), ["normal", "normal", "aberrant", "aberrant"])
    merged = merge_tubes([donor, taker])
    assert merged.imputed[50:, 3].tolist() == [False, False, True, True]
    assert np.isnan(merged.values[50:52, 3]).all()


def test_the_file_has_its_columns_no_nan_and_equal_bytes(tmp_path, pair):
    merged = merge_tubes(pair)
    write_cells(tmp_path / "a.parquet", merged)
    write_cells(tmp_path / "b.parquet", merged)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pq.read_table(tmp_path / "a.parquet")
    stated = ["tube", "event", "class", "deviation", "likelihood_ratio", "cohesion"]
    assert table.column_names[:6] == stated
    assert {"CD117_imputed", "CD81_imputed", "cyKappa_imputed"} <= set(table.column_names)
    assert "CD38_imputed" not in table.column_names
    assert table["cyKappa"].null_count == 400
    values = table["CD117"].to_pylist()
    assert all(v is None or np.isfinite(v) for v in values)


def test_no_plasma_cells_at_all_are_an_empty_table(tmp_path, rng):
    merged = merge_tubes([cells(1, rng, 0, ("CD117",)), cells(2, rng, 0, ("cyKappa",))])
    write_cells(tmp_path / "a.parquet", merged)
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0
