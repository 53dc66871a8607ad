"""Distil stage: more views of every frame from a multi-view generator, one trusted view per angle, each one gated."""
