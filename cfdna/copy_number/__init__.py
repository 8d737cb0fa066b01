"""Copy number: bins of reads, arms and genes gained or lost, and how much of the DNA is the tumour's."""
