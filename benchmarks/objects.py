"""Seconds per 512 px view and per object: the project's rasteriser, OpenGL, pyrender and Blender on the same meshes.

    python benchmarks/objects.py [--views 8] [--blender PYTHON_WITH_BPY] [--pyrender PYTHON_WITH_PYRENDER]
    python benchmarks/objects.py --procedural 4

One run, one machine; the meshes are knobbly balls of 10 thousand, 100 thousand and 1.3 million faces with a 2048 px
texture. What is not installed is left out and named. Loading and packing are timed apart from the views.
"""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from mousefacelift.core.cameras import ring
from mousefacelift.errors import ConfigError
from mousefacelift.objects.blender import export_glb, render_views_blender
from mousefacelift.objects.config import BlenderConfig, ObjectsConfig
from mousefacelift.objects.egl import render_views_egl
from mousefacelift.objects.light import three_point_light
from mousefacelift.objects.load import load_mesh
from mousefacelift.objects.make import make_object
from mousefacelift.objects.mesh import join_parts, normalise
from mousefacelift.objects.patterns import make_pattern
from mousefacelift.objects.procedural import EVERY, FAMILIES, INGREDIENTS, procedural_object
from mousefacelift.objects.render import render_surface, render_views
from mousefacelift.objects.surfaces import sheet
from mousefacelift.objects.texture import pack_surface

PUBLISHED_CORE_HOURS = 0.42  # per procedural object of a published set, its own renderer included
SIZES = {"10 k": (50, 100), "100 k": (158, 317), "1.3 M": (570, 1141)}

PYRENDER = """
import os, sys, time, json
os.environ["PYOPENGL_PLATFORM"] = "egl"
import numpy as np
np.infty = np.inf  # pyrender 0.1.45 was written for numpy 1
import trimesh, pyrender
scene = pyrender.Scene.from_trimesh_scene(trimesh.load_scene(sys.argv[1]), bg_color=[0, 0, 0, 0])
job = json.load(open(sys.argv[2]))
camera = pyrender.IntrinsicsCamera(*job["fxfycxcy"])
node = scene.add(camera)
scene.add(pyrender.DirectionalLight(intensity=3.0))
renderer = pyrender.OffscreenRenderer(512, 512)
times = []
for c2w in job["c2w"]:
    scene.set_pose(node, np.array(c2w))
    start = time.perf_counter()
    renderer.render(scene, flags=pyrender.RenderFlags.RGBA)
    times.append(time.perf_counter() - start)
print(min(times), sum(times[1:]) / len(times[1:]))
"""


def knobbly_ball(rows: int, columns: int):
    """A closed bumpy sheet of 2 rows columns faces with a 2048 px texture, normalised."""

    def shape(u, v):
        a, b = 2 * np.pi * u, np.pi * (v - 0.5)
        r = 1 + 0.12 * np.sin(9 * a) * np.cos(7 * b) ** 2
        return np.stack([r * np.cos(b) * np.cos(a), r * np.cos(b) * np.sin(a), r * np.sin(b)], -1)

    part = sheet(shape, make_pattern(np.random.default_rng(1)), rows, columns, 2048)
    return normalise(join_parts([part], np.eye(3)))[0]


def timed(function, repeat: int = 3) -> float:
    """Least seconds of a few runs."""
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def row(name: str, mesh, args, folder: Path) -> dict:
    """Seconds of one mesh by every renderer that is here."""
    cameras, light = ring(args.views, 512), three_point_light()
    export_glb(mesh, folder / "mesh.glb")
    surface = pack_surface(mesh)
    render_surface(surface, cameras[0], light, 2)
    result = {
        "faces": len(mesh.faces),
        "load": timed(lambda: load_mesh(folder / "mesh.glb"), 1),
        "pack": timed(lambda: pack_surface(mesh), 1),
    }
    for s in (2, 3, 4):
        result[f"cpu {s}x{s}"] = (timed(lambda s=s: render_views(mesh, cameras, light, s, 2)) - result["pack"]) / len(
            cameras
        )
    try:
        result["egl 3x3"] = timed(lambda: render_views_egl(mesh, cameras, light, 3), 2) / len(cameras)
    except ConfigError as error:
        print(f"egl left out: {error.what}")
    if args.pyrender:
        result["pyrender"] = run_pyrender(args.pyrender, folder, cameras)
    if args.blender:
        config = ObjectsConfig(size=512, blender=BlenderConfig(args.blender, samples=16))
        one = timed(lambda: render_views_blender(mesh, cameras[:1], light, config, 2), 1)
        three = timed(lambda: render_views_blender(mesh, cameras[:3], light, config, 2), 1)
        result["blender 16 spp"] = (three - one) / 2
    return result


