"""How well the expected background of a window agrees with what recurs in simulated repertoires.

    python tests/bench/study_uniqueness.py [--cells 60000] [--windows 500]

Prints the tables of docs/methods/markers.md.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.germline import load_germline
from mrd_ngs.simulate import simulate_rearrangement
from mrd_ngs.uniqueness import BackgroundModel, estimate_background

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from rearrangements import mutated
from references import SHARED, packed_reads
from repertoires import NEUTRAL, one_allele_each, plainer_repertoire, recurrences, repertoire, window_of

KINDS = ("IGH", "IGK", "IGL", "V-Kde", "intron-Kde", "DJ")
RAREST = 1e-6


def light_chains(cells: int, windows: int) -> Iterator[str]:
    """Recurrences of the windows of light chains, counted and expected."""
    yield f"{cells:,} cells, recurrences of {windows} windows    counted   expected, neutral   by default"
    for locus in ("IGK", "IGL"):
        lefts = [sequence[-150:] for sequence in one_allele_each(load_germline().v, locus)]
        rights = one_allele_each(load_germline().j, locus)
        made: dict[str, Callable[[np.random.Generator], list[str]]] = {
            "as the model says": lambda rng, lefts=lefts, rights=rights: repertoire(
                rng, cells, lefts, rights, trimmed=(3, 3), added=1
            ),
            "uniform, Poisson": lambda rng, lefts=lefts, rights=rights: plainer_repertoire(
                rng, cells, lefts, rights
            ),
        }
        for how, make in made.items():
            reads = make(np.random.default_rng(2))
            counted, neutral, _ = recurrences(reads, windows, NEUTRAL)
            _, default, _ = recurrences(reads, windows, BackgroundModel())
            yield f"{locus}, {how:20} {counted:26,} {neutral:19,.0f} {default:12,.0f}"


def passing(number: int) -> Iterator[str]:
    """Share of simulated rearrangements whose window is expected in at most one cell in a million."""
    yield f"expected in at most {RAREST:g} of cells, of {number}    unmutated   5 % mutated"
    for kind in KINDS:
        shares = []
        for rate in (0.0, 0.05):
            rng = np.random.default_rng(3)
            reads = [
                mutated(rng, simulate_rearrangement(rng, load_germline(), kind=kind, mutation_rate=0.0)
                        .sequence[-260:].decode(), rate)
                for _ in range(number)
            ]  # fmt: skip
            found = [f for f in annotate_sequences(reads, load_germline()) if f is not None and f.j_call]
            rare = [_of_cells(f) <= RAREST for f in found if f.junction or f.kind != "V"]
            shares.append(sum(rare) / len(rare))
        yield f"{kind:12} {shares[0]:34.2f} {shares[1]:13.2f}"


def real_heavy_chains(windows: int) -> Iterator[str]:
    """Trimming and N nucleotides of distinct real junctions, and the most expected of their windows."""
    v = {gene.name: len(gene.sequence) for gene in load_germline().v}
    d = {gene.name: len(gene.sequence) for gene in load_germline().d}
    for name in ("sonar_merged", "igrec_merged400"):
        reads = packed_reads(SHARED / "ngs_real" / f"{name}.fastq.gz")
        found = annotate_sequences([bases for _, bases in reads], load_germline())
        distinct = {f.junction: f for f in found if f is not None and f.junction and f.d_call}
        each = [
            (
                v[_first(f.v_call)] - f.v_germline_end,
                f.d_germline_start,
                d[_first(f.d_call)] - f.d_germline_end,
                f.j_germline_start,
                len(f.np1),
                len(f.np2),
                100 * (1 - (f.v_identity or 1.0)),
            )
            for f in distinct.values()
        ]
        means = np.mean(each, axis=0)
        untrimmed = np.mean([row[0] == 0 for row in each])
        worst = max(_of_cells(f) for f in list(distinct.values())[:windows])
        yield (
            f"{name}: {len(each):,} junctions; mean trimmed V {means[0]:.1f}, "
            f"D {means[1]:.1f}/{means[2]:.1f}, J {means[3]:.1f}; N {means[4]:.1f}/{means[5]:.1f}; "
            f"{100 * untrimmed:.0f} % of V untrimmed; V mutated {means[6]:.1f} %; "
            f"most expected of {min(windows, len(each))} windows: {worst:.0e} of cells"
        )


def _first(calls: str) -> str:
    return calls.split(",")[0]


def _of_cells(found: object) -> float:
    window, start = window_of(found)  # type: ignore[arg-type]
    return estimate_background(found, window, start, load_germline()).of_cells  # type: ignore[arg-type]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", type=int, default=60_000)
    parser.add_argument("--windows", type=int, default=500)
    arguments = parser.parse_args()
    for line in (
        *light_chains(arguments.cells, arguments.windows),
        "",
        *passing(150),
        "",
        *real_heavy_chains(arguments.windows),
    ):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
