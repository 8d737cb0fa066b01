"""How well a followed clone is counted, on simulated tubes whose truth is known.

    python tests/bench/study_quantification.py [--replicates 1000]

A tube is made from cells to reads: clonal cells are a Poisson draw, a share of the templates
amplifies, PCR multiplies each by its own yield, reads are Poisson, and bases are misread.
Spike-ins go through the same. What follows is the product's own: windows are counted, the
calibration is fitted, the marker is tracked and stated. Prints

* dilutions 1e-2 to 1e-6: mean estimate, slope and R2 of level means, beside the share of reads;
* coverage of the 95 % interval at 3 to 1,000 templates, also with heavier jackpots;
* negatives among look-alikes, and the share of the clone's own reads that is recovered;
* the probit limit of detection of one marker.

`tests/mrd_ngs/test_studies.py` asserts the same numbers with smaller series.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.call import NgsCalls, call_markers
from mrd_ngs.evidence import DistinctReads, Library, ReadFate, SpikeIn
from mrd_ngs.settings import NgsSettings
from mrd_ngs.track import template_interval, track_marker
from pipeline.model import Assay, Marker, Material, Sample, Status

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
WINDOW_NT, FLANK_NT = 80, 20
SETTINGS = NgsSettings()

Sequence8 = NDArray[np.uint8]


def random_dna(seed: int, length: int) -> Sequence8:
    """Bases drawn evenly."""
    return np.random.default_rng(seed).choice(BASES, length)


CLONE = random_dna(1, WINDOW_NT + 2 * FLANK_NT)
SPIKE_INS = tuple(
    SpikeIn(
        name=f"S{i}", sequence=random_dna(10 + i, len(CLONE)).tobytes(), copies=40, centre=len(CLONE) // 2
    )
    for i in range(9)
)
POLYCLONAL = [random_dna(1000 + i, len(CLONE)).tobytes() for i in range(4000)]
MARKER = Marker(
    patient_id="P01",
    target_id="IGH-1",
    locus="IGH",
    v_call="IGHV3-30*01",
    d_call="",
    j_call="IGHJ4*02",
    junction=CLONE[FLANK_NT + 10 : -FLANK_NT - 10].tobytes().decode(),
    sequence=CLONE[FLANK_NT:-FLANK_NT].tobytes().decode(),
    reads=900,
    locus_reads=1000,
    templates=100.0,
    fraction_of_cells=0.1,
    taken=True,
    reason="taken",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """What a library is made from.

    ``amplified`` is the share of templates that PCR picks up, ``reads_per_template`` the mean
    of those; ``jackpots`` names the yields (`yields`), ``clone_jackpots`` those of the clone where
    the spike-ins do not share them; ``b_cells`` are polyclonal.
    """

    cells: int = 1_000_000
    amplified: float = 0.9
    reads_per_template: float = 5.0
    jackpots: str = "branching"
    clone_jackpots: str = ""
    error_rate: float = 0.001
    b_cells: int = 50


def yields(rng: np.random.Generator, templates: int, jackpots: str) -> NDArray[np.float64]:
    """Relative yield of each template, mean 1: ``branching``, ``gamma`` or ``lognormal``.

    Ten cycles of copying with probability 0.8 (coefficient of variation 0.33); geometric reads
    (1.0); a heavy tail (1.31).
    """
    if jackpots == "branching":
        molecules = np.ones(templates, dtype=np.int64)
        for _ in range(10):
            molecules += rng.binomial(molecules, 0.8)
        return molecules / 1.8**10
    if jackpots == "gamma":
        return rng.exponential(1.0, templates)
    return rng.lognormal(-0.5, 1.0, templates)


def read_out(rng: np.random.Generator, templates: int, tube: Tube) -> int:
    """Reads of a number of templates of one sequence."""
    amplified = int(rng.binomial(templates, tube.amplified))
    return int(rng.poisson(tube.reads_per_template * yields(rng, amplified, tube.jackpots).sum()))


def misread(rng: np.random.Generator, sequence: Sequence8, reads: int, error_rate: float) -> Counter[bytes]:
    """Reads of one sequence with substitutions at an even rate."""
    errors = rng.binomial(len(sequence), error_rate, reads)
    wrong = np.repeat(np.arange(np.count_nonzero(errors)), errors[errors > 0])
    rows = np.tile(sequence, (int(np.count_nonzero(errors)), 1))
    places = rng.integers(0, len(sequence), len(wrong))  # a base may be hit twice: 1 in 10,000 reads
    code = np.searchsorted(BASES, rows[wrong, places])
    rows[wrong, places] = BASES[(code + rng.integers(1, 4, len(wrong))) % 4]
    counts = Counter(row.tobytes() for row in rows)
    counts[sequence.tobytes()] += reads - len(rows)
    return counts


def changed(rng: np.random.Generator, mismatches: int) -> Sequence8:
    """The clone's sequence with some bases of its window substituted."""
    sequence = CLONE.copy()
    places = FLANK_NT + rng.choice(WINDOW_NT, mismatches, replace=False)
    code = np.searchsorted(BASES, sequence[places])
    sequence[places] = BASES[(code + rng.integers(1, 4, mismatches)) % 4]
    return sequence


