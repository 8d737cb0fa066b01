"""Before any work: every input file is hashed, compared with the sheet, and read once through.

A file found undamaged is remembered by its digest in the batch's intake.json, so that a
rerun hashes it again (content decides, never a time stamp) but need not test it again.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputRefused, Problem, SheetRefused
from pipeline.formats.atomic import write_json
from pipeline.formats.digest import sha256_file
from pipeline.model import Sample
from pipeline.workflow.batch import Batch
from pipeline.workflow.steps import step_for

__all__ = ["inspect_inputs"]


def inspect_inputs(sheet: Path, samples: Sequence[Sample], batch: Batch) -> dict[Path, str]:
    """Hash and test every input file of a sheet; the digests, by path.

    Parameters
    ----------
    sheet
        The sheet's path, for messages.
    samples
        Its rows.
    batch
        Where intake.json lies.

    Raises
    ------
    SheetRefused
        With every damaged or changed file, by the sheet's line.
    """
    known = _read_known(batch.intake)
    digests: dict[Path, str] = {}
    passed: set[str] = set()
    problems: list[Problem] = []
    for sample in samples:
        found = _digest_sample(sample, digests, problems)
        key = f"{sample.assay} {' '.join(found)}"
        if len(found) < len(sample.files):
            continue
        if key in known or _undamaged(sample, problems):
            passed.add(key)
    problems += _copies(samples, digests)
    write_json(batch.intake, sorted(passed | known))
    if problems:
        raise SheetRefused(sheet, problems)
    return digests


def _digest_sample(sample: Sample, digests: dict[Path, str], problems: list[Problem]) -> list[str]:
    """Digests of a sample's files; fewer than it has where one is unreadable or not what the sheet states."""
    found = []
    for number, path in enumerate(sample.files):
        try:
            digest = sha256_file(path)
        except OSError as error:
            problems.append(_problem(sample, number, "unreadable_file", f"cannot be read ({error.strerror})"))
            continue
        digests[path] = digest
        stated = sample.sha256[number] if number < len(sample.sha256) else ""
        if stated and stated.lower() != digest:
            problems.append(_problem(sample, number, "sha256_mismatch", "its SHA-256 is not the one stated"))
            continue
        found.append(digest)
    return found


def _undamaged(sample: Sample, problems: list[Problem]) -> bool:
    try:
        step_for(sample.assay).inspect(sample)
    except InputRefused as error:
        problems.append(
            Problem(
                line=sample.line,
                column=None,
                code="damaged_file",
                cause=str(error).rstrip("."),
                remedy="fetch the file again from the instrument or its archive",
            )
        )
        return False
    return True


def _copies(samples: Sequence[Sample], digests: dict[Path, str]) -> list[Problem]:
    """Files of equal content under two names: one of two samples would be another's."""
    first: dict[tuple[str, str], tuple[Sample, int]] = {}
    problems = []
    for sample in samples:
        for number, path in enumerate(sample.files):
            if path not in digests:
                continue
            other, other_number = first.setdefault((sample.assay, digests[path]), (sample, number))
            if (other, other_number) != (sample, number) and other.files[other_number] != path:
                cause = f"the same content as {other.files[other_number].name} of line {other.line}"
                problems.append(_problem(sample, number, "copied_file", cause))
    return problems


def _problem(sample: Sample, number: int, code: str, cause: str) -> Problem:
    return Problem(
        line=sample.line,
        column=f"file_{number + 1}",
        code=code,
        cause=f"{sample.files[number].name}: {cause}",
        remedy="fetch the file again, or correct the sheet",
    )


def _read_known(path: Path) -> set[str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()  # without memory every file is tested again
    return {key for key in value if isinstance(key, str)} if isinstance(value, list) else set()
