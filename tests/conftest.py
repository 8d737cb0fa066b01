"""What every test may ask for."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The same examples every time and no deadline: a slow machine is no failure.
settings.register_profile("nadir", deadline=None, derandomize=True)
settings.load_profile("nadir")

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real and simulated reference data that are not part of the product."""
    if not SHARED_DATA.is_dir():
        pytest.skip("reference data (../shared/data) are not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def small_data() -> Path:
    """Small files made by our own simulators."""
    return ROOT / "test_data"


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator seeded alike for every test."""
    return np.random.default_rng(20_26)


@pytest.fixture(scope="session", autouse=True)
def _kept_bytecode() -> None:
    """Commands that tests start keep their bytecode, as an installed package has it."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session", autouse=True)
def _plain_terminal() -> None:
    """Help and error texts are compared without colours and at one width."""
    os.environ.update(NO_COLOR="1", COLUMNS="100", TERM="dumb")
