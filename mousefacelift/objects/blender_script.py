"""Runs inside Blender (or an interpreter with bpy), never imported by the library: one job file in, PNG pictures out.

    blender -b -P blender_script.py -- job.json        or        python blender_script.py job.json

Part of the objects stage, backend `blender`. Imports a GLB in its rest pose, puts it where the job says, stands the
job's lamps and sky, and renders each camera with Cycles on a transparent film. Only Blender's own modules and the
standard library.
"""

import json
import math
import sys

import bpy
from mathutils import Matrix, Vector


def main() -> None:
    """Read the job named last on the command line and render it."""
    with open(sys.argv[-1]) as stream:
        job = json.load(stream)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=job["mesh"])
    keep_rest_pose()
    place_objects(job["center"], job["radius"])
    bpy.context.scene.render.engine = "CYCLES"
    decode_base_colors()
    show_vertex_colors()
    cull_backs()
    if job["flat"]:
        show_base_colors()
    else:
        set_light(job)
    set_film(job)
    for number, camera in enumerate(job["cameras"]):
        set_camera(camera)
        bpy.context.scene.render.filepath = f"{job['out']}/{number:03d}.png"
        bpy.ops.render.render(write_still=True)


def keep_rest_pose() -> None:
    """Drop animations, whose first frame would be drawn instead of the pose that the nodes say, and hide the file's
    lamps (their children keep their places)."""
    for item in bpy.context.scene.objects:
        item.animation_data_clear()
        if item.data is not None and hasattr(item.data, "animation_data_clear"):
            item.data.animation_data_clear()
        keys = getattr(item.data, "shape_keys", None)
        if keys is not None:
            keys.animation_data_clear()
        item.hide_render = item.hide_render or item.type == "LIGHT"
    bpy.context.view_layer.update()


def place_objects(center, radius: float) -> None:
    """Move and scale the scene so that the middle of its own bounds is at `center` and its farthest point at `radius`
    from there: measured on what Blender draws, so that another reading of a pose cannot push it out of the picture."""
    points = []
    graph = bpy.context.evaluated_depsgraph_get()
    for instance in graph.object_instances:
        if instance.object.type != "MESH" or instance.object.hide_render:
            continue
        mesh = instance.object.to_mesh()
        used = {k for face in mesh.polygons for k in face.vertices}
        points += [instance.matrix_world @ mesh.vertices[k].co for k in used]
        instance.object.to_mesh_clear()
    low, high = (Vector([pick(p[axis] for p in points) for axis in range(3)]) for pick in (min, max))
    middle = (low + high) / 2
    scale = radius / max((p - middle).length for p in points)
    placement = Matrix.Translation(Vector(center)) @ Matrix.Scale(scale, 4) @ Matrix.Translation(-middle)
    for item in bpy.context.scene.objects:
        if item.parent is None:
            item.matrix_world = placement @ item.matrix_world


def used_materials() -> list:
    """Materials of the scene's meshes, each once."""
    found = {}
    for item in bpy.context.scene.objects:
        if item.type == "MESH":
            found |= {slot.material.name: slot.material for slot in item.material_slots if slot.material}
    return list(found.values())


def cull_backs() -> None:
    """Make the backs of single-sided materials transparent: Cycles does not heed their flag by itself."""
    for material in used_materials():
        if not material.use_backface_culling or not material.node_tree:
            continue
        tree = material.node_tree
        output = next(n for n in tree.nodes if n.type == "OUTPUT_MATERIAL" and n.is_active_output)
        front = output.inputs["Surface"].links[0].from_socket
        mix, side = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeNewGeometry")
        tree.links.new(side.outputs["Backfacing"], mix.inputs[0])
        tree.links.new(front, mix.inputs[1])
        tree.links.new(tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[2])
        tree.links.new(mix.outputs[0], output.inputs["Surface"])


def decode_base_colors() -> None:
    """Read base colours as sRGB also where the same picture holds roughness or normals: Blender's importer gives one
    picture one colour space, and then the base colour is far too light."""
    for material in used_materials():
        tree = material.node_tree
        for shader in [n for n in tree.nodes if n.type == "BSDF_PRINCIPLED"]:
            pending = [link.from_node for link in shader.inputs["Base Color"].links]
            while pending:
                node = pending.pop()
                pending += [link.from_node for socket in node.inputs for link in socket.links]
                if node.type == "TEX_IMAGE" and node.image and node.image.colorspace_settings.name == "Non-Color":
                    node.image = node.image.copy()
                    node.image.colorspace_settings.name = "sRGB"


def show_base_colors() -> None:
    """Light kind `flat`: each surface shines with its base colour and nothing else does; opacity stays."""
    for material in used_materials():
        tree = material.node_tree
        for shader in [n for n in tree.nodes if n.type == "BSDF_PRINCIPLED"]:
            glow, mix = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeMixShader")
            for source, target in (
                (shader.inputs["Base Color"], glow.inputs["Color"]),
                (shader.inputs["Alpha"], mix.inputs[0]),
            ):
                if source.is_linked:
                    tree.links.new(source.links[0].from_socket, target)
                else:
                    target.default_value = source.default_value
            tree.links.new(tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
            tree.links.new(glow.outputs[0], mix.inputs[2])
            for link in list(shader.outputs[0].links):
                tree.links.new(mix.outputs[0], link.to_socket)


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
