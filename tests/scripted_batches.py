"""Batches of scripted tasks (tests/pipeline/workflow/scripted), run by commands as a person would."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPTED = Path(__file__).parent / "pipeline" / "workflow" / "scripted"
_HEADER = (
    "patient_id,timepoint,collected_on,material,assay,file_1,file_2,run_id,cells,dna_ng,spike_ins,panel,sex\n"
)
_CONFIG = """\
[study]
id = "T1"
timepoints = ["BASE", "IND"]
thresholds = [1e-5]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedBatch:
    """A sheet whose files say what their tasks do, and the batch it becomes."""

    folder: Path
    out: Path

    @property
    def sheet(self) -> Path:
        return self.folder / "sheet.csv"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def to(self, name: str) -> "ScriptedBatch":
        """The same sheet into another batch folder."""
        return ScriptedBatch(folder=self.folder, out=self.folder / name)

    def command(self, *options: str) -> list[str]:
        named = ("--out", str(self.out), "--config", str(self.config))
        return [sys.executable, "-m", "pipeline", "run", str(self.sheet), *named, *options]

    def start(self, *options: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**variables),
            start_new_session=True,
            preexec_fn=interruptible,
        )

    def run(
        self, *options: str, timeout: float = 300, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run to the end; whoever calls looks at the exit code."""
        return subprocess.run(
            self.command(*options),
            capture_output=True,
            text=True,
            env=environment(**variables),
            timeout=timeout,
            check=False,
        )

    def states(self) -> dict[str, tuple[str, str]]:
        """State and reason of every task, as `nadir status --json` gives them."""
        command = [sys.executable, "-m", "pipeline", "status", str(self.out), "--json"]
        said = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True).stdout
        return {row["task"]: (row["state"], row["reason"]) for row in json.loads(said)}

    def events(self) -> dict[str, list[str]]:
        """What every task's log says, in order; a line that a kill cut is left out."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.out.glob("tasks/*/events.jsonl")):
            lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
            found[path.parent.name] = [json.loads(line)["event"] for line in lines]
        return found

    def done(self) -> set[str]:
        """Tasks with a done-record."""
        return {path.parent.name for path in self.out.glob("tasks/*/done.json")}

    def bytes(self) -> dict[str, bytes]:
        """Every file of results/ and report/, by name."""
        paths = (p for name in ("results", "report") for p in sorted((self.out / name).rglob("*")))
        return {str(p.relative_to(self.out)): p.read_bytes() for p in paths if p.is_file()}


def interruptible() -> None:
    """A child listens to an interrupt even where tests run in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment(**variables: str) -> dict[str, str]:
    """That of this process, with the scripted steps in every Python below it."""
    return {**os.environ, "PYTHONPATH": str(SCRIPTED), "MPLBACKEND": "agg", **variables}


def scripted_batch(
    folder: Path, flow: Mapping[str, str], ngs: Mapping[str, str] | None = None, *, out: str = "batch"
) -> ScriptedBatch:
    """Write a sheet: one flow task for each patient of ``flow``; those of ``ngs`` share one run.

    Parameters
    ----------
    folder
        Where sheet and files go.
    flow, ngs
        Script of each patient, lines separated by line feeds.
    out
        Name of the batch's folder in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for assay, scripts, suffix in (("flow", flow, "fcs"), ("ngs", ngs or {}, "fastq")):
        for number, (patient, script) in enumerate(scripts.items()):
            path = folder / f"{patient}_{assay}.{suffix}"
            path.write_text(f"fraction {1 / (number + 2)}\n{script}\n".replace("\n\n", "\n"))
            cells, panel = ("1000000", "") if assay == "ngs" else ("", "srl")
            place = f"{patient},BASE,2026-03-01,bone_marrow,{assay},{path.name}"
            rows.append(f"{place},,R1,{cells},,,{panel},F\n")
    batch = ScriptedBatch(folder=folder, out=folder / out)
    batch.sheet.write_text(_HEADER + "".join(rows))
    batch.config.write_text(_CONFIG)
    return batch
