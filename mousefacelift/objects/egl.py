"""The fast backend on GPU nodes: the same pictures by OpenGL, off screen through EGL (moderngl, optional).

Part of the objects stage. Shader, sample positions and light are those of the CPU rasteriser; S x S samples are
rendered as a larger picture and averaged premultiplied. Translucent faces are drawn back to front by their centroids,
which is right unless they cross each other (the CPU rasteriser sorts per sample). Runs on Mesa's llvmpipe as well.
"""

import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.objects.clip import NEAR
from mousefacelift.objects.light import Light
from mousefacelift.objects.mesh import BLEND, MASK, MIRROR, REPEAT, Mesh
from mousefacelift.objects.render import MeshRender

SRGB8_ALPHA8 = 0x8C43  # OpenGL internal format: decoded to linear by the sampler, before filtering
MAX_LAMPS = 8

VERTEX = """
#version 330
in vec3 position; in vec3 normal; in vec2 uv; in vec2 uv_glow; in vec4 color;
uniform mat4 w2c; uniform vec4 fxfycxcy; uniform vec2 size; uniform vec2 near_far;
out vec3 place; out vec3 shading; out vec2 coordinate; out vec2 coordinate_glow; out vec4 tint; out float distance;
void main() {
    vec3 p = (w2c * vec4(position, 1)).xyz;
    float n = near_far.x, f = near_far.y;
    vec2 clip = 2 * fxfycxcy.xy * p.xy / size + (2 * fxfycxcy.zw / size - 1) * p.z;
    gl_Position = vec4(clip, (p.z * (f + n) - 2 * f * n) / (f - n), p.z);
    place = position; shading = normal; coordinate = uv; coordinate_glow = uv_glow; tint = color; distance = p.z;
}
"""
FRAGMENT = """
#version 330
in vec3 place; in vec3 shading; in vec2 coordinate; in vec2 coordinate_glow; in vec4 tint; in float distance;
uniform vec4 base; uniform vec3 glow; uniform bool has_base; uniform bool has_glow;
uniform sampler2D base_texture; uniform sampler2D glow_texture;
uniform int mode; uniform float cutoff; uniform vec3 eye; uniform bvec2 mirrored;
uniform bvec2 mirrored_glow; uniform bool unlit;
uniform vec3 ambient[9]; uniform vec3 lamp_direction[8]; uniform vec3 lamp_color[8]; uniform int lamps;
layout(location = 0) out vec4 out_color; layout(location = 1) out vec4 out_geometry;
vec2 fold(vec2 uv, bvec2 wanted) {
    vec2 folded = 1 - abs(mod(uv, 2.0) - 1);
    return vec2(wanted.x ? folded.x : uv.x, wanted.y ? folded.y : uv.y);
}
void main() {
    vec2 at = fold(coordinate, mirrored);
    vec4 surface = base * tint * (has_base ? texture(base_texture, at) : vec4(1));
    float cut = base.a * tint.a * (has_base ? textureLod(base_texture, at, 0).a : 1.0);
    if (mode == 1 && cut < cutoff - 1e-4) discard;
    vec3 flat_normal = cross(dFdx(place), dFdy(place));
    if (dot(flat_normal, eye - place) < 0) flat_normal = -flat_normal;
    vec3 n = dot(shading, shading) < 1e-12 ? flat_normal : shading;
    n = normalize(dot(n, flat_normal) < 0 ? -n : n);
    vec3 light = ambient[0] + ambient[1] * n.y + ambient[2] * n.z + ambient[3] * n.x + ambient[4] * n.x * n.y
        + ambient[5] * n.y * n.z + ambient[6] * (3 * n.z * n.z - 1) + ambient[7] * n.x * n.z
        + ambient[8] * (n.x * n.x - n.y * n.y);
    light = max(light, 0);
    for (int k = 0; k < lamps; k++) light += max(dot(lamp_direction[k], n), 0) * lamp_color[k];
    vec3 emitted = glow * (has_glow ? texture(glow_texture, fold(coordinate_glow, mirrored_glow)).rgb : vec3(1));
    if (unlit) light = vec3(1);
    float alpha = mode != 2 ? 1.0 : clamp(surface.a, 0, 1);
    out_color = vec4(min(surface.rgb * light + emitted, 1) * alpha, alpha);
    out_geometry = vec4(n, distance);
}
"""


