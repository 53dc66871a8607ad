"""Runs inside Blender (or an interpreter with bpy), never imported by the library: one job file in, PNG pictures out.

    blender -b -P blender_script.py -- job.json        or        python blender_script.py job.json

Part of the objects stage, backend `blender`. Imports a GLB, moves it by the job's 4 x 4 matrix, stands the job's lamps
and sky, and renders each camera with Cycles on a transparent film. Only Blender's own modules and the standard library.
"""

import json
import math
import sys

import bpy
from mathutils import Matrix


def main() -> None:
    """Read the job named last on the command line and render it."""
    with open(sys.argv[-1]) as stream:
        job = json.load(stream)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=job["mesh"])
    placement = Matrix(job["placement"])
    for item in bpy.context.scene.objects:
        if item.parent is None:
            item.matrix_world = placement @ item.matrix_world
    bpy.context.scene.render.engine = "CYCLES"
    show_vertex_colors()
    set_light(job)
    set_film(job)
    for number, camera in enumerate(job["cameras"]):
        set_camera(camera)
        bpy.context.scene.render.filepath = f"{job['out']}/{number:03d}.png"
        bpy.ops.render.render(write_still=True)


def show_vertex_colors() -> None:
    """Multiply the base colour of each mesh with vertex colours by them, as glTF means it."""
    for item in bpy.context.scene.objects:
        if item.type != "MESH" or not item.data.color_attributes:
            continue
        for slot in item.material_slots:
            tree = slot.material.node_tree
            shader = next((n for n in tree.nodes if n.type == "BSDF_PRINCIPLED"), None)
            if shader is None or any(n.type in ("VERTEX_COLOR", "ATTRIBUTE") for n in tree.nodes):
                continue
            color = tree.nodes.new("ShaderNodeVertexColor")
            color.layer_name = item.data.color_attributes[0].name
            mix = tree.nodes.new("ShaderNodeVectorMath")
            mix.operation = "MULTIPLY"
            base = shader.inputs["Base Color"]
            if base.is_linked:
                tree.links.new(base.links[0].from_socket, mix.inputs[0])
            else:
                mix.inputs[0].default_value = base.default_value[:3]
            tree.links.new(color.outputs["Color"], mix.inputs[1])
            tree.links.new(mix.outputs[0], base)


def set_light(job: dict) -> None:
    """Suns for the lamps (a white matt surface returns strength / pi) and a sky that is linear in direction."""
    for direction, color in job["lamps"]:
        strength = max(color)
        sun = bpy.data.lights.new("lamp", "SUN")
        sun.energy, sun.color = strength * math.pi, [c / strength for c in color]
        sun.angle = 0.2
        item = bpy.data.objects.new("lamp", sun)
        x, y, z = direction
        item.rotation_euler = (0, math.acos(max(-1, min(1, z))), math.atan2(y, x))
        bpy.context.scene.collection.objects.link(item)
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    background = tree.nodes["Background"]
    if job["environment"]:
        picture = tree.nodes.new("ShaderNodeTexEnvironment")
        picture.image = bpy.data.images.load(job["environment"])
        background.inputs["Strength"].default_value = job["strength"]
        tree.links.new(picture.outputs["Color"], background.inputs["Color"])
        return
    where = tree.nodes.new("ShaderNodeTexCoord")
    total = None
    for channel_weights, axis in zip(job["sky"][1:], ("y", "z", "x")):
        total = add_gradient(tree, where, axis, channel_weights, total or job["sky"][0])
    tree.links.new(total.outputs[0], background.inputs["Color"])


def add_gradient(tree, where, axis: str, weights, before):
    """A node: before + weights * direction[axis]; `before` is a node or a colour."""
    dot = tree.nodes.new("ShaderNodeVectorMath")
    dot.operation = "DOT_PRODUCT"
    dot.inputs[1].default_value = [float(axis == name) for name in "xyz"]
    tree.links.new(where.outputs["Generated"], dot.inputs[0])
    add = tree.nodes.new("ShaderNodeVectorMath")
    add.operation = "MULTIPLY_ADD"
    tree.links.new(dot.outputs["Value"], add.inputs[0])
    add.inputs[1].default_value = weights
    if isinstance(before, (list, tuple)):
        add.inputs[2].default_value = before
    else:
        tree.links.new(before.outputs[0], add.inputs[2])
    return add


def set_film(job: dict) -> None:
    """Cycles with a fixed seed, transparent film, plain sRGB, 16-bit PNG with alpha."""
    scene = bpy.context.scene
    scene.cycles.samples = job["samples"]
    scene.cycles.device = job["device"]
    scene.cycles.use_denoising = False
    scene.cycles.seed = 0
    scene.cycles.filter_width = 1.0
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.film_transparent = True
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = "Standard"
    if job["device"] == "GPU":
        choose_gpu()
    picture = scene.render.image_settings
    picture.file_format, picture.color_mode, picture.color_depth = "PNG", "RGBA", "16"
    if job["threads"]:
        scene.render.threads_mode, scene.render.threads = "FIXED", job["threads"]


def choose_gpu() -> None:
    """The first kind of GPU that Cycles finds."""
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for kind in ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"):
        try:
            preferences.compute_device_type = kind
        except TypeError:
            continue
        preferences.get_devices()
        if any(device.type == kind for device in preferences.devices):
            return
    sys.exit("no GPU that Cycles can use")


def set_camera(job: dict) -> None:
    """A camera of given c2w (OpenCV axes) and pixel intrinsics; off-centre and unequal focal lengths become shift and
    aspect."""
    scene = bpy.context.scene
    width, height = job["width"], job["height"]
    fx, fy, cx, cy = job["fxfycxcy"]
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = max(1.0, fy / fx), max(1.0, fx / fy)
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.sensor_width = "HORIZONTAL", 36.0
    data.lens = fx * 36.0 / width
    data.shift_x = -(cx - width / 2) / width
    data.shift_y = (cy - height / 2) * (fx / fy) / width
    data.clip_start, data.clip_end = 0.01, 100.0
    camera = bpy.data.objects.new("camera", data)
    matrix = Matrix(job["c2w"])
    for row in range(3):
        matrix[row][1], matrix[row][2] = -matrix[row][1], -matrix[row][2]
    camera.matrix_world = matrix
    scene.collection.objects.link(camera)
    scene.camera = camera


main()
