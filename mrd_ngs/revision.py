"""A patient's libraries held open, so that an analyst can leave out a marker and see what comes of it."""

from collections.abc import Sequence
from dataclasses import replace

from mrd_ngs.base_quality import read_with_qualities
from mrd_ngs.judged_run import Judged
from mrd_ngs.settings import NgsSettings
from mrd_ngs.shared_run import Indexed, follow_clone, index_baselines
from pipeline.errors import UsageError
from pipeline.model import Change, Marker, MrdResult, Sample, SampleKey

__all__ = ["RevisableNgs"]


class RevisableNgs:
    """All libraries of one patient, read and followed.

    Parameters
    ----------
    samples
        Of one patient.
    settings
        Run choices.
    baseline
        Code of the time point of diagnosis.
    indexed
        The clone as a run found it; None where it is to be found here, or there is no baseline.
    runs
        The judged runs that hold some of the samples.

    Raises
    ------
    DamagedFile, InputRefused
        If a library cannot be read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        settings: NgsSettings,
        baseline: str,
        indexed: Indexed | None = None,
        runs: Sequence[Judged] = (),
    ) -> None:
        self._settings, self._baseline, self._runs = settings, baseline, tuple(runs)
        self._libraries = tuple(read_with_qualities(s, settings) for s in samples)
        first = [library for library in self._libraries if library.sample.timepoint == baseline]
        self._indexed = index_baselines(first, settings) if indexed is None and first else indexed
        self._automatic: tuple[MrdResult, ...] = self._followed(self._indexed)

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Those that are followed."""
        return () if self._indexed is None else tuple(m for m in self._indexed.markers if m.taken)

    def results(self, sample: SampleKey, changes: Sequence[Change]) -> tuple[MrdResult, ...]:
        """Results of a sample after markers are left out; without changes, the automatic ones.

        Raises
        ------
        UsageError
            If a change names a marker that there is not, or this patient has no such library.
        """
        left_out = self._targets(changes)
        rows = self._followed(self._without(left_out)) if left_out else self._automatic
        found = tuple(r for r in rows if SampleKey.of(r) == sample)
        if not found:
            raise UsageError("this patient has no such library")
        return found

    def _targets(self, changes: Sequence[Change]) -> set[str]:
        left_out = {c.target_id for c in changes}
        if not left_out <= {m.target_id for m in self.markers}:
            raise UsageError("this patient has no such marker, or it is not followed")
        return left_out

    def _without(self, left_out: set[str]) -> Indexed | None:
        if self._indexed is None:
            return None
        markers = tuple(
            replace(m, taken=False) if m.target_id in left_out else m for m in self._indexed.markers
        )
        return replace(self._indexed, markers=markers)

    def _followed(self, indexed: Indexed | None) -> tuple[MrdResult, ...]:
        return follow_clone(
            self._libraries, indexed, self._runs, settings=self._settings, baseline=self._baseline
        )
