"""View-invariant embedding: every frame's reconstruction as a vector that does not know where the camera stood."""
