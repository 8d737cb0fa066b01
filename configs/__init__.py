"""Run choices that ship with nadir, as TOML; published constants live in code."""
