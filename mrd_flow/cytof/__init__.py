"""Mass cytometry: normalised, debarcoded, counted in populations."""
