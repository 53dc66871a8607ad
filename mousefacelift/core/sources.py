"""The sources of samples: everything that the pipeline knows about each of them, in one place.

To add a source, add a row here and the stage that writes it; arms, gate, sampler, plots and report follow.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One kind of material.

    Attributes:
        is_mouse: counts to the mouse part of an arm; the others are objects.
        is_generated: no camera filmed it: its views carry a score below 1, are judged with the photos of their frame,
            and may not be made from photos of another split.
        containment: least share of a view's silhouette that the hull of the sample's other views covers, (worst view,
            mean of the views). Generated views are never exactly one body.
        colour: in plots.
    """

    name: str
    is_mouse: bool
    is_generated: bool
    containment: tuple[float, float]
    colour: str


TABLE = (
    Source("real", True, False, (0.90, 0.95), "#c1440e"),
    Source("distilled", True, True, (0.75, 0.88), "#e0a030"),
    Source("splat", True, True, (0.90, 0.95), "#7a9a01"),
    Source("object", False, False, (0.90, 0.95), "#3b6ea5"),
    Source("scan", False, False, (0.90, 0.95), "#7b5ea7"),
)
BY_NAME = {source.name: source for source in TABLE}
SOURCES = tuple(BY_NAME)
MOUSE_SOURCES = tuple(source.name for source in TABLE if source.is_mouse)
GENERATED_SOURCES = tuple(source.name for source in TABLE if source.is_generated)
OUTPUTS = ("prediction", "input")  # what a model rendered, and what it was shown: sample folders, never training data
