"""Closed-form steps of the backward projection: from the conic to the covariance, the camera and the world."""

from __future__ import annotations

from mousefacelift.core.render.jit import inlined
from mousefacelift.core.render.project import (
    _apply,
    _dot,
    _geometry,
)
from mousefacelift.core.render.simd import (
    LANES,
    SUM_LANE,
    fma,
    fnma,
    gather,
    get,
    load,
    maximum,
    scatter,
    select,
    store,
)


@inlined
def _conic_to_covariance(cxx, cxy, cyy, m_xx, m_xy, m_yy):
    """Gradient with respect to the dilated covariance (xx, xy as half of the off-diagonal sum, yy) from the moments
    sum s dx^2, sum s dx dy, sum s dy^2, with s = dL / d log(alpha)."""
    determinant = fnma(cxy, cxy, cxx * cyy)
    inverse = 1 / select(determinant > 1e-20, determinant, 1)
    a, b, c = cyy * inverse, 0 - cxy * inverse, cxx * inverse
    # dL/dconic = -1/2 [[m_xx, m_xy], [m_xy, m_yy]], dL/dcov = -conic dL/dconic conic
    left00, left01 = fma(a, m_xx, b * m_xy), fma(a, m_xy, b * m_yy)
    left10, left11 = fma(b, m_xx, c * m_xy), fma(b, m_xy, c * m_yy)
    return (
        0.5 * fma(left00, a, left01 * b),
        0.5 * fma(left00, b, left01 * c),
        0.5 * fma(left10, b, left11 * c),
        a,
        b,
        c,
    )


@inlined
def _add_outer(v_sigma, g00, g01, g11, j, k):
    """v_sigma + J^T [[g00, g01], [g01, g11]] J, J with rows j and k, as full symmetric entries xx xy xz yy yz zz."""
    a0, a1, a2 = fma(g00, j[0], g01 * k[0]), fma(g00, j[1], g01 * k[1]), fma(g00, j[2], g01 * k[2])
    b0, b1, b2 = fma(g01, j[0], g11 * k[0]), fma(g01, j[1], g11 * k[1]), fma(g01, j[2], g11 * k[2])
    return (
        fma(a0, j[0], fma(b0, k[0], v_sigma[0])),
        fma(a0, j[1], fma(b0, k[1], v_sigma[1])),
        fma(a0, j[2], fma(b0, k[2], v_sigma[2])),
        fma(a1, j[1], fma(b1, k[1], v_sigma[3])),
        fma(a1, j[2], fma(b1, k[2], v_sigma[4])),
        fma(a2, j[2], fma(b2, k[2], v_sigma[5])),
    )


@inlined
def _to_tangent(cameras, c, focal, v_row, j, inverse, local, limited, v_pixel):
    """Gradients through one image axis: (v of the camera-space coordinate, v of 1/z, v of the clamped tangent)."""
    length = get(cameras, c + 12 + focal)
    v_tangent = 0 - length * inverse * fma(
        v_row[0], get(cameras, c + 6), fma(v_row[1], get(cameras, c + 7), v_row[2] * get(cameras, c + 8))
    )
    free = select(limited, v_tangent * 0, v_tangent) + v_pixel * length
    return free * inverse, fma(free, local, _dot(j, v_row) / inverse), v_tangent


