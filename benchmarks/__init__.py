"""Measurements of the hot paths. `make bench` runs them and writes build/bench.json."""
