"""The single-picture prior: one picture -> points of the mouse's surface in its heading frame -> Gaussians in the
world."""
