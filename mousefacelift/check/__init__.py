"""Judging results: fidelity, multi-view consistency, collapse and splat health. Never imports the stage it judges."""