def make_library(
    rng: np.random.Generator, tube: Tube, clone_cells: float, others: Sequence[tuple[Sequence8, float]] = ()
) -> tuple[Library, int]:
    """One library with an expected number of clonal cells, and the clone's true reads.

    ``others`` are further sequences with their expected cells.
    """
    own = replace(tube, jackpots=tube.clone_jackpots or tube.jackpots)
    clone_reads = read_out(rng, int(rng.poisson(clone_cells)), own)
    counts = misread(rng, CLONE, clone_reads, tube.error_rate)
    for sequence, cells in others:
        counts += misread(rng, sequence, read_out(rng, int(rng.poisson(cells)), tube), tube.error_rate)
    amplified = rng.random(tube.b_cells) < tube.amplified
    depth = tube.reads_per_template * yields(rng, tube.b_cells, tube.jackpots) * amplified
    counts += Counter(dict(zip(POLYCLONAL, rng.poisson(depth).tolist(), strict=False)))
    spiked: Counter[bytes] = Counter()
    for spike_in in SPIKE_INS:
        sequence = np.frombuffer(spike_in.sequence, dtype=np.uint8)
        spiked += misread(rng, sequence, read_out(rng, int(spike_in.copies), tube), tube.error_rate)
    total = counts.total() + spiked.total()
    library = Library(
        sample=Sample(
            study_id="T1",
            patient_id="P01",
            timepoint="FU1",
            collected_on=date(2026, 3, 1),
            material=Material.BONE_MARROW,
            assay=Assay.NGS,
            files=(Path("reads.fastq.gz"),),
            cells=tube.cells,
        ),
        reads=DistinctReads.from_counts(+counts),
        spike_ins=SPIKE_INS,
        spike_in_reads=DistinctReads.from_counts(+spiked),
        input_reads=total,
        fates=(ReadFate(fate="kept", reads=total),),
        input_sha256="0" * 64,
    )
    return library, clone_reads


