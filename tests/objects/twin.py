"""The rasteriser's naive twin: one ray per sample against every face, nothing shared with it but the definition of a
picture."""

import numpy as np

from mousefacelift.core.cameras import Camera, rays
from mousefacelift.objects.clip import NEAR
from mousefacelift.objects.light import irradiance_basis
from mousefacelift.objects.mesh import CLAMP, MIRROR


def decode(texels):
    """Linear values of uint8 sRGB."""
    c = texels / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def wrap(k, count, mode):
    if mode == CLAMP:
        return np.clip(k, 0, count - 1)
    if mode == MIRROR:
        return np.where(k % (2 * count) < count, k % (2 * count), 2 * count - 1 - k % (2 * count))
    return k % count


def look_up(material, uv):
    """[K, 3] linear texture colour at uv [K, 2], bilinear on the finest level."""
    height, width = material.texture.shape[:2]
    place = np.stack([uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5], -1)
    first, total = np.floor(place).astype(int), 0
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.prod(np.where([dx, dy], place - first, 1 - place + first), axis=1)
            row, column = (
                wrap(first[:, 1] + dy, height, material.wrap[1]),
                wrap(first[:, 0] + dx, width, material.wrap[0]),
            )
            total = total + weight[:, None] * decode(material.texture[row, column, :3])
    return total


def cast_rays(mesh, camera, light, supersampling):
    """rgba, depth and normal [H, W, ...] of an opaque mesh."""
    s = supersampling
    fine = Camera(camera.w2c, camera.fxfycxcy * s, camera.width * s, camera.height * s)
    origin, directions = rays(fine)
    directions = directions.reshape(-1, 3)
    best, hit = np.full(len(directions), np.inf), np.zeros((len(directions), 7))  # colour, normal, covered
    for face, m in zip(mesh.faces, mesh.face_material):
        a, b, c = mesh.vertices[face]
        across = np.cross(directions, c - a)
        with np.errstate(all="ignore"):
            w1 = across @ (origin - a) / (across @ (b - a))
            w2 = directions @ np.cross(origin - a, b - a) / (across @ (b - a))
            along = np.cross(origin - a, b - a) @ (c - a) / (across @ (b - a))
        depth = along * (directions @ camera.R[2])
        nearer = (w1 >= 0) & (w2 >= 0) & (w1 + w2 <= 1) & (depth > NEAR) & (depth < best)
        weights = np.stack([1 - w1 - w2, w1, w2], -1)[nearer]
        flat = np.cross(b - a, c - a)
        flat = flat if flat @ (origin - a) > 0 else -flat
        normal = (
            weights @ mesh.normals[face] if np.abs(mesh.normals[face]).sum() > 0 else np.tile(flat, (len(weights), 1))
        )
        normal = normal * np.where(normal @ flat < 0, -1, 1)[:, None] / np.linalg.norm(normal, axis=1, keepdims=True)
        material = mesh.materials[m]
        color = np.array(material.base[:3]) * (1 if mesh.colors is None else weights @ mesh.colors[face, :3])
        if material.texture is not None:
            color = color * look_up(material, weights @ mesh.uv[face])
        shine = np.maximum(irradiance_basis(normal) @ light.ambient, 0)
        shine = shine + np.maximum(normal @ light.directions.T, 0) @ light.lamps
        best[nearer] = depth[nearer]
        hit[nearer] = np.concatenate([np.minimum(color * shine, 1), normal, np.ones((len(weights), 1))], axis=1)
    blocks = (camera.height, s, camera.width, s, -1)
    hit = np.concatenate([hit, np.where(np.isfinite(best), best, 0)[:, None]], axis=1).reshape(blocks).sum(axis=(1, 3))
    count = np.maximum(hit[..., 6:7], 1)
    linear = hit[..., :3] / count
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    normal = hit[..., 3:6] / np.maximum(np.linalg.norm(hit[..., 3:6], axis=-1, keepdims=True), 1e-30)
    return np.concatenate([encoded, hit[..., 6:7] / s**2], -1), hit[..., 7] / count[..., 0], normal
