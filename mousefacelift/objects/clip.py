"""Faces that reach behind the near plane, cut at it: only a camera inside or beside an object meets any.

Part of the objects stage. Cutting happens in space, before projection, so corners of the cut carry exactly the
attributes of their place (Sutherland and Hodgman 1974, for one plane).
"""

import numpy as np

from mousefacelift.objects.texture import Surface

NEAR = 0.01  # world units, as Blender's camera here; the object's radius is 1


def clip_near(surface: Surface, depth: np.ndarray) -> Surface:
    """The part of a surface that lies beyond the near plane; new corners are appended, the old ones keep their numbers.

    Args:
        depth: [P] camera z of each vertex, world units.
    """
    inside = depth[surface.faces[:, :3]] > NEAR
    count = inside.sum(axis=1)
    vertices, corners, faces = [surface.vertices], [surface.corners], [surface.faces[count == 3]]
    offset = len(surface.vertices)
    for wanted in (1, 2):
        chosen = surface.faces[count == wanted]
        odd = np.argmax(inside[count == wanted] == (wanted == 1), axis=1)  # the corner alone on its side of the plane
        alone, second, third = (np.take_along_axis(chosen, ((odd + k) % 3)[:, None], axis=1)[:, 0] for k in range(3))
        places = []
        for other in (second, third):
            share = ((NEAR - depth[alone]) / (depth[other] - depth[alone]))[:, None]
            vertices.append(surface.vertices[alone] * (1 - share) + surface.vertices[other] * share)
            corners.append((surface.corners[alone] * (1 - share) + surface.corners[other] * share).astype(np.float32))
            places.append(offset + np.arange(len(chosen), dtype=np.int32))
            offset += len(chosen)
        if wanted == 1:
            parts = [(alone, *places)]
        else:
            parts = [(places[0], second, third), (places[0], third, places[1])]
        faces += [np.stack([*part, chosen[:, 3]], axis=1) for part in parts]
    return surface._replace(
        vertices=np.concatenate(vertices),
        corners=np.concatenate(corners),
        faces=np.ascontiguousarray(np.concatenate(faces), np.int32),
    )