@inlined
def store_covariance_gradient(packed, at, step, r, v_sigma, v_quats, v_scales, place):
    """dL/dSigma to dL/dscales and dL/dquats (through the normalisation)."""
    s0, s1, s2 = load(packed, at + 7 * step), load(packed, at + 8 * step), load(packed, at + 9 * step)
    # M = R diag(s), v_M = 2 v_sigma M: column j of v_M is 2 v_sigma r_j s_j
    m0, m1, m2 = _apply(v_sigma, r[0], r[3], r[6]), _apply(v_sigma, r[1], r[4], r[7]), _apply(v_sigma, r[2], r[5], r[8])
    scatter(v_scales, 3 * place, 3, 2 * s0 * _dot(m0, (r[0], r[3], r[6])))
    scatter(v_scales, 3 * place + 1, 3, 2 * s1 * _dot(m1, (r[1], r[4], r[7])))
    scatter(v_scales, 3 * place + 2, 3, 2 * s2 * _dot(m2, (r[2], r[5], r[8])))
    f0, f1, f2 = 2 * s0 * s0, 2 * s1 * s1, 2 * s2 * s2
    v00, v10, v20 = f0 * m0[0], f0 * m0[1], f0 * m0[2]
    v01, v11, v21 = f1 * m1[0], f1 * m1[1], f1 * m1[2]
    v02, v12, v22 = f2 * m2[0], f2 * m2[1], f2 * m2[2]
    w, x = load(packed, at + 3 * step), load(packed, at + 4 * step)
    y, z = load(packed, at + 5 * step), load(packed, at + 6 * step)
    v_w = 2 * fma(x, v21 - v12, fma(y, v02 - v20, z * (v10 - v01)))
    v_x = 2 * fma(y, v01 + v10, fma(z, v02 + v20, fma(w, v21 - v12, -2 * x * (v11 + v22))))
    v_y = 2 * fma(x, v01 + v10, fma(z, v12 + v21, fma(w, v02 - v20, -2 * y * (v00 + v22))))
    v_z = 2 * fma(x, v02 + v20, fma(y, v12 + v21, fma(w, v10 - v01, -2 * z * (v00 + v11))))
    along = fma(w, v_w, fma(x, v_x, fma(y, v_y, z * v_z)))
    norm = load(packed, at + 12 * step)
    inverse = select(norm > 1e-12, 1 / norm, 0)
    scatter(v_quats, 4 * place, 4, fnma(along, w, v_w) * inverse)
    scatter(v_quats, 4 * place + 1, 4, fnma(along, x, v_x) * inverse)
    scatter(v_quats, 4 * place + 2, 4, fnma(along, y, v_y) * inverse)
    scatter(v_quats, 4 * place + 3, 4, fnma(along, z, v_z) * inverse)


@inlined
def add_camera(scratch, view, position, v_local, v_j, v_k, x_part, y_part):
    """Add one group's camera gradient (R 9, t 3, fx fy cx cy) to the lanes of `scratch` [V, 16, 16].

    x_part, y_part: (focal / z, tangent in the Jacobian, dL/dfocal, dL/dprincipal point) per axis.
    """
    at = view * LANES * LANES
    rj, rk = x_part[0], y_part[0]
    for axis in range(3):
        row0 = fma(v_local[0], position[axis], rj * v_j[axis])
        row1 = fma(v_local[1], position[axis], rk * v_k[axis])
        row2 = fnma(rj * x_part[1], v_j[axis], fnma(rk * y_part[1], v_k[axis], v_local[2] * position[axis]))
        store(scratch, at + LANES * axis, load(scratch, at + LANES * axis) + row0)
        store(scratch, at + LANES * (3 + axis), load(scratch, at + LANES * (3 + axis)) + row1)
        store(scratch, at + LANES * (6 + axis), load(scratch, at + LANES * (6 + axis)) + row2)
        store(scratch, at + LANES * (9 + axis), load(scratch, at + LANES * (9 + axis)) + v_local[axis])
    store(scratch, at + LANES * 12, load(scratch, at + LANES * 12) + x_part[2])
    store(scratch, at + LANES * 13, load(scratch, at + LANES * 13) + y_part[2])
    store(scratch, at + LANES * 14, load(scratch, at + LANES * 14) + x_part[3])
    store(scratch, at + LANES * 15, load(scratch, at + LANES * 15) + y_part[3])


