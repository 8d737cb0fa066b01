"""All that decides the law of a simulated sample's cells, in one record."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mrd_flow.simulation.plasma_cell_model import Patient
from mrd_flow.simulation.populations import CellKinds, cell_kinds

__all__ = ["DEFAULT_PLASMA_CELL_FRACTION", "SampleModel"]

DEFAULT_PLASMA_CELL_FRACTION = 0.0025


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleModel:
    """Parameters of one sample, as in `mrd_flow.simulation.populations.cell_kinds`.

    ``aberrant_fraction`` and ``plasma_cell_fraction`` are the clone's and the normal
    plasma cells of the marrow's nucleated cells, before blood is mixed in; ``patient``
    None is the average patient.
    """

    aberrant_fraction: float
    plasma_cell_fraction: float = DEFAULT_PLASMA_CELL_FRACTION
    phenotype: str = "classic"
    light_chain: str = "cyKappa"
    patient: Patient | None = None
    blood_share: float = 0.0
    masking_log10: Mapping[str, float] = field(default_factory=dict)

    def kinds(self, markers: tuple[str, ...]) -> CellKinds:
        """Kinds of cells as a tube with these markers shows them.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        return cell_kinds(
            markers,
            plasma_cell_fraction=self.plasma_cell_fraction,
            aberrant_fraction=self.aberrant_fraction,
            phenotype=self.phenotype,
            light_chain=self.light_chain,
            patient=self.patient,
            blood_share=self.blood_share,
            masking_log10=self.masking_log10,
        )