def call(library: Library) -> NgsCalls:
    """The product's answer for one library."""
    return call_markers([library], [MARKER], settings=SETTINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dilutions:
    """Level means over replicates; ``slopes`` and ``r_squared`` by estimate and by share of reads."""

    fractions: NDArray[np.float64]
    templates: NDArray[np.float64]
    estimates: NDArray[np.float64]
    shares: NDArray[np.float64]

    def fit(self, levels: NDArray[np.float64]) -> tuple[float, float]:
        """Slope and R2 of log10 level means on log10 true fractions."""
        x, y = np.log10(self.fractions), np.log10(levels)
        slope, _ = np.polyfit(x, y, 1)
        return float(slope), float(np.corrcoef(x, y)[0, 1] ** 2)


def study_dilutions(rng: np.random.Generator, replicates: int = 40) -> Dilutions:
    """Decades from 1e-2 to 1e-6 of three million cells."""
    tube = Tube(cells=3_000_000, b_cells=4000)
    fractions = np.array([1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
    estimates, shares = [], []
    for fraction in fractions:
        values, parts = [], []
        for _ in range(replicates):
            library, _ = make_library(rng, tube, fraction * tube.cells)
            calls = call(library)
            values.append(calls.results[0].value or 0.0)
            parts.append(calls.tracks[0].window.exact / float(library.reads.counts.sum()))
        estimates.append(np.mean(values))
        shares.append(np.mean(parts))
    return Dilutions(
        fractions=fractions,
        templates=fractions * tube.cells,
        estimates=np.array(estimates),
        shares=np.array(shares),
    )


def study_coverage(rng: np.random.Generator, templates: float, tube: Tube, libraries: int) -> float:
    """Share of libraries whose 95 % interval holds the expected templates."""
    covered = 0
    for _ in range(libraries):
        track = track_marker(make_library(rng, tube, templates)[0], MARKER, SETTINGS)
        if track.calibration is None:
            continue
        interval = template_interval(track.window.exact, track.calibration)
        covered += interval.low <= templates <= interval.high
    return covered / libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Specificity:
    """False calls among negatives, and shares of the clone's true reads that were found in positives."""

    negatives: int
    false_calls: int
    exact_reads_most: int
    counted_share: float
    recovered_share: float


def study_negatives(rng: np.random.Generator, negatives: int = 300, positives: int = 30) -> Specificity:
    """Libraries with look-alikes at one, two and three mismatches, each 1e-4 to 1e-3 of cells."""
    tube = Tube()

    def look_alikes() -> list[tuple[Sequence8, float]]:
        fractions = 10 ** rng.uniform(-4, -3, 3)
        return [(changed(rng, k), float(f) * tube.cells) for k, f in zip((1, 2, 3), fractions, strict=True)]

    false_calls = most = 0
    for _ in range(negatives):
        calls = call(make_library(rng, tube, 0.0, look_alikes())[0])
        false_calls += calls.results[0].status is not Status.NOT_DETECTED
        most = max(most, calls.tracks[0].window.exact)
    true = counted = recovered = 0
    for number in range(positives):
        beside = look_alikes() if number % 2 else []
        library, clone_reads = make_library(rng, tube, 300.0, beside)
        (track,) = call(library).tracks
        true += clone_reads
        counted += track.window.exact
        recovered += track.recovered_reads
    return Specificity(
        negatives=negatives,
        false_calls=false_calls,
        exact_reads_most=most,
        counted_share=counted / true,
        recovered_share=recovered / true,
    )


LOD_CELLS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lod:
    """Detected shares by cells, and the 95 % limits in cells.

    ``probit`` is fitted on log10 cells; ``single_hit`` on 1 - exp(-cells x rate), the law of a
    Poisson draw; ``efficiency`` is the probability that one cell gives the reads asked for.
    """

    hits: tuple[int, ...]
    libraries: int
    probit: float
    single_hit: float
    stated: float
    efficiency: float


def exact_reads(rng: np.random.Generator, tube: Tube, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reads with an unchanged window of libraries with so many clonal cells, shape (libraries,)."""
    amplified = rng.binomial(cells, tube.amplified)
    library = np.repeat(np.arange(len(cells)), amplified)
    depth = np.bincount(library, weights=yields(rng, len(library), tube.jackpots), minlength=len(cells))
    reads = rng.poisson(tube.reads_per_template * depth)
    return np.asarray(rng.binomial(reads, (1 - tube.error_rate) ** WINDOW_NT), dtype=np.int64)


def study_lod(rng: np.random.Generator, tube: Tube, libraries: int = 10_000) -> Lod:
    """Detection of 0.5 to 6 expected cells.

    The decision count is the product's in blank libraries; nothing near the clone is in these, so that
    it is the same in all, and the clone's reads are drawn without their bases.
    """
    blanks = [call(make_library(rng, tube, 0.0)[0]) for _ in range(20)]
    (decision,) = {calls.tracks[0].decision_reads for calls in blanks}
    hits = [
        int((exact_reads(rng, tube, rng.poisson(cells, libraries)) >= decision).sum()) for cells in LOD_CELLS
    ]
    ones = exact_reads(rng, tube, np.ones(100_000, dtype=np.int64))
    return Lod(
        hits=tuple(hits),
        libraries=libraries,
        probit=fit_limit(LOD_CELLS, hits, libraries, single_hit=False),
        single_hit=fit_limit(LOD_CELLS, hits, libraries, single_hit=True),
        stated=float(np.mean([calls.results[0].lod or math.nan for calls in blanks])) * tube.cells,
        efficiency=float((ones >= decision).mean()),
    )


def study_detection(rng: np.random.Generator, tube: Tube, cells: float, libraries: int) -> float:
    """Share of whole libraries with so many expected clonal cells in which the clone is called."""
    tubes = (make_library(rng, tube, cells)[0] for _ in range(libraries))
    return sum(track_marker(one, MARKER, SETTINGS).is_called for one in tubes) / libraries


def fit_limit(cells: Sequence[float], hits: Sequence[int], libraries: int, *, single_hit: bool) -> float:
    """Cells detected in 95 %, by maximum likelihood of a probit on log10 cells or of a single hit."""
    from scipy.optimize import minimize
    from scipy.stats import norm

    x, k = np.asarray(cells), np.asarray(hits)

    def power(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        if single_hit:
            found = -np.expm1(-x * np.exp(parameters[0]))
        else:
            found = norm.cdf(parameters[0] + np.exp(parameters[1]) * np.log10(x))
        return np.asarray(np.clip(found, 1e-12, 1 - 1e-12), dtype=np.float64)

    def loss(parameters: NDArray[np.float64]) -> float:
        p = power(parameters)
        return float(-(k * np.log(p) + (libraries - k) * np.log1p(-p)).sum())

    best = minimize(loss, np.zeros(1 if single_hit else 2), method="Nelder-Mead").x
    if single_hit:
        return float(-math.log(0.05) / math.exp(best[0]))
    return float(10 ** ((norm.ppf(0.95) - best[0]) / math.exp(best[1])))


def report(replicates: int) -> Iterator[str]:
    """The tables, line by line."""
    dilutions = study_dilutions(np.random.default_rng(1), max(20, replicates // 25))
    yield "true fraction  templates  mean estimate  ratio   mean share of reads"
    for fraction, templates, estimate, share in zip(
        dilutions.fractions, dilutions.templates, dilutions.estimates, dilutions.shares, strict=True
    ):
        yield (
            f"{fraction:<14.0e} {templates:>9,.0f}  {estimate:>13.3g}  {estimate / fraction:.3f}"
            f"   {share:.3g}"
        )
    for name, levels in (("estimate", dilutions.estimates), ("share of reads", dilutions.shares)):
        slope, r_squared = dilutions.fit(levels)
        yield f"{name}: slope {slope:.4f}, R2 {r_squared:.5f}"
    yield "\njackpots   reads a template   coverage at 3, 10, 100, 1,000 templates"
    for jackpots in ("branching", "gamma", "lognormal"):
        for depth in (2.0, 5.0, 20.0):
            tube = Tube(jackpots=jackpots, reads_per_template=depth)
            found = [
                study_coverage(np.random.default_rng(2), t, tube, replicates) for t in (3, 10, 100, 1000)
            ]
            yield f"{jackpots:<10} {depth:>16g}   " + "  ".join(f"{c:.3f}" for c in found)
    tube = Tube(clone_jackpots="gamma")
    found = [study_coverage(np.random.default_rng(2), t, tube, replicates) for t in (3, 10, 100, 1000)]
    yield "branching, but of the clone alone gamma: " + "  ".join(f"{c:.3f}" for c in found)
    s = study_negatives(np.random.default_rng(3), max(300, replicates // 3))
    yield (
        f"\n{s.negatives} negatives among look-alikes: {s.false_calls} false calls, at most "
        f"{s.exact_reads_most} exact reads\nof the clone's reads {100 * s.counted_share:.2f} % counted, "
        f"{100 * s.recovered_share:.2f} % recovered"
    )
    yield "\nreads a template   hits at " + ", ".join(f"{c:g}" for c in LOD_CELLS) + " cells"
    for depth in (2.0, 5.0, 10.0, 20.0):
        lod = study_lod(np.random.default_rng(4), Tube(reads_per_template=depth))
        yield f"{depth:>16g}   {' '.join(map(str, lod.hits))} of {lod.libraries}"
        yield (
            f"{'':>16}   LoD95 probit {lod.probit:.2f}, single hit {lod.single_hit:.2f}, stated"
            f" {lod.stated:.2f} cells; efficiency {lod.efficiency:.3f}, amplified {Tube().amplified:g}"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicates", type=int, default=1000, metavar="N")
    for line in report(parser.parse_args().replicates):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
