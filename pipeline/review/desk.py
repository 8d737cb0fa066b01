"""What a reviewer can see and do, without any page: the queue, one patient, changes, signatures.

Decisions go into the batch's audit trail at once. The desk reads the trail anew for every
look, so that several desks on one batch see each other's decisions.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import DamagedFile, InputRefused, UsageError, printable
from pipeline.formats.digest import sha256_bytes
from pipeline.model import (
    Change,
    Finding,
    MrdResult,
    Revision,
    SampleKey,
    Signature,
    Status,
    is_identifier,
    looks_personal,
)
from pipeline.workflow.audit import read_audit
from pipeline.workflow.batch import Batch
from pipeline.workflow.collect import Collected, collect
from pipeline.workflow.config import Config, load_config
from pipeline.workflow.decisions import (
    Decisions,
    decisions_of,
    record_revision,
    record_signature,
    record_withdrawal,
    results_sha256,
    seen_sha256,
)
from pipeline.workflow.planned import Plan, Task, read_plan
from pipeline.workflow.revision import Revisable, open_task
from pipeline.workflow.verify import verify_batch

__all__ = ["MEANINGS", "Case", "Desk", "Look", "checked_reason", "checked_reviewer", "now", "sample_id"]

MEANINGS = ("reviewed", "approved", "second reader agrees")
_OPEN_TASKS = 3  # a patient's flow samples hold their plasma cells in memory
_LONGEST_REASON = 500
_PASSED = ("pass", "")
_ROUTINE = ("panel_unverified", "acquisition_margins")  # stand at nearly every flow sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One patient in the queue; ``needs`` says in words what asks for eyes, none for a plain patient."""

    patient_id: str
    needs: tuple[str, ...]
    results: int
    signatures: tuple[Signature, ...]

    @property
    def is_signed(self) -> bool:
        """Whether a signature stands."""
        return any(s.stands for s in self.signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that can be seen of one patient at a moment; ``seen`` is the digest to decide on."""

    patient_id: str
    results: tuple[MrdResult, ...]
    findings: tuple[Finding, ...]
    decisions: Decisions
    seen: str

    @property
    def samples(self) -> tuple[SampleKey, ...]:
        """Samples by method, in the order of the results."""
        return tuple(dict.fromkeys(SampleKey.of(r) for r in self.results))

    def of(self, sample: SampleKey) -> tuple[MrdResult, ...]:
        """Automatic results of one sample."""
        return tuple(r for r in self.results if SampleKey.of(r) == sample)

    def revision(self, sample: SampleKey) -> Revision | None:
        """What was changed in a sample and is in force."""
        found = self.decisions.revisions.get(sample)
        return found if found is not None and found.applies else None

    def changes(self, sample: SampleKey) -> tuple[Change, ...]:
        """What is in force in one sample."""
        found = self.revision(sample)
        return () if found is None else found.changes

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """All signatures of the patient, withdrawn ones too."""
        return tuple(s for s in self.decisions.signatures if s.patient_id == self.patient_id)


def sample_id(key: SampleKey) -> str:
    """A short name of a sample for addresses: nothing of the sheet enters one."""
    parts = (key.patient_id, key.timepoint, key.material, key.assay, key.panel, key.run_id)
    return sha256_bytes("\n".join(parts).encode())[:16]


class Desk:
    """A finished batch under review.

    Parameters
    ----------
    folder
        The batch.

    Raises
    ------
    DamagedFile
        If a byte of it is not what its last run left.
    InputRefused
        If it is no batch, or a run holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.batch = Batch(Path(folder))
        self._lock = threading.RLock()
        self._opened: OrderedDict[str, Revisable] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}
        self._last_run = ""
        with self.batch.locked():
            found = verify_batch(self.batch.folder).findings
            if found:
                raise DamagedFile(
                    f"this batch is not what its last run left: {printable(found[0])}",
                    path=self.batch.folder,
                    remedy="see `nadir verify`; run the batch again, then review it",
                )
            self._load()

    def _load(self) -> None:
        self.plan: Plan = read_plan(self.batch)
        self.config: Config = load_config(self.plan.config_path)
        self.collected: Collected = collect(self.batch, self.plan)
        self._opened.clear()

    def _refresh(self) -> None:
        """Take in what a run has done since."""
        runs = [e["sha256"] for e in read_audit(self.batch.audit) if e["event"] == "run"]
        last = runs[-1] if runs else ""
        with self._lock:
            if last != self._last_run:
                if self._last_run:
                    self._load()
                self._last_run = last

    @property
    def patients(self) -> tuple[str, ...]:
        """Every patient with a result, in the plan's order."""
        return tuple(dict.fromkeys(r.patient_id for r in self.collected.mrd))

    def queue(self) -> tuple[Case, ...]:
        """Patients: first those that need eyes and are not signed, then the other unsigned, then the rest."""
        self._refresh()
        decisions = decisions_of(self.batch, self.collected.mrd)
        cases = [self._case(p, decisions) for p in self.patients]
        return tuple(sorted(cases, key=lambda c: (c.is_signed, not c.needs)))

    def _case(self, patient_id: str, decisions: Decisions) -> Case:
        results = [r for r in self.collected.mrd if r.patient_id == patient_id]
        return Case(
            patient_id=patient_id,
            needs=tuple(dict.fromkeys(n for r in results for n in _needs(r))),
            results=len(results),
            signatures=tuple(s for s in decisions.signatures if s.patient_id == patient_id),
        )

    def look(self, patient_id: str) -> Look:
        """Everything of one patient.

        Raises
        ------
        UsageError
            If the batch has no such patient.
        """
        self._refresh()
        if patient_id not in self.patients:
            raise UsageError("this batch has no such patient")
        decisions = decisions_of(self.batch, self.collected.mrd)
        return Look(
            patient_id=patient_id,
            results=tuple(r for r in self.collected.mrd if r.patient_id == patient_id),
            findings=tuple(f for f in self.collected.records["findings"] if f.patient_id == patient_id),
            decisions=decisions,
            seen=seen_sha256(patient_id, self.collected.mrd, decisions.revisions),
        )

    def sample(self, name: str) -> SampleKey:
        """The sample of a short name.

        Raises
        ------
        UsageError
            If there is none.
        """
        for result in self.collected.mrd:
            key = SampleKey.of(result)
            if sample_id(key) == name:
                return key
        raise UsageError("this batch has no such sample")

    def opened(self, sample: SampleKey) -> Revisable:
        """The patient's samples of this assay, read as the run did; kept for the next look.

        Raises
        ------
        UsageError, DamagedFile, InputRefused
            As `pipeline.workflow.revision.open_task`.
        """
        opened = self._open(self._task(sample))
        if opened.results(sample, ()) != self._automatic(sample):
            raise InputRefused(
                "these files do not give the results that the batch holds",
                remedy="run the batch again with this version, then review it",
            )
        return opened

    def _open(self, task: Task) -> Revisable:
        with self._lock:
            own = self._opening.setdefault(task.task_id, threading.Lock())
        with own:
            with self._lock:
                if task.task_id in self._opened:
                    self._opened.move_to_end(task.task_id)
                    return self._opened[task.task_id]
            opened = open_task(self.batch, task)
            with self._lock:
                self._opened[task.task_id] = opened
                while len(self._opened) > _OPEN_TASKS:
                    self._opened.popitem(last=False)
            return opened

    def _automatic(self, sample: SampleKey) -> tuple[MrdResult, ...]:
        return tuple(r for r in self.collected.mrd if SampleKey.of(r) == sample)

    def _task(self, sample: SampleKey) -> Task:
        for task in self.plan.tasks:
            if task.reports and task.patient_id == sample.patient_id and str(task.assay) == sample.assay:
                return task
        raise UsageError("this batch has no such sample")

    def change(self, sample: SampleKey, change: Change, seen: str) -> Revision:
        """Put one more change into force.

        Parameters
        ----------
        sample
            The sample.
        change
            It replaces an earlier one of the same gate and dimension.
        seen
            Digest of what the reviewer saw.

        Raises
        ------
        UsageError
            If the change does not fit the sample, or changes nothing.
        SeenOutdated, InputRefused, DamagedFile
            If another decision came before, a run holds the batch, or a file changed.
        """
        look = self.look(sample.patient_id)
        before = look.revision(sample)
        kept = tuple(c for c in (before.changes if before else ()) if _place(c) != _place(change))
        return self._revise(look, sample, (*kept, change), seen)

    def restore(self, sample: SampleKey, reviewer: str, seen: str) -> Revision:
        """Let the automatic results of a sample stand again; what was changed stays in the trail.

        Raises
        ------
        UsageError
            If nothing was changed, or the reviewer's name cannot be kept.
        SeenOutdated, InputRefused
            As `change`.
        """
        checked_reviewer(reviewer)
        look = self.look(sample.patient_id)
        if look.revision(sample) is None:
            raise UsageError("nothing was changed in this sample")
        return self._revise(look, sample, (), seen)

    def _revise(self, look: Look, sample: SampleKey, changes: Sequence[Change], seen: str) -> Revision:
        automatic = look.of(sample)
        results: tuple[MrdResult, ...] = ()
        if changes:
            found = self.opened(sample).results(sample, changes)
            results = tuple(replace(r, qc=_with_note(r.qc)) for r in found)
        revision = Revision(
            sample=sample,
            changes=tuple(changes),
            results=results,
            automatic_sha256=results_sha256(automatic),
            applies=True,
        )
        record_revision(self.batch, revision, results=self.collected.mrd, seen=seen)
        return revision

    def sign(self, patient_id: str, *, reviewer: str, meaning: str, seen: str) -> None:
        """Vouch for what was seen.

        Raises
        ------
        UsageError
            If the reviewer's name or the meaning cannot be kept.
        SeenOutdated, InputRefused
            As `change`.
        """
        if meaning not in MEANINGS:
            raise UsageError(f"a signature means one of: {', '.join(MEANINGS)}")
        if patient_id not in self.patients:
            raise UsageError("this batch has no such patient")
        record_signature(
            self.batch,
            patient_id=patient_id,
            reviewer=checked_reviewer(reviewer),
            meaning=meaning,
            results=self.collected.mrd,
            seen=seen,
        )

    def withdraw(self, signature_id: str, *, reviewer: str, reason: str) -> None:
        """Take a signature back.

        Raises
        ------
        UsageError
            If the reviewer's name or the reason cannot be kept.
        InputRefused
            If there is no such signature, or it was withdrawn before.
        """
        record_withdrawal(
            self.batch,
            signature_id=signature_id,
            reviewer=checked_reviewer(reviewer),
            reason=checked_reason(reason),
            results=self.collected.mrd,
        )

    def trail(self) -> tuple[Mapping[str, object], ...]:
        """Every entry of the audit trail, newest first."""
        return tuple(reversed(read_audit(self.batch.audit)))


