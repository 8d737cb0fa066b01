"""Cells are stated, or come from DNA, or are unknown."""

from collections.abc import Callable

import pytest

from mrd_ngs.denominator import nucleated_cells
from pipeline.model import Sample


def test_stated_cells_come_before_dna(make_sample: Callable[..., Sample]) -> None:
    cells = nucleated_cells(make_sample(cells=500_000, dna_ng=6600.0))
    assert cells is not None
    assert cells.count == 500_000
    assert cells.basis == "as stated in the sheet"


def test_dna_becomes_cells_and_says_how(make_sample: Callable[..., Sample]) -> None:
    cells = nucleated_cells(make_sample(cells=None, dna_ng=6600.0))
    assert cells is not None
    assert cells.count == pytest.approx(1_000_000)
    assert cells.basis == "from 6600 ng DNA at 6.6 pg a cell"


def test_neither_is_unknown_not_zero(make_sample: Callable[..., Sample]) -> None:
    assert nucleated_cells(make_sample(cells=None, dna_ng=None)) is None
