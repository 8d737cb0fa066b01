"""Compiled counting for pictures: which bin an event lies in, and how many lie in each."""

from mrd_flow.engine.shape_kernels import Array, kernel

__all__ = ["bin_events", "count_bins"]

NOWHERE = -1


@kernel
def bin_events(events: Array, places: Array, weights: Array, edges: Array, wanted: Array, out: Array) -> None:
    """Bin of each wanted event on one axis; beyond the edges the outermost, without a value `NOWHERE`.

    Parameters
    ----------
    events
        Stored values, shape (n_events, n_columns).
    places, weights
        Columns of ``events`` and what each counts for: the axis is their weighted sum.
    edges
        Rising linear values, one more than bins, of which there are a power of two.
    wanted
        bool, shape (n_events,).
    out
        int16, shape (n_events,); filled.
    """
    bins = len(edges) - 1
    for i in range(len(events)):
        out[i] = NOWHERE
        if not wanted[i]:
            continue
        value = 0.0
        for k in range(len(places)):
            value += events[i, places[k]] * weights[k]
        if not abs(value) <= 1e300:
            continue
        low, step = 0, bins // 2
        while step > 0:  # without a branch that the processor would have to guess
            low += step * (value >= edges[low + step])
            step //= 2
        out[i] = low


@kernel
def count_bins(x: Array, y: Array, inside: Array, counts: Array) -> None:
    """Count the events inside in their bins.

    Parameters
    ----------
    x, y
        Bins of `bin_events`, int16, shape (n_events,).
    inside
        bool, shape (n_events,).
    counts
        int64, shape (y bins, x bins); added to.
    """
    for i in range(len(x)):
        if inside[i] and x[i] >= 0 and y[i] >= 0:
            counts[y[i], x[i]] += 1
