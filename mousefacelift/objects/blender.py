"""The quality backend: path tracing by Blender, run as a program of its own with its own environment
(envs/blender.yaml).

Part of the objects stage. A GLB file is given to Blender as it is, with all its materials; any other mesh is written as
a GLB first. Cameras, placement, lamps and sky are those of the other backends; light also bounces and casts shadows.
Blender is GPL software and is neither imported nor shipped.
"""

import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

from mousefacelift.core.cameras import Camera
from mousefacelift.core.files import json_text
from mousefacelift.errors import ConfigError, DataError
from mousefacelift.objects.config import ObjectsConfig
from mousefacelift.objects.light import Light
from mousefacelift.objects.load import Y_UP_TO_Z_UP
from mousefacelift.objects.mesh import BLEND, MASK, Mesh, unit_sphere
from mousefacelift.objects.render import MeshRender

SCRIPT = Path(__file__).with_name("blender_script.py")


def render_views_blender(
    mesh: Mesh, cameras: list[Camera], light: Light, config: ObjectsConfig, threads: int = 0
) -> list[MeshRender]:
    """Pictures of `mesh` by Cycles; depth and normal are not made.

    Args:
        mesh: normalised; if its meta names a GLB file, that file is rendered at the mesh's placement.
        threads: CPU threads for Cycles; 0 for all.
    Raises:
        ConfigError: the configured Blender is not there.
        DataError: Blender fails on this mesh; says its last words.
    """
    with tempfile.TemporaryDirectory(prefix="blender-") as folder:
        source, fitted = asset_for_blender(mesh, Path(folder)), unit_sphere(mesh.used_vertices)
        environment = config.light.environment if config.light.kind == "environment" else None
        job = {
            "mesh": str(source),
            "center": (-fitted.translation / fitted.scale).tolist(),
            "radius": 1.0 / fitted.scale,
            "flat": config.light.kind == "flat",
            "out": folder,
            "threads": threads,
            "samples": config.blender.samples,
            "device": config.blender.device,
            "cameras": [
                {"c2w": c.c2w.tolist(), "fxfycxcy": c.fxfycxcy.tolist(), "width": c.width, "height": c.height}
                for c in cameras
            ],
            "lamps": [[d.tolist(), c.tolist()] for d, c in zip(light.directions, light.lamps)],
            "sky": [light.ambient[0].tolist(), *(1.5 * light.ambient[1:4]).tolist()],
            "environment": environment and str(Path(environment).resolve()),
            "strength": config.light.strength,
        }
        (Path(folder) / "job.json").write_text(json_text(job))
        run_blender(config.blender.python, Path(folder) / "job.json", str(source))
        return [read_picture(Path(folder) / f"{k:03d}.png") for k in range(len(cameras))]


def run_blender(program: str, job: Path, where: str) -> None:
    """Run the script on a job in `blender` or in a Python that has bpy."""
    blender = Path(program).name.startswith("blender")
    # -P keeps this folder (select.py, inspect.py) off the module path, where it would hide the standard library
    command = [program, "-b", "-P", str(SCRIPT), "--", str(job)] if blender else [program, "-P", str(SCRIPT), str(job)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigError(
            "Blender cannot be started",
            where="objects.blender.python",
            got=f"{program}: {error}",
            hint="make the environment envs/blender.yaml and give its python",
        ) from error
    if done.returncode != 0 or not job.with_name("000.png").is_file():
        words = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise DataError(
            "Blender could not render the object", where=where, got=f"exit code {done.returncode}: {' | '.join(words)}"
        )


def read_picture(path: Path) -> MeshRender:
    """A 16-bit RGBA PNG; empty pixels are 0."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
        raise DataError("Blender left no picture with alpha", where=str(path))
    rgba = picture[..., [2, 1, 0, 3]].astype(np.float32) / np.iinfo(picture.dtype).max
    rgba[rgba[..., 3] == 0] = 0
    return MeshRender(rgba, None, None)


def asset_for_blender(mesh: Mesh, folder: Path) -> Path:
    """The GLB or glTF file that a mesh came from, or one written for it; Blender places it by its own bounds."""
    path = Path(mesh.meta.get("path", ""))
    if path.suffix.lower() in (".glb", ".gltf"):
        return path.resolve()
    export_glb(mesh, folder / "mesh.glb")
    return folder / "mesh.glb"


def export_glb(mesh: Mesh, path: Path) -> None:
    """Write a mesh as GLB, Y up, one geometry per material."""
    import trimesh
    from PIL import Image

    scene = trimesh.Scene()
    for k, material in enumerate(mesh.materials):
        faces = mesh.faces[mesh.face_material == k]
        if not len(faces):
            continue
        used, faces = np.unique(faces, return_inverse=True)
        picture, glow = (
            None if texture is None else Image.fromarray(texture)
            for texture in (material.texture, material.emissive_texture)
        )
        surface = trimesh.visual.material.PBRMaterial(
            baseColorFactor=np.rint(np.clip(material.base, 0, 1) * np.array(255)).astype(np.uint8),
            baseColorTexture=picture,
            metallicFactor=0.0,
            roughnessFactor=1.0,
            doubleSided=material.double_sided,
            emissiveFactor=list(material.emissive),
            emissiveTexture=glow,
            alphaMode={MASK: "MASK", BLEND: "BLEND"}.get(material.alpha_mode, "OPAQUE"),
            alphaCutoff=material.cutoff if material.alpha_mode == MASK else None,
        )
        visual = trimesh.visual.TextureVisuals(uv=mesh.uv[used], material=surface)
        if mesh.colors is not None:
            visual.vertex_attributes["color"] = np.rint(np.clip(mesh.colors[used], 0, 1) * 255).astype(np.uint8)
        smooth = (np.abs(mesh.normals[used]).sum(axis=1) > 0).all()
        part = trimesh.Trimesh(
            mesh.vertices[used] @ Y_UP_TO_Z_UP,
            faces.reshape(-1, 3),
            process=False,
            visual=visual,
            vertex_normals=mesh.normals[used] @ Y_UP_TO_Z_UP if smooth else None,
        )
        scene.add_geometry(part, geom_name=f"part{k}")
    path.write_bytes(trimesh.exchange.gltf.export_glb(scene, include_normals=True))