def open_context():
    """An off-screen OpenGL context.

    Raises:
        ConfigError: moderngl is not installed, or EGL finds no device.
    """
    try:
        import moderngl
    except ImportError as error:
        raise ConfigError("backend 'egl' needs moderngl", hint="pip install 'mousefacelift[render]'") from error
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)
    except Exception as error:  # the driver's own error types are not part of moderngl's interface
        raise ConfigError(
            "EGL gives no OpenGL 3.3 context",
            got=str(error),
            likely="no GPU driver and no Mesa",
            hint="use backend: cpu, or install libegl1 and libgl1-mesa-dri",
        ) from error


class Stage:
    """One mesh in an OpenGL context: buffers, textures and the program."""

    def __init__(self, context, mesh: Mesh, light: Light) -> None:
        if len(light.directions) > MAX_LAMPS:
            raise ConfigError(
                "too many lamps for backend 'egl'", got=len(light.directions), expected=f"at most {MAX_LAMPS}"
            )
        self.context, self.mesh = context, mesh
        self.program = context.program(VERTEX, FRAGMENT)
        colors = np.ones((len(mesh.vertices), 4)) if mesh.colors is None else mesh.colors
        uv_glow = mesh.uv if mesh.uv_glow is None else mesh.uv_glow
        rows = np.concatenate([mesh.vertices, mesh.normals, mesh.uv, uv_glow, colors], axis=1).astype("f4")
        self.vertices = context.buffer(rows.tobytes())
        self.textures = [(self._texture(m.texture), self._texture(m.emissive_texture)) for m in mesh.materials]
        self.groups = [np.flatnonzero(mesh.face_material == k) for k in range(len(mesh.materials))]
        self._set("ambient", light.ambient)
        self._set("lamps", len(light.directions))
        self._set(
            "lamp_direction", np.resize(light.directions if len(light.directions) else np.zeros(3), (MAX_LAMPS, 3))
        )
        self._set("lamp_color", np.resize(light.lamps if len(light.lamps) else np.zeros(3), (MAX_LAMPS, 3)))
        self._set("base_texture", 0)
        self._set("glow_texture", 1)

    def _texture(self, texels):
        if texels is None:
            return None
        height, width = texels.shape[:2]
        texture = self.context.texture((width, height), 4, texels[::-1].tobytes(), internal_format=SRGB8_ALPHA8)
        texture.build_mipmaps()
        return texture

    def _set(self, name: str, value) -> None:
        if name in self.program:
            member = self.program[name]
            if isinstance(value, np.ndarray):
                member.write(np.ascontiguousarray(value, "f4").tobytes())
            else:
                member.value = value

    def draw(self, camera: Camera, supersampling: int) -> MeshRender:
        """One picture."""
        mesh, context = self.mesh, self.context
        depth = mesh.vertices @ camera.R[2] + camera.t[2]
        near, far = max(NEAR, float(depth.min()) * 0.99), max(2 * NEAR, float(depth.max()) * 1.01)
        size = (camera.width * supersampling, camera.height * supersampling)
        color, geometry = context.texture(size, 4, dtype="f4"), context.texture(size, 4, dtype="f4")
        frame = context.framebuffer([color, geometry], context.depth_renderbuffer(size))
        frame.use()
        frame.clear()
        self._set("w2c", camera.w2c.T)
        self._set("fxfycxcy", tuple(camera.fxfycxcy))
        self._set("size", (camera.width, camera.height))
        self._set("near_far", (near, far))
        self._set("eye", tuple(camera.center))
        context.enable(context.DEPTH_TEST)
        context.front_face = "cw"  # the picture's rows run down, which mirrors what OpenGL calls counter-clockwise
        context.disable(context.BLEND)
        blended = [k for k, m in enumerate(mesh.materials) if m.alpha_mode == BLEND and len(self.groups[k])]
        for k in range(len(mesh.materials)):
            if k not in blended and len(self.groups[k]):
                self._draw_faces(k, self.groups[k])
        if blended:
            self._draw_blended(blended, depth, frame)
        pictures = [np.frombuffer(t.read(), "f4").reshape(size[1], size[0], 4) for t in (color, geometry)]
        for resource in (color, geometry, frame):
            resource.release()
        return average_samples(*pictures, supersampling)

    def _draw_blended(self, blended: list[int], depth: np.ndarray, frame) -> None:
        """Translucent faces back to front, runs of one material at a time; depth is tested but not written."""
        context = self.context
        context.enable(context.BLEND)
        context.blend_func = context.ONE, context.ONE_MINUS_SRC_ALPHA
        frame.depth_mask = False
        faces = np.concatenate([self.groups[k] for k in blended])
        faces = faces[np.argsort(-depth[self.mesh.faces[faces]].mean(axis=1), kind="stable")]
        material = self.mesh.face_material[faces]
        for run in np.split(np.arange(len(faces)), np.flatnonzero(np.diff(material)) + 1):
            self._draw_faces(int(material[run[0]]), faces[run])
        frame.depth_mask = True

    def _draw_faces(self, k: int, faces: np.ndarray) -> None:
        material = self.mesh.materials[k]
        for name, value in (
            ("base", material.base),
            ("glow", material.emissive),
            ("cutoff", material.cutoff),
            ("mode", {BLEND: 2, MASK: 1}.get(material.alpha_mode, 0)),
        ):
            self._set(name, value if isinstance(value, (int, float)) else tuple(float(v) for v in value))
        (self.context.disable if material.double_sided else self.context.enable)(self.context.CULL_FACE)
        self._set("unlit", material.unlit)
        self._set("mirrored", tuple(mode == MIRROR for mode in material.wrap))
        self._set("mirrored_glow", tuple(mode == MIRROR for mode in material.glow_wrap))
        wraps = (material.wrap, material.glow_wrap)
        for unit, name in enumerate(("has_base", "has_glow")):
            texture = self.textures[k][unit]
            self._set(name, texture is not None)
            if texture is not None:
                texture.repeat_x, texture.repeat_y = (mode == REPEAT for mode in wraps[unit])
                magnified = self.context.NEAREST if material.sharp[unit] else self.context.LINEAR
                texture.filter = (self.context.LINEAR_MIPMAP_LINEAR, magnified)
                texture.use(unit)
        indices = self.context.buffer(self.mesh.faces[faces].astype("i4").tobytes())
        layout = [(self.vertices, "3f 3f 2f 2f 4f", "position", "normal", "uv", "uv_glow", "color")]
        array = self.context.vertex_array(self.program, layout, indices)
        array.render()
        array.release()
        indices.release()


