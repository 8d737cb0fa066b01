"""The tumour's own genome: arms and genes gained or lost, partners of the immunoglobulin locus."""
