"""Compiled drawing: lens projection, triangles into a depth buffer, and anti-aliased strands painted over it back to
front."""

from __future__ import annotations

import numpy as np

from mousefacelift.core.compiled import compiled

_FAR = np.float32(1e9)


@compiled()
def project_points(points, lens, scale, out):
    """Fill out [N, 3] with pixels (times `scale`) and depth of points [N, 3]; depth -1 where the lens cannot see.

    `lens` is Lens.packed(): R, t, (fx, fy, cx, cy, skew), (k1, k2, p1, p2, k3).
    """
    fx, fy, cx, cy, skew = lens[12], lens[13], lens[14], lens[15], lens[16]
    k1, k2, p1, p2, k3 = lens[17], lens[18], lens[19], lens[20], lens[21]
    for i in range(points.shape[0]):
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        z = lens[6] * px + lens[7] * py + lens[8] * pz + lens[11]
        if z < 1e-6:
            out[i, 2] = -1.0
            continue
        x = (lens[0] * px + lens[1] * py + lens[2] * pz + lens[9]) / z
        y = (lens[3] * px + lens[4] * py + lens[5] * pz + lens[10]) / z
        r2 = x * x + y * y
        if r2 > 1.5 or (k1 != 0.0 and r2 > 0.4):  # where a fitted polynomial no longer means anything
            out[i, 2] = -1.0
            continue
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        xd = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
        yd = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
        out[i, 0] = scale * (fx * xd + skew * yd + cx)
        out[i, 1] = scale * (fy * yd + cy)
        out[i, 2] = z


@compiled()
def _pixels_between(low, high, size):
    """First and last pixel of a row of `size` whose centre lies between two coordinates."""
    return max(int(np.ceil(low - 0.5)), 0), min(int(np.floor(high - 0.5)), size - 1)


@compiled()
def _corner_weights(x, y, x0, y0, x1, y1, x2, y2, inverse):
    """Barycentric weights of a point; all are at least 0 inside the triangle. `inverse`: of twice its signed area."""
    w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
    w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
    return 1.0 - w1 - w2, w1, w2


