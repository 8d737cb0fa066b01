"""Files are there whole or not at all."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from pipeline.formats.atomic import canonical_json, replacing, sweep_temporaries, write_json, write_text


def test_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_half()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_killed_writer_leaves_the_old_file_and_a_temporary_that_is_swept(tmp_path):
    path = tmp_path / "result.json"
    write_text(path, "old")
    script = """
        import os, signal, sys
        from pathlib import Path
        from pipeline.formats.atomic import replacing
        with replacing(Path(sys.argv[1])) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    sweep_temporaries(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_folders_are_made_and_permissions_follow_the_umask(tmp_path):
    path = tmp_path / "a" / "b.json"
    mask = os.umask(0o027)
    try:
        write_json(path, {"x": 1})
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o640


def test_suffixes_survive_for_writers_that_look_at_them(tmp_path):
    with replacing(tmp_path / "x.airr.tsv.gz") as temporary:
        assert temporary.name.endswith(".tsv.gz")
        temporary.write_bytes(b"1")


def test_json_has_one_spelling_and_no_nan():
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        canonical_json(float("nan"))
