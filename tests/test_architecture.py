"""The import arrow, and smells that a linter does not see."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "mrd_ngs", "mrd_flow", "cfdna", "chip")
DRAWERS = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}


def modules(*folders: str) -> list[Path]:
    return sorted(p for f in folders for p in (ROOT / f).rglob("*.py"))


def test_imports_follow_the_one_arrow():
    command = [str(Path(sys.executable).with_name("lint-imports"))]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout


def test_no_module_is_a_drawer():
    assert [p for p in modules(*PACKAGES, "tests") if p.stem in DRAWERS] == []


def test_every_package_ships_and_no_other():
    """A package that pyproject.toml forgets is missing from the wheel and from nothing else."""
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        str(p.parent.relative_to(ROOT)).replace("/", ".")
        for p in modules(*PACKAGES)
        if p.name == "__init__.py"
    }
    assert listed - {"nadir_configs"} == found


@pytest.mark.parametrize("path", modules("tests"), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_test_asserts_something(path):
    silent = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not _asserts(node)
    ]
    assert silent == []


def _asserts(function: ast.FunctionDef) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "raises" or name.startswith(("assert_", "check_", "expect")):
                return True
    return False


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=lambda p: str(p.relative_to(ROOT)))
def test_source_uses_no_global_randomness_no_pickle_and_no_shell(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            assert not text.startswith(("np.random.", "numpy.random.")) or text.endswith(
                ("Generator", "default_rng", "SeedSequence")
            ), f"line {node.lineno}: {text}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {a.name for a in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "random", "marshal", "shelve"}, f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "shell":
            assert isinstance(node.value, ast.Constant), f"line {node.value.lineno}"
            assert node.value.value is False, f"line {node.value.lineno}"
