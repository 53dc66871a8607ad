"""Test animals: virtual mice that no recording and no training can show, filmed once, with 32 truth views and the mesh.

    mousefacelift single animals --bed animals --out results/single/animals/index.json

An item is a FaceLift sample: view 0 is the picture (with the flaws of a real one), the others are exact views from a
ring, and `truth.npz` beside them says where the parts of the animal are (see `parts`). World: the animal's middle at
the origin, 120 mm are one unit, as a six-camera rig at 320 mm makes it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mousefacelift.chunks import run_chunk
from mousefacelift.config import config_hash
from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, canonical_fxfycxcy, orbit, ring
from mousefacelift.core.records import ItemRow, SampleFacts, ViewFacts
from mousefacelift.core.samples import Sample, View, write_sample
from mousefacelift.core.similarity import Similarity
from mousefacelift.core.skinning import Skinner
from mousefacelift.errors import ConfigError
from mousefacelift.single.config import SingleConfig
from mousefacelift.single.parts import label_views, part_labels, seen_vertices
from mousefacelift.virtual import coat, light, motion
from mousefacelift.virtual.anatomy import COATS, Animal, pick_animal
from mousefacelift.virtual.degrade import change_mask, sense
from mousefacelift.virtual.mammal import MammalPuppet
from mousefacelift.virtual.mesh import MouseMesh, build_mouse
from mousefacelift.virtual.painter import Scene, make_scene, paint_frame
from mousefacelift.virtual.pose import Puppet
from mousefacelift.virtual.rig import from_camera
from mousefacelift.virtual.stage import FLOOR_MM

SEEDS = 2**41  # recordings have seeds below 2^32; training data of the project starts at other powers of two
STEPS = 400  # of the motion that a pose is taken from, at 100 per second
MM_PER_UNIT = 120.0
ZOOM = 1.3  # over the canonical focal length, as `capture.locate.zoom` makes a mouse use the frame
STRANDS = 6000
NOISE = 1.6  # 8-bit levels
ELEVATIONS, DISTANCES, MASK_GROWTH = (0.0, 45.0), (2.4, 3.1), (-0.5, 0.5)  # of the pictures; pixels of growth
BEDS = ("animals", "mammal")


@dataclass(frozen=True)
class Model:
    """One animal in one pose: its body and fur, and its vertices [N, 3] in mm."""

    animal: Animal
    mesh: MouseMesh
    strands: coat.Strands
    vertices: np.ndarray


def film_animals(bed: str, out: Path, config: SingleConfig, seed: int) -> dict:
    """Film the animals of a bed into the chunk of `out` (an index.json); returns the index.

    Raises:
        ConfigError: the MAMMAL bed without its folder.
    """
    if bed == "mammal" and not config.mammal:
        raise ConfigError("the test bed of the MAMMAL mouse has no folder", hint="set single.mammal, or leave it out")
    count = config.animals if bed == "animals" else config.mammal_frames
    key = config_hash([bed, asdict(config), seed])

    def make(name: str, number: int, folder: Path) -> dict:
        return film_animal(pose_animal(bed, number, config, seed), bed, number, config, seed, folder)

    items = [(f"{number:06d}", number) for number in range(count)]
    return run_chunk(out, key, items, make, {"source": "scan", "bed": bed}, label="animals")


def pose_animal(bed: str, number: int, config: SingleConfig, seed: int) -> Model:
    """Animal `number` of a bed in its pose: coats in turn, sizes and motion by seed; or the MAMMAL mouse."""
    mixed = SEEDS + 1000 * seed + number
    rng = np.random.default_rng([mixed, 1])
    animal = pick_animal(mixed, COATS[number % len(COATS)])
    if bed == "mammal":
        puppet = MammalPuppet(config.mammal, animal)
        poses = len(puppet.behaviour)
        step = int(round(number * (poses - 1) / max(config.mammal_frames - 1, 1)))
    else:
        puppet = Puppet(build_mouse(animal), motion.make_track(STEPS, mixed))
        step = int(rng.integers(STEPS // 4, STEPS - 40))
    vertices = Skinner(puppet.mesh).vertices(puppet.pose(step))
    vertices[:, 2] = np.maximum(vertices[:, 2], FLOOR_MM)
    return Model(animal, puppet.mesh, coat.seed_strands(puppet.mesh, STRANDS, mixed), vertices)


def film_animal(model: Model, bed: str, number: int, config: SingleConfig, seed: int, folder: Path) -> dict:
    """Paint picture and truth views, write the sample with its truth, and return the index row."""
    rng = np.random.default_rng([SEEDS + 1000 * seed + number, 2])
    middle, turn = model.vertices[model.mesh.part == 0].mean(0), Rotation.from_euler("z", rng.uniform(0, 2 * np.pi))
    to_world = Similarity(1 / MM_PER_UNIT, turn.as_matrix(), -turn.apply(middle) / MM_PER_UNIT)
    scene = make_scene(model.mesh, model.vertices, model.strands, light.studio_lights())
    eye = orbit(
        float(rng.uniform(0, 360)),
        float(rng.uniform(*ELEVATIONS)),
        float(rng.uniform(*DISTANCES)),
        _zoomed(config.size),
        config.size,
        config.size,
    )
    around = [
        Camera(camera.w2c, _zoomed(config.size), config.size, config.size)
        for camera in ring(config.views, config.size, distance=CANONICAL_DISTANCE)
    ]
    to_mm = to_world.inverse()
    picture = _flawed(_paint(scene, to_mm.apply_camera(eye)), rng)
    views = [View(picture, eye, ViewFacts(details={"picture": True}))]
    views += [View(_paint(scene, to_mm.apply_camera(camera)), camera) for camera in around]
    facts = SampleFacts(
        "scan",
        asset=f"{bed}/{number:06d}",
        frame=number,
        seed=seed,
        config_hash=config_hash(config),
        details={"truth": "truth.npz", **asdict(model.animal)},
    )
    hashes = tuple(write_sample(folder, Sample(tuple(views), facts), into=True))
    vertices, labels = to_world.apply(model.vertices), part_labels(model.mesh)
    own = label_views(vertices, model.mesh.faces, labels, around)
    np.savez_compressed(
        folder / "truth.npz",
        vertices=vertices.astype(np.float32),
        faces=model.mesh.faces.astype(np.int32),
        part=labels,
        seen=seen_vertices(vertices, model.mesh.faces, around),
        own=own,
        heading=_heading(vertices, labels, model.mesh),
    )
    details = {"subject": facts.asset, "coat": model.animal.coat}
    return ItemRow(len(views), number, hashes=hashes, details=details).to_row()


def _heading(vertices: np.ndarray, labels: np.ndarray, mesh: MouseMesh) -> np.ndarray:
    """Unit direction [2] in the XY plane from the root of the tail to the middle of the ears."""
    tail = vertices[labels == 1]
    trunk = vertices[labels == 0].mean(0)
    root = tail[np.linalg.norm(tail - trunk, axis=1).argmin()]
    direction = (vertices[labels == 2].mean(0) - root)[:2]
    return direction / np.linalg.norm(direction)


def _zoomed(size: int) -> np.ndarray:
    return canonical_fxfycxcy(size) * [ZOOM, ZOOM, 1, 1]


def _paint(scene: Scene, camera: Camera) -> np.ndarray:
    return paint_frame(scene, from_camera(camera), 2)


def _flawed(rgba: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture as a camera and a segmenter give it: sensor noise, a mask half a pixel off."""
    rgb = sense(rgba[..., :3] * rgba[..., 3:] + 0.8 * (1 - rgba[..., 3:]), 1.0, NOISE, rng).astype(np.float32) / 255
    alpha = change_mask(rgba[..., 3], float(rng.uniform(*MASK_GROWTH)))
    return np.dstack([rgb, alpha]).astype(np.float32)
