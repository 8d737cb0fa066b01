"""A tube's normal cells and clones fitted together, and the evidence for the clone that came last.

A clone that is large beside the normal cells pulls the reference onto it as long as the
reference has to explain its cells alone. Hence the reference starts anew where it was
learned, with the cells the clone explains left out, and moves while the clone does.
"""

from dataclasses import replace

import numpy as np

from mrd_flow.plasma_cells.clone_search import Clone, cost, moved
from mrd_flow.plasma_cells.tube_fit import TubeFit, resettled, with_reference
from mrd_flow.reference.adaptation import adapt, moved_once

__all__ = ["joined"]

_LARGE = 0.005  # share of the table's cells above which a clone disturbs the adaptation
_ROUNDS = 12
_SETTLED = 5e-3  # relative change of a clone's cells
_TINY = 1e-9


def joined(fit: TubeFit, clone: Clone | None, *, start: TubeFit | None = None) -> TubeFit:
    """Fit one more clone together with the normal cells and the clones before it.

    Parameters
    ----------
    fit
        The tube so far.
    clone
        The new clone as it was fitted with everything else fixed; None changes nothing.
    start
        The tube as it was when the clone was fitted (default: ``fit``).

    Returns
    -------
    TubeFit
        The last clone's evidence is that of the whole: what the likelihood and the prior
        gained over ``fit``, less what the clone's freedom costs.
    """
    if clone is None:
        return fit
    start = start or fit
    before = tuple(replace(c, weight=c.weight * (1 - clone.weight)) for c in start.clones)
    joint = resettled(start, (*before, clone))
    large = joint.clone_weight >= _LARGE
    if large or start is not fit:
        reference = fit.adapted.reference
        joint = with_reference(joint, adapt(reference, fit.cells, normal_share=1 - joint.posterior))
    for _ in range(_ROUNDS):
        cells = joint.clones[-1].weight
        joint = resettled(joint, _moved_clones(joint))
        if large:
            adapted = moved_once(joint.adapted, fit.cells, 1 - joint.posterior)
            joint = with_reference(joint, adapted)
        if abs(joint.clones[-1].weight - cells) <= _SETTLED * cells:
            break
    joint = resettled(joint, joint.clones)
    last = joint.clones[-1]
    evidence = joint.objective - fit.objective - cost(last, len(fit.cells))
    return replace(joint, clones=(*joint.clones[:-1], replace(last, evidence=evidence)))


def _moved_clones(joint: TubeFit) -> tuple[Clone, ...]:
    """Each clone where the cells it accounts for have it."""
    known = joint.log_known
    return tuple(
        moved(c, joint.cells, np.exp(np.log(max(c.weight, _TINY)) + c.log_density - known))
        for c in joint.clones
    )
