"""Whether a batch still is what its last run left: every byte of results, records, pages and audit.

The audit trail's last entry about the results names the digest of each file. A changed,
missing or added file is named; a changed line of the trail itself breaks its chain. Whoever
can rewrite the whole trail can hide a change: keep its last digest elsewhere to exclude that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.digest import sha256_file
from pipeline.workflow.audit import read_audit
from pipeline.workflow.batch import Batch

__all__ = ["Verification", "digests_of", "verify_batch"]

_WRITES = ("run", "report")  # events after which the named files stand as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was checked, what was found, and the digest that stands for all of it.

    ``findings`` is empty for an intact batch; each names a file and what is wrong with it.
    ``chain_sha256`` is that of the audit trail's last entry.
    """

    files: int
    entries: int
    chain_sha256: str
    findings: tuple[str, ...]


def digests_of(batch: Batch) -> dict[str, str]:
    """SHA-256 of everything a run leaves that must not change, by path within the batch."""
    return {path.relative_to(batch.folder).as_posix(): sha256_file(path) for path in _kept(batch)}


def verify_batch(folder: Path) -> Verification:
    """Check a batch against its audit trail.

    Parameters
    ----------
    folder
        The batch.

    Returns
    -------
    Verification

    Raises
    ------
    InputRefused
        If the folder holds no audit trail, so that nothing can be checked.
    """
    batch = Batch(folder)
    if not batch.audit.is_file():
        raise InputRefused(
            "there is no audit trail to check against",
            path=batch.audit,
            remedy="name a batch folder that `nadir run` made",
        )
    try:
        entries = read_audit(batch.audit)
    except DamagedFile as error:
        return Verification(files=0, entries=0, chain_sha256="", findings=(str(error),))
    stated = next((e["files"] for e in reversed(entries) if e["event"] in _WRITES and "files" in e), None)
    if stated is None:
        return Verification(
            files=0,
            entries=len(entries),
            chain_sha256=entries[-1]["sha256"] if entries else "",
            findings=("audit.jsonl: no entry names the files of this batch; run it again",),
        )
    return Verification(
        files=len(stated),
        entries=len(entries),
        chain_sha256=entries[-1]["sha256"],
        findings=tuple(_differences(stated, digests_of(batch))),
    )


def _kept(batch: Batch) -> Iterator[Path]:
    """plan.json, tasks' orders and records, result tables and pages; no log, no lock."""
    yield from (path for path in (batch.folder / "plan.json",) if path.is_file())
    for name in ("task.json", "output.json", "done.json"):
        yield from sorted((batch.folder / "tasks").glob(f"*/{name}"))
    for folder in (batch.results, batch.report):
        yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _differences(stated: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*stated, *found}):
        if name not in found:
            yield f"{name}: missing"
        elif name not in stated:
            yield f"{name}: not there when the batch was last written"
        elif stated[name] != found[name]:
            yield f"{name}: changed since the batch was last written"
