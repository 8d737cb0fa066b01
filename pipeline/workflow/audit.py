"""audit.jsonl: what was done to a batch, each line holding the hash of the line before.

A changed, removed or inserted line breaks the chain from there on. The chain does not
stop someone who rewrites all of it; it shows everything less.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile
from pipeline.formats.atomic import fsync_folder
from pipeline.formats.digest import sha256_bytes

__all__ = ["append_audit", "read_audit"]

_START = "0" * 64
_REMEDY = "keep the file as evidence under another name; the next run starts a new chain"


def append_audit(path: Path, event: str, content: dict[str, Any]) -> None:
    """Append one entry, durably; the caller holds the batch's lock.

    Raises
    ------
    DamagedFile
        If the chain is broken already; nothing is appended then.
    """
    entries = read_audit(path) if path.exists() else []
    before = entries[-1]["sha256"] if entries else _START
    body = {
        "before": before,
        "event": event,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **content,
    }
    line = json.dumps({**body, "sha256": _digest(body)}, sort_keys=True, ensure_ascii=False) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    fsync_folder(path.parent)


def read_audit(path: Path) -> list[dict[str, Any]]:
    """The entries of an intact chain.

    Raises
    ------
    DamagedFile
        At the first line that is no entry or does not follow from the one before.
    """
    entries: list[dict[str, Any]] = []
    before = _START
    for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), start=1):
        try:
            entry = json.loads(line)
            body = {k: v for k, v in entry.items() if k != "sha256"}
            intact = entry["sha256"] == _digest(body) and entry["before"] == before
        except (ValueError, KeyError, AttributeError) as error:
            raise DamagedFile("not an audit entry", path=path, line=number, remedy=_REMEDY) from error
        if not intact:
            raise DamagedFile("the audit chain is broken here", path=path, line=number, remedy=_REMEDY)
        before = entry["sha256"]
        entries.append(entry)
    return entries


def _digest(body: dict[str, Any]) -> str:
    return sha256_bytes(json.dumps(body, sort_keys=True, ensure_ascii=False).encode())
