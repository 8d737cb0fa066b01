"""Every endpoint table that a trial's tables allow, and a sentence for each that they do not."""

from collections.abc import Callable, Sequence

from pipeline.clinical.lesions import lesion_response_table
from pipeline.clinical.mrd_endpoints import THRESHOLDS, landmark_table, mrd_category_table, mrd_rate_table
from pipeline.clinical.mrd_over_time import counting_process_table, time_dependent_table
from pipeline.clinical.phase_endpoints import (
    discontinuation_table,
    harvest_table,
    phase_levels,
    primary_table,
    response_table,
    upgrade_table,
)
from pipeline.clinical.safety_endpoints import adverse_event_table, exposure_table
from pipeline.clinical.time_endpoints import (
    neoplasm_table,
    observations,
    risk_table,
    survival_summary,
    unfollowed,
)
from pipeline.clinical.trial import EndpointTable, Trial, unknown_patients

__all__ = ["endpoint_tables"]

Item = tuple[str, tuple[str, ...], Callable[[], EndpointTable]]


def endpoint_tables(
    trial: Trial, *, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[tuple[EndpointTable, ...], tuple[str, ...]]:
    """One table per item of the protocol's list.

    Parameters
    ----------
    trial
        Tables that were not given are empty; what needs them is left out, and said so.
    thresholds
        Fractions at which MRD results are read.

    Returns
    -------
    tuple
        The tables, and one sentence per table left out or patient who is not in the baseline table.
    """
    levels = phase_levels(trial)
    observed = observations(trial)
    items: tuple[Item, ...] = (
        ("primary", ("responses", "courses"), lambda: primary_table(trial, levels)),
        ("response_rates", ("responses", "courses"), lambda: response_table(trial, levels)),
        ("upgrades", ("responses", "courses"), lambda: upgrade_table(trial, levels)),
        ("harvest", ("harvests",), lambda: harvest_table(trial)),
        ("discontinuations", ("courses",), lambda: discontinuation_table(trial)),
        ("survival_summary", ("outcomes",), lambda: survival_summary(observed)),
        ("risk_table", ("outcomes",), lambda: risk_table(observed)),
        ("second_neoplasm", ("outcomes",), lambda: neoplasm_table(observed)),
        ("mrd_negative_rates", ("mrd",), lambda: mrd_rate_table(trial, thresholds)),
        ("mrd_categories", ("mrd",), lambda: mrd_category_table(trial, thresholds)),
        ("mrd_landmark", ("mrd", "outcomes"), lambda: landmark_table(trial, thresholds)),
        ("mrd_time_dependent", ("mrd", "outcomes"), lambda: time_dependent_table(trial, thresholds)),
        ("mrd_counting_process", ("mrd", "outcomes"), lambda: counting_process_table(trial, thresholds)),
        (
            "lesion_response",
            ("lesions", "responses", "courses"),
            lambda: lesion_response_table(trial, levels),
        ),
        ("adverse_events", ("courses", "events"), lambda: adverse_event_table(trial)),
        ("exposure_adjusted", ("courses", "events"), lambda: exposure_table(trial)),
    )
    tables = []
    notes = [*unknown_patients(trial), *unfollowed(trial)]
    for name, needs, make in items:
        absent = [need for need in needs if not getattr(trial, need)]
        if absent:
            notes.append(f"{name}: not made, as there are no {' and no '.join(absent)}")
        else:
            tables.append(make())
    return tuple(tables), tuple(notes)
