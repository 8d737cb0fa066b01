"""docs/where-is.md cannot rot: every module and name it gives exists."""

import re
from importlib import import_module
from pathlib import Path

import pytest

TABLE = Path(__file__).resolve().parents[1] / "docs" / "where-is.md"
ROWS = re.findall(
    r"^\| ([^|]+?) \| `([a-z_.]+)(?::(\w+))?` \|", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE
)


def test_table_is_read():
    assert len(ROWS) >= 30


@pytest.mark.parametrize(("concept", "module", "name"), ROWS, ids=[r[0] for r in ROWS])
def test_concept_lives_where_the_table_says(concept, module, name):
    found = import_module(module)
    assert not name or hasattr(found, name), f"{concept}: {module} has no {name}"
