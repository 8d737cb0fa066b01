"""Pages, figures and tables. Sees result types only, never an assay."""