@compiled()
def fill_depth(projected, faces, depth):
    """Nearest depth of the triangles in every pixel of depth [H, W] (prefilled with a far value); both sides count."""
    height, width = depth.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, z0 = projected[a, 0], projected[a, 1], projected[a, 2]
        x1, y1, z1 = projected[b, 0], projected[b, 1], projected[b, 2]
        x2, y2, z2 = projected[c, 0], projected[c, 1], projected[c, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0.0:
            continue
        left, right = _pixels_between(min(x0, x1, x2), max(x0, x1, x2), width)
        top, bottom = _pixels_between(min(y0, y1, y2), max(y0, y1, y2), height)
        inverse = 1.0 / area
        for v in range(top, bottom + 1):
            for u in range(left, right + 1):
                w0, w1, w2 = _corner_weights(u + 0.5, v + 0.5, x0, y0, x1, y1, x2, y2, inverse)
                if w0 >= 0.0 and w1 >= 0.0 and w2 >= 0.0:
                    z = w0 * z0 + w1 * z1 + w2 * z2
                    if z < depth[v, u]:
                        depth[v, u] = z


@compiled()
def fill_triangles(projected, faces, colours, origin_x, origin_y, depth, image):
    """Draw opaque Gouraud triangles with a depth test.

    Args:
        projected: [N, 3] pixels and depth. faces: [F, 3]. colours: [N, 3] float32.
        origin_x, origin_y: pixel of the buffers' corner.
        depth: [H, W] float32, far at first. image: [H, W, 4] float32 premultiplied rgba.
    """
    height, width = depth.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        z0, z1, z2 = projected[a, 2], projected[b, 2], projected[c, 2]
        if z0 <= 0.0 or z1 <= 0.0 or z2 <= 0.0:
            continue
        x0, y0 = projected[a, 0] - origin_x, projected[a, 1] - origin_y
        x1, y1 = projected[b, 0] - origin_x, projected[b, 1] - origin_y
        x2, y2 = projected[c, 0] - origin_x, projected[c, 1] - origin_y
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= 0.0:  # outward faces turn counter-clockwise in a y-down image: negative area
            continue
        left, right = _pixels_between(min(x0, x1, x2), max(x0, x1, x2), width)
        top, bottom = _pixels_between(min(y0, y1, y2), max(y0, y1, y2), height)
        inverse = 1.0 / area
        for v in range(top, bottom + 1):
            for u in range(left, right + 1):
                w0, w1, w2 = _corner_weights(u + 0.5, v + 0.5, x0, y0, x1, y1, x2, y2, inverse)
                if w0 < 0.0 or w1 < 0.0 or w2 < 0.0:
                    continue
                z = np.float32(w0 * z0 + w1 * z1 + w2 * z2)
                if z < depth[v, u]:
                    depth[v, u] = z
                    for k in range(3):
                        image[v, u, k] = w0 * colours[a, k] + w1 * colours[b, k] + w2 * colours[c, k]
                    image[v, u, 3] = 1.0


@compiled()
def _blend(image, v, u, alpha, red, green, blue):
    keep = np.float32(1.0) - alpha
    image[v, u, 0] = image[v, u, 0] * keep + alpha * red
    image[v, u, 1] = image[v, u, 1] * keep + alpha * green
    image[v, u, 2] = image[v, u, 2] * keep + alpha * blue
    image[v, u, 3] = image[v, u, 3] * keep + alpha


@compiled()
def paint_segments(order, segments, colours, origin_x, origin_y, depth, bias, image):
    """Paint anti-aliased line segments over `image` in the given order, each pixel tested against `depth` + bias.

    Args:
        order: [S] indices, farthest first.
        segments: [S, 7] float32: x0, y0, x1, y1, depth0, depth1, half width in pixels.
        colours: [S, 4] float32 display colour and opacity.
        depth: [H, W]. bias: mm by which a strand may lie behind the surface it grows from.
    """
    height, width = depth.shape
    one, half, zero = np.float32(1.0), np.float32(0.5), np.float32(0.0)
    for index in range(order.shape[0]):
        s = order[index]
        x0, y0 = segments[s, 0] - origin_x, segments[s, 1] - origin_y
        x1, y1 = segments[s, 2] - origin_x, segments[s, 3] - origin_y
        z0, z1, reach = segments[s, 4], segments[s, 5], segments[s, 6]
        red, green, blue, opacity = colours[s, 0], colours[s, 1], colours[s, 2], colours[s, 3]
        dx, dy = x1 - x0, y1 - y0
        steep = abs(dy) > abs(dx)
        if steep:
            x0, y0, x1, y1, dx, dy = y0, x0, y1, x1, dy, dx
        if dx == zero:
            continue
        if dx < zero:
            x0, y0, x1, y1, z0, z1 = x1, y1, x0, y0, z1, z0
        slope = (y1 - y0) / (x1 - x0)
        cosine = one / np.sqrt(one + slope * slope)
        spread = (reach + half) / cosine
        major_size, minor_size = (height, width) if steep else (width, height)
        for major in range(max(int(np.ceil(x0 - half)), 0), min(int(np.ceil(x1 - half)), major_size)):
            t = major + half - x0
            y = y0 + slope * t
            z = z0 + (z1 - z0) * t / (x1 - x0)
            for minor in range(max(int(np.floor(y - spread)), 0), min(int(np.floor(y + spread)) + 1, minor_size)):
                distance = abs(minor + half - y) * cosine
                cover = min(one, reach + half - distance) - max(zero, half - reach - distance)
                if cover <= zero:
                    continue
                v, u = (major, minor) if steep else (minor, major)
                if z < depth[v, u] + bias:
                    _blend(image, v, u, min(cover, one) * opacity, red, green, blue)
