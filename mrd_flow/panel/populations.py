"""What a panel template may say about populations that are no target: marrow cells, expected shares."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mrd_flow.panel.gates import Part

__all__ = ["ExpectedPopulation", "HemodilutionTable", "MarrowPopulation"]


class ExpectedPopulation(Part):
    """A gate that holds at least or at most some fraction of nucleated cells in every sample.

    Where it does not, detectors may be exchanged or a stain missing: no result is called.
    """

    gate: str
    min_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_fraction: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.min_fraction < self.max_fraction:
            raise ValueError("min_fraction must lie below max_fraction")
        return self


class MarrowPopulation(Part):
    """A gate of cells that live in the marrow only.

    ``reference`` is their fraction of nucleated cells in undiluted marrows of the
    laboratory, at the same state of treatment.
    """

    gate: str
    reference: Annotated[float, Field(gt=0, lt=1)]


class HemodilutionTable(Part):
    """When a marrow is taken for diluted by blood (`mrd_flow.hemodilution.DilutionRules`)."""

    suspected_below: Annotated[float, Field(gt=0, le=1)]
    diluted_below: Annotated[float, Field(gt=0, le=1)]
    populations: Annotated[tuple[MarrowPopulation, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.diluted_below > self.suspected_below:
            raise ValueError("diluted_below must not lie above suspected_below")
        return self
