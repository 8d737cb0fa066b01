"""Pictures of a sample, gate by gate."""
