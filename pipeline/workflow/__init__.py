"""From a sample sheet to results: plan, tasks, engine, collection."""
