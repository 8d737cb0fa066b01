"""What each page of the review shows."""

from collections.abc import Sequence
from typing import Any

from mrd_flow.revision import RevisableFlow
from pipeline import __version__
from pipeline.detection import read_at
from pipeline.model import MrdResult, SampleKey, format_fraction
from pipeline.report.environment import page_environment
from pipeline.report.wording import Wording, format_count
from pipeline.review.desk import MEANINGS, Desk, Look, sample_id
from pipeline.review.guard import Guard

__all__ = ["Pages"]

_TRAIL_ROWS = 500


class Pages:
    """Renders every page.

    Parameters
    ----------
    desk
        The batch.
    guard
        It seals the forms.
    wording
        All texts.
    """

    def __init__(self, desk: Desk, guard: Guard, wording: Wording) -> None:
        self._desk, self._guard, self._wording = desk, guard, wording
        self._environment = page_environment(wording, "pipeline.review")
        self.style: str = "\n".join(
            self._environment.get_template(name).render(mark=desk.plan.study_id)
            for name in ("page.css", "review.css")
        )

    def queue(self) -> str:
        """Patients in the order in which they want to be looked at."""
        cases = self._desk.queue()
        return self._render("review_queue.html", cases=cases, signed=sum(c.is_signed for c in cases))

    def patient(self, look: Look) -> str:
        """All results of a patient, what else is known, and the signatures."""
        samples = [self._sample(look, key) for key in look.samples]
        topics = self._wording.texts["topic"]
        return self._render(
            "review_patient.html",
            look=look,
            samples=samples,
            findings=[
                (
                    f.timepoint,
                    self._wording.method(f.assay, f.panel),
                    topics.get(f.topic, f.topic),
                    f.text,
                )
                for f in look.findings
            ],
            meanings=MEANINGS,
            neighbours=self._neighbours(look.patient_id),
        )

    def sample(self, look: Look, key: SampleKey, tube: int, gate: str) -> str:
        """One sample: automatic and revised results, and what can be changed."""
        opened = self._desk.opened(key)
        bounds = opened.bounds(key, look.changes(key)) if isinstance(opened, RevisableFlow) else ()
        chosen = [b for b in bounds if b.tube == tube and b.gate == gate]
        revision = look.revision(key)
        left_out = {c.target_id for c in revision.changes} if revision else set()
        return self._render(
            "review_sample.html",
            look=look,
            sample=self._sample(look, key),
            bounds=bounds,
            chosen=chosen,
            picture=f"/sample/{sample_id(key)}/tube/{tube}/gate/{gate}.svg" if chosen else "",
            markers=[(m, m.target_id in left_out) for m in opened.markers],
        )

    def compare(self, look: Look, one: SampleKey, other: SampleKey) -> str:
        """Two samples of a patient side by side."""
        sides = [self._sample(look, key) for key in (one, other)]
        said = [
            [f.text for f in look.findings if f.timepoint == key.timepoint and str(f.assay) == key.assay]
            for key in (one, other)
        ]
        return self._render("review_compare.html", look=look, sides=list(zip(sides, said, strict=True)))

    def trail(self) -> str:
        """The audit trail, newest first."""
        entries = self._desk.trail()
        rows = [
            {
                "time": e["time"],
                "event": e["event"],
                "who": e.get("reviewer", "") or _reviewers(e),
                "about": e.get("patient_id", "") or _about(e),
                "sha256": str(e["sha256"]),
            }
            for e in entries[:_TRAIL_ROWS]
        ]
        return self._render("review_trail.html", rows=rows, total=len(entries))

    def message(self, code: int, text: str) -> str:
        """A page that says why there is no other."""
        return self._render("review_message.html", code=code, text=text)

    def _sample(self, look: Look, key: SampleKey) -> dict[str, Any]:
        revision = look.revision(key)
        automatic = look.of(key)
        return {
            "id": sample_id(key),
            "key": key,
            "label": self._wording.method(automatic[0].assay, automatic[0].panel),
            "material": self._wording.texts["material"][automatic[0].material.value],
            "collected_on": automatic[0].collected_on.isoformat(),
            "automatic": [self._row(r) for r in automatic],
            "revised": [self._row(r) for r in revision.results] if revision else [],
            "changes": revision.changes if revision else (),
        }

    def _row(self, result: MrdResult) -> dict[str, Any]:
        return {
            "target": self._wording.target(result.target_id),
            "status": self._wording.texts["status"][result.status.value],
            "code": result.status.value,
            "value": format_fraction(result.value),
            "interval": ""
            if result.ci_low is None
            else f"{format_fraction(result.ci_low)} – {format_fraction(result.ci_high)}",
            "lod": format_fraction(result.lod),
            "counted": f"{format_count(result.numerator)} / {format_count(result.denominator)}",
            "reason": str(result.reason).replace("_", " "),
            "qc": result.qc,
            "calls": [(c, read_at(result, c).call.value) for c in self._desk.config.thresholds],
        }

    def _neighbours(self, patient_id: str) -> tuple[str, str]:
        patients = [c.patient_id for c in self._desk.queue()]
        at = patients.index(patient_id)
        return (patients[at - 1] if at else "", patients[at + 1] if at + 1 < len(patients) else "")

    def _render(self, template: str, **variables: Any) -> str:
        return self._environment.get_template(template).render(
            study_id=self._desk.plan.study_id, version=__version__, seal=self._guard.seal, **variables
        )


def _reviewers(entry: Any) -> str:
    changes: Sequence[Any] = entry.get("changes") or ()
    return ", ".join(dict.fromkeys(c["reviewer"] for c in changes))


def _about(entry: Any) -> str:
    sample = entry.get("sample")
    if isinstance(sample, dict):
        return f"{sample['patient_id']} {sample['timepoint']} {sample['assay']}"
    return str(entry.get("signature", ""))[:12]