def procedural_rows(count: int, folder: Path) -> None:
    """Print the core seconds of one procedural object of each ingredient, made, rendered (32 views) and written.

    Args:
        count: objects of each ingredient; of the families, each once.
    """
    kinds = {"the families": ((), range(len(FAMILIES)))}
    kinds |= {name: ((name,), range(EVERY - 1, EVERY * count, EVERY)) for name in INGREDIENTS}
    make_object({"name": "000000", "uid": "warm", "number": 0}, ObjectsConfig(size=32), 0, folder / "warm")
    for size in (128, 512):
        for name, (ingredients, numbers) in kinds.items():
            config, seconds, meshes = ObjectsConfig(size=size, ingredients=ingredients), [], []
            for number in numbers:
                item = {"name": f"{number:06d}", "uid": name, "number": number}
                times = [time.process_time()]
                procedural_object(0, number, ingredients)
                times.append(time.process_time())
                make_object(item, config, 0, folder / f"{size}-{name}-{number}", 1)
                times.append(time.process_time())
                meshes.append(times[1] - times[0])
                seconds.append(times[2] - times[1])
            mean = float(np.mean(seconds))
            print(
                f"{size} px, {name}: {mean:.3f} core s per object ({min(seconds):.3f} to {max(seconds):.3f};"
                f" {np.mean(meshes):.3f} s of them for the mesh), {mean / 3600:.6f} core hours,"
                f" 1/{PUBLISHED_CORE_HOURS * 3600 / mean:,.0f} of the published {PUBLISHED_CORE_HOURS}"
            )


def run_pyrender(python: str, folder: Path, cameras) -> float:
    """Mean seconds per view of pyrender in its own interpreter, first view left out (it uploads the mesh)."""
    import json

    flip = np.diag([1.0, -1, -1, 1])
    y_up = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    job = {"fxfycxcy": cameras[0].fxfycxcy.tolist(), "c2w": [(y_up @ c.c2w @ flip).tolist() for c in cameras]}
    (folder / "views.json").write_text(json.dumps(job))
    command = [python, "-c", PYRENDER, str(folder / "mesh.glb"), str(folder / "views.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print("pyrender left out:", done.stderr.strip().splitlines()[-1])
        return float("nan")
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--blender", help="python with bpy, or blender")
    parser.add_argument("--pyrender", help="python with pyrender")
    parser.add_argument("--procedural", type=int, metavar="N", help="only: N objects of each procedural ingredient")
    args = parser.parse_args()
    if args.procedural:
        with tempfile.TemporaryDirectory() as folder:
            procedural_rows(args.procedural, Path(folder))
        return
    print(f"{len(os.sched_getaffinity(0))} cores, 512 px, {args.views} views, 2 threads; seconds per view")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, size in SIZES.items():
            numbers = row(name, knobbly_ball(*size), args, folder)
            print(
                f"{name:>6}: " + "  ".join(f"{k} {v:,}" if k == "faces" else f"{k} {v:.3f}" for k, v in numbers.items())
            )
        export_glb(knobbly_ball(*SIZES["100 k"]), folder / "object.glb")
        item = {"name": "000000", "uid": "ball", "path": str(folder / "object.glb")}
        for s in (2, 3, 4):
            result = make_object(item, ObjectsConfig(size=512, supersampling=s), 0, folder / "sample", 2)
            print(
                f"100 k GLB with a 2048 px texture -> sample of 32 views at 512 px, {s} x {s} samples:"
                f" {result['total_s']:.2f} s, {result['mb']:.2f} MB"
            )


if __name__ == "__main__":
    main()
