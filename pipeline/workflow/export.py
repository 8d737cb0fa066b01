"""A batch's results in the forms that other programs read.

``csv`` and ``parquet`` are the result tables; ``crate`` packs tables, pages and plan as an
RO-Crate 1.1 (research object): what was made, from what, by which version, when.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import InputRefused
from pipeline.formats.atomic import replacing, write_json
from pipeline.formats.digest import sha256_file
from pipeline.workflow.audit import read_audit
from pipeline.workflow.batch import Batch
from pipeline.workflow.planned import read_plan
from pipeline.workflow.query import result_tables

__all__ = ["FORMS", "export_batch"]

_CRATE = "https://w3id.org/ro/crate/1.1"
_MEDIA_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".html": "text/html",
}
_NAMES = {"plan.json": "Plan: tasks with hashes of inputs, parameters, code and references"}


def export_batch(folder: Path, out: Path, *, form: str) -> tuple[Path, ...]:
    """Write a batch's results in another form.

    Parameters
    ----------
    folder
        The batch.
    out
        Folder to write into; it must not lie within the batch.
    form
        One of `FORMS`.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    InputRefused
        If the batch has no results, or ``out`` lies within it.
    """
    if Path(out).resolve().is_relative_to(Path(folder).resolve()):
        raise InputRefused("the export would lie within the batch", path=out, remedy="give another --out")
    return FORMS[form](Batch(folder), Path(out))


def _as_csv(batch: Batch, out: Path) -> tuple[Path, ...]:
    """Text columns quoted, numbers to the last digit, missing values empty; lines end in a line feed."""
    from pyarrow import csv
    from pyarrow.parquet import read_table

    written = []
    for name, path in result_tables(batch).items():
        written.append(out / f"{name}.csv")
        with replacing(written[-1]) as temporary:
            csv.write_csv(read_table(path), temporary)
    return tuple(written)


def _as_parquet(batch: Batch, out: Path) -> tuple[Path, ...]:
    return tuple(_copy(path, out / path.name) for path in result_tables(batch).values())


def _as_crate(batch: Batch, out: Path) -> tuple[Path, ...]:
    result_tables(batch)
    plan = read_plan(batch)
    names = [batch.folder / "plan.json", batch.audit]
    names += [p for f in (batch.results, batch.report) for p in sorted(f.rglob("*")) if p.is_file()]
    written = [_copy(path, out / path.relative_to(batch.folder)) for path in names]
    files = [_file(path, path.relative_to(out).as_posix()) for path in written]
    inputs = [
        {"@id": f"#input-{digest[:16]}", "@type": "File", "name": name, "sha256": digest}
        for name, digest in sorted({n: d for t in plan.tasks for n, d in t.inputs.items()}.items())
    ]
    runs = [entry for entry in read_audit(batch.audit) if entry["event"] == "run"]
    write_json(out / "ro-crate-metadata.json", _metadata(plan.study_id, files, inputs, runs))
    return (out / "ro-crate-metadata.json", *written)


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
    return target


def _file(path: Path, name: str) -> dict[str, Any]:
    return {
        "@id": name,
        "@type": "File",
        "name": _NAMES.get(name, name),
        "contentSize": str(path.stat().st_size),
        "encodingFormat": _MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        "sha256": sha256_file(path),
    }


def _metadata(
    study_id: str, files: list[dict[str, Any]], inputs: list[dict[str, Any]], runs: list[dict[str, Any]]
) -> dict[str, Any]:
    software = {
        "@id": "#nadir",
        "@type": "SoftwareApplication",
        "name": "nadir",
        "version": __version__,
        "url": "https://pypi.org/project/nadir-mrd/",
    }
    actions = [
        {
            "@id": f"#run-{number}",
            "@type": "CreateAction",
            "name": f"nadir run, {entry['tasks']} tasks, {entry['skipped']} of them done before",
            "endTime": entry["time"],
            "instrument": {"@id": "#nadir"},
            "object": [{"@id": i["@id"]} for i in inputs],
            "result": [{"@id": f["@id"]} for f in files],
        }
        for number, entry in enumerate(runs, start=1)
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Residual disease, study {study_id}",
        "description": "Results of nadir. For research use only, not for diagnosis.",
        "datePublished": runs[-1]["time"] if runs else "1970-01-01",
        "hasPart": [{"@id": f["@id"]} for f in files],
        "mentions": [{"@id": a["@id"]} for a in actions],
    }
    descriptor = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": _CRATE},
        "about": {"@id": "./"},
    }
    return {
        "@context": f"{_CRATE}/context",
        "@graph": [descriptor, root, software, *files, *inputs, *actions],
    }


FORMS: dict[str, Callable[[Batch, Path], tuple[Path, ...]]] = {
    "csv": _as_csv,
    "parquet": _as_parquet,
    "crate": _as_crate,
}
"""How each form is written, by its name on the command line."""