@inlined
def covariance_gradient(sums, s, cov, eps, antialiased):
    """Gradients of the covariance before dilation (xx, half of the off-diagonal sum, yy) and of the pixel mean (u,
    v)."""
    cxx, cxy, cyy = cov
    g00, g01, g11, a, b, d = _conic_to_covariance(
        cxx + eps,
        cxy,
        cyy + eps,
        gather(sums, SUM_LANE[7], LANES),
        gather(sums, SUM_LANE[8], LANES),
        gather(sums, SUM_LANE[9], LANES),
    )
    if antialiased:  # d log(factor) = (d log det(cov) - d log det(cov + eps)) / 2
        bare = 1 / maximum(fnma(cxy, cxy, cxx * cyy), 1e-30)
        g00 = fma(0.5 * s, fma(cyy, bare, 0 - a), g00)
        g11 = fma(0.5 * s, fma(cxx, bare, 0 - d), g11)
        g01 = fnma(0.5 * s, fma(cxy, bare, b), g01)
    s_x, s_y = gather(sums, SUM_LANE[5], LANES), gather(sums, SUM_LANE[6], LANES)
    return g00, g01, g11, fma(a, s_x, b * s_y), fma(b, s_x, d * s_y)


@inlined
def view_gradient(sums, cameras, c, position, sigma, constants, antialiased, v_sigma):
    """Gradients through one view.

    Returns:
        dL/dopacity times the opacity; of the camera coordinates; `v_sigma` with this view added; of the pixel mean; of
        the rows of the Jacobian; and the two parts for `add_camera`.
    """
    s = gather(sums, SUM_LANE[4], LANES)
    _, local, inverse, tangent, clamped, j, k, p, q, cov = _geometry(cameras, c, position, sigma, get(constants, 1))
    g00, g01, g11, v_u, v_v = covariance_gradient(sums, s, cov, get(constants, 0), antialiased)
    v_j = (2 * fma(g00, p[0], g01 * q[0]), 2 * fma(g00, p[1], g01 * q[1]), 2 * fma(g00, p[2], g01 * q[2]))
    v_k = (2 * fma(g01, p[0], g11 * q[0]), 2 * fma(g01, p[1], g11 * q[1]), 2 * fma(g01, p[2], g11 * q[2]))
    hx, hy = clamped
    out_x, out_y = (tangent[0] < hx) | (tangent[0] > hx), (tangent[1] < hy) | (tangent[1] > hy)
    v_lx, w_x, v_hx = _to_tangent(cameras, c, 0, v_j, j, inverse, local[0], out_x, v_u)
    v_ly, w_y, v_hy = _to_tangent(cameras, c, 1, v_k, k, inverse, local[1], out_y, v_v)
    v_lz = fnma(inverse * inverse, w_x + w_y, gather(sums, SUM_LANE[3], LANES))
    fx, fy = get(cameras, c + 12), get(cameras, c + 13)
    clamp_x, clamp_y = select(out_x, v_hx / fx, 0), select(out_y, v_hy / fy, 0)
    return (
        s,
        (v_lx, v_ly, v_lz),
        _add_outer(v_sigma, g00, g01, g11, j, k),
        (v_u, v_v),
        v_j,
        v_k,
        (inverse * fx, hx, fma(tangent[0], v_u, fnma(clamp_x, hx, _dot(j, v_j) / fx)), v_u - clamp_x),
        (inverse * fy, hy, fma(tangent[1], v_v, fnma(clamp_y, hy, _dot(k, v_k) / fy)), v_v - clamp_y),
    )


@inlined
def to_world(cameras, c, v_local, v_position):
    """`v_position` plus the camera's rotation, transposed, of `v_local`."""
    x, y, z = v_local
    return (
        fma(x, get(cameras, c), fma(y, get(cameras, c + 3), fma(z, get(cameras, c + 6), v_position[0]))),
        fma(x, get(cameras, c + 1), fma(y, get(cameras, c + 4), fma(z, get(cameras, c + 7), v_position[1]))),
        fma(x, get(cameras, c + 2), fma(y, get(cameras, c + 5), fma(z, get(cameras, c + 8), v_position[2]))),
    )
