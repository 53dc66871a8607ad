"""What the views of an object must show before they count as made: something, all of it, with the texture that it has.

Part of the objects stage. An empty or cut render teaches a reconstructor that objects are empty or cut; such an object
is refused where it is made, with the reason, and its row says `refused`, never `done`.
"""

import numpy as np

from mousefacelift.errors import DataError
from mousefacelift.objects.mesh import Mesh

FAINT = 0.05  # alpha below which a pixel shows nothing
LEAST_SHARE, LEAST_PIXELS = 1e-4, 4  # a view shows something when so much of it, and so many pixels, are not faint
CUT_PIXELS = 2  # pixels on the picture's border that a whole object may touch by chance of sampling


def check_seen(alphas: np.ndarray, whole: int, where: str) -> None:
    """Refuse views that show nothing or a part only.

    Args:
        alphas: [V, H, W] in [0, 1].
        whole: how many of the first views are aimed at the whole object; the others may cut it on purpose (random
            zoom and principal point).
    Raises:
        DataError: says in how many views nothing is seen, or which view is cut.
    """
    shown = alphas > FAINT
    counts = shown.sum(axis=(1, 2))
    empty = counts < max(LEAST_PIXELS, LEAST_SHARE * shown[0].size)
    if empty.any():
        raise DataError(
            "nothing of the object is seen" if empty.all() else "some views show nothing of the object",
            where=where,
            got=f"{int(empty.sum())} of {len(empty)} views empty, opacity at most {alphas.max():.3f}",
            likely="transparent materials, or a flat thing seen from its hidden side"
            if empty.all()
            else "a flat thing seen edge-on, or from its hidden side",
        )
    for number, view in enumerate(shown[:whole]):
        border = int(view[0].sum() + view[-1].sum() + view[1:-1, 0].sum() + view[1:-1, -1].sum())
        if border > CUT_PIXELS:
            raise DataError(
                "the object is cut by the picture's border",
                where=f"{where}, view {number}",
                got=f"{border} border pixels",
                likely="views.distance is too small, or a frame reaches farther than the frames that set the scale",
            )


def check_textures(mesh: Mesh, where: str) -> None:
    """Refuse a mesh whose only looks are textures of which every face shows one and the same texel.

    Raises:
        DataError: the coordinates were lost somewhere, and one colour is left of a picture.
    """
    if mesh.colors is not None or not mesh.materials or any(m.texture is None for m in mesh.materials):
        return
    for number, material in enumerate(mesh.materials):
        used = mesh.uv[np.unique(mesh.faces[mesh.face_material == number])]
        height, width = material.texture.shape[:2]
        if not len(used) or (np.ptp(used, axis=0) * [width, height] >= 1).any():
            return
    if all((m.texture == m.texture[:1, :1]).all() for m in mesh.materials) or len(mesh.materials) > 1:
        return
    raise DataError(
        "one texel is all that is seen of the object's texture",
        where=where,
        got=f"{len(mesh.faces)} faces at {np.round(used[0], 4).tolist()} of a {width} x {height} texture",
        likely="texture coordinates lost by an export",
    )