def checked_reviewer(name: str) -> str:
    """A reviewer's pseudonym or initials.

    Raises
    ------
    UsageError
        If it is none; it is not echoed.
    """
    if not is_identifier(name) or looks_personal(name):
        raise UsageError("a reviewer signs with initials or a pseudonym: 1 to 32 letters, digits, '-' or '_'")
    return name


def checked_reason(reason: str) -> str:
    """A reason, as a text of one line.

    Raises
    ------
    UsageError
        If there is none, it is too long, or it holds control characters.
    """
    if not reason.strip() or len(reason) > _LONGEST_REASON or printable(reason) != reason:
        raise UsageError(f"give a reason, one line of at most {_LONGEST_REASON} characters")
    return reason.strip()


def now() -> datetime:
    """The time of a decision."""
    return datetime.now(UTC).replace(microsecond=0)


def _needs(result: MrdResult) -> list[str]:
    """Why a result asks for eyes."""
    method = f"{result.timepoint} {result.method}"
    found = []
    if result.status in (Status.INDETERMINATE, Status.NOT_EVALUABLE):
        found.append(f"{method}: {str(result.reason).replace('_', ' ')}")
    else:
        flags = [f for f in result.qc.split("; ") if f not in (*_PASSED, *_ROUTINE)]
        found += [f"{method}: {', '.join(f.replace('_', ' ') for f in flags)}"] if flags else []
    if result.status is Status.DETECTED and result.value is not None and (result.loq or 0) > result.value:
        found.append(f"{method}: detected below the limit of quantification")
    return found


def _place(change: Change) -> tuple[int, str, str, str]:
    return change.tube, change.gate, change.dimension, change.target_id


def _with_note(qc: str) -> str:
    note = "changed by a reviewer"
    return note if qc in _PASSED else f"{qc}; {note}"
