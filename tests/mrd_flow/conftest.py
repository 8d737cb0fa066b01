"""Simulated tubes and samples for the flow tests."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from mrd_flow.evidence import FlowSettings
from mrd_flow.panel.template import Panel, load_panel
from mrd_flow.simulate import TubeTruth, simulate_tube
from pipeline.model import Assay, Material, Sample


def _sample(*files: Path, panel: str = "euroflow") -> Sample:
    return Sample(
        study_id="S1",
        patient_id="P1",
        timepoint="FU1",
        collected_on=date(2026, 1, 31),
        material=Material.BONE_MARROW,
        assay=Assay.FLOW,
        panel=panel,
        files=files,
        run_id="R1",
    )


def _tubes(
    folder: Path, panel: Panel, events: int, fraction: float, seed: int, **choices: object
) -> list[tuple[Path, TubeTruth]]:
    made = []
    for index in range(len(panel.tubes)):
        path = folder / f"tube_{index + 1}.fcs"
        truth = simulate_tube(
            path,
            panel,
            index,
            events=events,
            aberrant_fraction=fraction,
            rng=np.random.default_rng([seed, index]),
            event_truth=folder / f"tube_{index + 1}.npy",
            **choices,  # type: ignore[arg-type]
        )
        made.append((path, truth))
    return made


@pytest.fixture(scope="session")
def euroflow() -> Panel:
    return load_panel("euroflow")


@pytest.fixture(scope="session")
def srl() -> Panel:
    return load_panel("srl")


@pytest.fixture(scope="session")
def settings() -> FlowSettings:
    return FlowSettings()


@pytest.fixture(scope="session")
def positive(tmp_path_factory: pytest.TempPathFactory, euroflow: Panel) -> list[tuple[Path, TubeTruth]]:
    """A EuroFlow pair of 2 x 250,000 events with a clone of 1e-3."""
    return _tubes(tmp_path_factory.mktemp("positive"), euroflow, 250_000, 1e-3, 11)


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory, euroflow: Panel) -> list[tuple[Path, TubeTruth]]:
    """A EuroFlow pair of 2 x 250,000 events without a clone."""
    return _tubes(tmp_path_factory.mktemp("blank"), euroflow, 250_000, 0.0, 12)


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., Sample]:
    """A sample from files and a panel's name."""
    return _sample


@pytest.fixture(scope="session")
def make_tubes() -> Callable[..., list[tuple[Path, TubeTruth]]]:
    """Simulated tubes: folder, panel, events, fraction, seed, and choices of the simulator."""
    return _tubes
