"""What people decided, kept in the audit trail alone: revised results and signatures.

Tables and pages are derived from it by ``nadir run`` and ``nadir report``, so that a kill
cannot leave a decision half made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.atomic import canonical_json
from pipeline.formats.digest import sha256_bytes
from pipeline.formats.records import from_json, to_json
from pipeline.model import Change, MrdResult, Revision, SampleKey, Signature
from pipeline.workflow.audit import append_audit, read_audit
from pipeline.workflow.batch import Batch

__all__ = [
    "Decisions",
    "SeenOutdated",
    "decisions_of",
    "record_revision",
    "record_signature",
    "record_withdrawal",
    "results_sha256",
    "seen_sha256",
]

REVISED, SIGNED, WITHDRAWN = "revised", "signed", "signature withdrawn"
_WAIT_S = 10.0  # other reviewers hold the batch for milliseconds


class SeenOutdated(InputRefused):
    """A reviewer decided on something that is no longer in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Everything in force or withdrawn. ``revisions`` by sample; ``signatures`` in order of time."""

    revisions: Mapping[SampleKey, Revision]
    signatures: tuple[Signature, ...]

    @property
    def revised(self) -> tuple[MrdResult, ...]:
        """Revised results that apply, by sample."""
        return tuple(r for _, v in sorted(self.revisions.items()) if v.applies for r in v.results)


def decisions_of(batch: Batch, results: Sequence[MrdResult]) -> Decisions:
    """Replay the audit trail against a batch's automatic results.

    Parameters
    ----------
    batch
        The batch.
    results
        All automatic results of the batch.

    Raises
    ------
    DamagedFile
        If the chain is broken, or an entry is no decision.
    """
    entries = read_audit(batch.audit) if batch.audit.is_file() else []
    by_sample: dict[SampleKey, list[MrdResult]] = {}
    for result in results:
        by_sample.setdefault(SampleKey.of(result), []).append(result)
    revisions: dict[SampleKey, Revision] = {}
    for entry in entries:
        if entry["event"] == REVISED:
            revision = _revision(entry, by_sample, batch.audit)
            revisions.pop(revision.sample, None)
            if revision.changes:
                revisions[revision.sample] = revision
    return Decisions(
        revisions=revisions, signatures=tuple(_signatures(entries, results, revisions, batch.audit))
    )


def results_sha256(results: Iterable[MrdResult]) -> str:
    """Digest of results, in their order."""
    return sha256_bytes(canonical_json([to_json(r) for r in results]).encode())


def seen_sha256(
    patient_id: str, results: Sequence[MrdResult], revisions: Mapping[SampleKey, Revision]
) -> str:
    """Digest of all that is said of a patient's disease: automatic results, revisions and their reasons."""
    own = [to_json(r) for r in results if r.patient_id == patient_id]
    revised = [
        {"results": [to_json(r) for r in v.results], "changes": [to_json(c) for c in v.changes]}
        for key, v in sorted(revisions.items())
        if key.patient_id == patient_id and v.applies
    ]
    return sha256_bytes(canonical_json([own, revised]).encode())


def record_revision(batch: Batch, revision: Revision, *, results: Sequence[MrdResult], seen: str) -> None:
    """Keep a sample's changes and what came of them; without changes the automatic results stand again.

    Parameters
    ----------
    batch
        The batch.
    revision
        All changes in force for the sample.
    results
        All automatic results of the batch.
    seen
        Digest of what the reviewer saw of this patient, as `seen_sha256` gives it.

    Raises
    ------
    SeenOutdated
        If something else is in force by now.
    InputRefused
        If a run holds the batch.
    """
    content = {
        "sample": to_json(revision.sample),
        "changes": [to_json(c) for c in revision.changes],
        "results": [to_json(r) for r in revision.results],
        "automatic_sha256": revision.automatic_sha256,
    }
    with batch.locked(wait_s=_WAIT_S):
        _check_seen(batch, revision.sample.patient_id, results, seen)
        append_audit(batch.audit, REVISED, content)


def record_signature(
    batch: Batch,
    *,
    patient_id: str,
    reviewer: str,
    meaning: str,
    results: Sequence[MrdResult],
    seen: str,
) -> None:
    """Keep that a person vouches for what they saw; parameters and errors as `record_revision`."""
    content = {"patient_id": patient_id, "reviewer": reviewer, "meaning": meaning, "seen_sha256": seen}
    with batch.locked(wait_s=_WAIT_S):
        _check_seen(batch, patient_id, results, seen)
        append_audit(batch.audit, SIGNED, content)


def record_withdrawal(
    batch: Batch, *, signature_id: str, reviewer: str, reason: str, results: Sequence[MrdResult]
) -> None:
    """Keep that a signature no longer stands; it stays in the trail.

    Raises
    ------
    InputRefused
        If there is no such signature, if it was withdrawn before, or if a run holds the batch.
    """
    content = {"signature": signature_id, "reviewer": reviewer, "reason": reason}
    with batch.locked(wait_s=_WAIT_S):
        signatures = {s.signature_id: s for s in decisions_of(batch, results).signatures}
        if signature_id not in signatures:
            raise InputRefused("this batch has no such signature")
        if signatures[signature_id].withdrawn_by:
            raise InputRefused("this signature was withdrawn before")
        append_audit(batch.audit, WITHDRAWN, content)


def _check_seen(batch: Batch, patient_id: str, results: Sequence[MrdResult], seen: str) -> None:
    if seen_sha256(patient_id, results, decisions_of(batch, results).revisions) != seen:
        raise SeenOutdated(
            "what is said of this patient changed after the page was opened",
            remedy="look at the page again, then decide",
        )


def _revision(entry: dict[str, Any], by_sample: Mapping[SampleKey, list[MrdResult]], path: Path) -> Revision:
    try:
        sample = from_json(SampleKey, entry["sample"], path=path)
        return Revision(
            sample=sample,
            changes=tuple(from_json(Change, c, path=path) for c in entry["changes"]),
            results=tuple(from_json(MrdResult, r, path=path) for r in entry["results"]),
            automatic_sha256=entry["automatic_sha256"],
            applies=entry["automatic_sha256"] == results_sha256(by_sample.get(sample, ())),
        )
    except (KeyError, TypeError) as error:
        raise DamagedFile(f"an entry that is no revision ({error})", path=path) from error


def _signatures(
    entries: Sequence[dict[str, Any]],
    results: Sequence[MrdResult],
    revisions: Mapping[SampleKey, Revision],
    path: Path,
) -> list[Signature]:
    withdrawn = {e["signature"]: e for e in entries if e["event"] == WITHDRAWN}
    current: dict[str, str] = {}
    found = []
    for entry in entries:
        if entry["event"] != SIGNED:
            continue
        try:
            patient_id = entry["patient_id"]
            now = current.setdefault(patient_id, seen_sha256(patient_id, results, revisions))
            gone = withdrawn.get(entry["sha256"])
            found.append(
                Signature(
                    signature_id=entry["sha256"],
                    patient_id=patient_id,
                    reviewer=entry["reviewer"],
                    meaning=entry["meaning"],
                    signed_at=datetime.fromisoformat(entry["time"]),
                    seen_sha256=entry["seen_sha256"],
                    is_current=entry["seen_sha256"] == now,
                    withdrawn_by="" if gone is None else gone["reviewer"],
                    withdrawn_reason="" if gone is None else gone["reason"],
                    withdrawn_at=None if gone is None else datetime.fromisoformat(gone["time"]),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFile(f"an entry that is no signature ({error})", path=path) from error
    return found