def average_samples(color: np.ndarray, geometry: np.ndarray, supersampling: int) -> MeshRender:
    """Premultiplied linear samples [S H, S W, 4] and (normal, depth) samples as one picture [H, W]."""
    height, width = color.shape[0] // supersampling, color.shape[1] // supersampling
    blocks = (height, supersampling, width, supersampling, 4)
    mean = color.reshape(blocks).mean(axis=(1, 3))
    seen = (geometry[..., 3:] > 0).astype(np.float32)
    count = np.maximum((seen.reshape(*blocks[:4], 1)).sum(axis=(1, 3)), 1e-6)
    geometry = (geometry * seen).reshape(blocks).sum(axis=(1, 3)) / count
    alpha = mean[..., 3:]
    linear = np.where(alpha > 0, mean[..., :3] / np.maximum(alpha, 1e-8), 0).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    normal = geometry[..., :3] / np.maximum(np.linalg.norm(geometry[..., :3], axis=-1, keepdims=True), 1e-9)
    return MeshRender(
        np.concatenate([encoded, alpha], -1).astype(np.float32), geometry[..., 3].copy(), normal.astype(np.float32)
    )


def render_views_egl(mesh: Mesh, cameras: list[Camera], light: Light, supersampling: int = 3) -> list[MeshRender]:
    """Pictures of `mesh` from each camera by OpenGL; see render.render_views.

    Raises:
        ConfigError: no moderngl, no EGL device.
        DataError: the device refuses (a picture too large for it).
    """
    context = open_context()
    try:
        side = max(max(c.width, c.height) for c in cameras) * supersampling
        if side > context.info["GL_MAX_TEXTURE_SIZE"]:
            raise DataError(
                "the picture is too large for the graphics device",
                got=side,
                expected=f"at most {context.info['GL_MAX_TEXTURE_SIZE']}",
                hint="lower objects.supersampling",
            )
        stage = Stage(context, mesh, light)
        return [stage.draw(camera, supersampling) for camera in cameras]
    finally:
        context.release()
