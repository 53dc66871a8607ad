"""Filming the animals and rendering the objects that an experiment's cells share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mousefacelift.check.solid import draw_on_faces, face_normals
from mousefacelift.core.cameras import CANONICAL_DISTANCE, Camera, canonical_fxfycxcy, look_at, orbit
from mousefacelift.core.similarity import Similarity
from mousefacelift.core.skinning import Skinner
from mousefacelift.experiment.bed import Bed, Views
from mousefacelift.experiment.config import BedConfig
from mousefacelift.experiment.synthetic import distil_views, splat_views
from mousefacelift.objects.config import ObjectsConfig, ViewsConfig
from mousefacelift.objects.light import make_light
from mousefacelift.objects.mesh import Mesh, normalise
from mousefacelift.objects.procedural import procedural_object
from mousefacelift.objects.render import render_views, to_levels
from mousefacelift.objects.views import object_cameras
from mousefacelift.single.parts import seen_vertices
from mousefacelift.virtual import coat, light, motion, rig
from mousefacelift.virtual.anatomy import COATS, pick_animal
from mousefacelift.virtual.config import Degradations
from mousefacelift.virtual.degrade import change_mask, colour_offset, gain_at, mask_changes, sense
from mousefacelift.virtual.mesh import MouseMesh, build_mouse
from mousefacelift.virtual.painter import make_scene, paint_frame
from mousefacelift.virtual.pose import Puppet
from mousefacelift.virtual.stage import FLOOR_MM

SEEDS = 2**42  # recordings have seeds below 2^32, test animals begin at 2^41
SEEN, HELD_OUT = (0, 1, 2, 3, 4), 5
ZOOM = 1.3  # over the canonical focal length, as the test animals of protocol S
STRANDS, DOME = 4000, 6  # as much fur and light as a picture of 48 px can show
NOISE = 1.6  # 8-bit levels
POINTS = 3000  # on the true surface
ELEVATIONS, PER_ELEVATION = (-30.0, 0.0, 20.0, 50.0, 80.0), 4
SCAN_VIEWS, SCAN_ELEVATIONS = 10, (-10.0, 60.0)
OBJECT_RING, OBJECT_RANDOM = 8, 4
FLAWS = Degradations()


@dataclass(frozen=True)
class Actor:
    """An animal in motion: its body, fur and true cameras (mm), `scale` world units per mm."""

    mesh: MouseMesh
    strands: coat.Strands
    puppet: Puppet
    skinner: Skinner
    lights: light.Lights
    cameras: list[Camera]
    scale: float
    seed: int


@dataclass(frozen=True)
class Moment:
    """One frame: vertices [N, 3] in mm, and the similarity that puts the animal's middle at the origin."""

    vertices: np.ndarray
    to_world: Similarity
    time_s: float


def film_animal(number: int, config: BedConfig) -> Bed:
    """Animal `number` with everything that cells take from it; the same for the same number and configuration."""
    actor = cast_actor(number, config)
    rng = np.random.default_rng([actor.seed, 9])
    step = motion.RATE / config.fps
    train = [moment_at(actor, int(i * step)) for i in range(config.frames)]
    first = config.frames * step + config.guard_s * motion.RATE
    tests = [moment_at(actor, int(first + i * motion.RATE / config.test_fps)) for i in range(config.test_frames)]
    photos, later = film_photos(actor, train, config.size, rng), film_photos(actor, tests, config.size, rng)
    truth_index = evenly(config.test_frames, config.truth_frames)
    chosen = evenly(config.frames, config.synthetic_frames)
    ring = around_cameras(config.size)
    around = paint_clean(actor, [(tests[i], ring) for i in truth_index])
    scans = paint_clean(actor, [(train[i], random_cameras(SCAN_VIEWS, config.size, rng)) for i in chosen])
    seen = photos.select(chosen, list(SEEN))
    surfaces = [sample_truth(actor, tests[i], ring, int(i)) for i in truth_index]
    return Bed(
        photos,
        later,
        around,
        scans,
        splat_views(seen, actor.seed % 2**31),
        distil_views(seen, rng),
        truth_index,
        np.repeat(ELEVATIONS, PER_ELEVATION),
        *(np.stack(part).astype(np.float32) for part in zip(*surfaces)),
    )


def cast_actor(number: int, config: BedConfig) -> Actor:
    """The animal, its motion and the rig around it."""
    seed = SEEDS + 1000 * config.seed + number
    animal = pick_animal(seed, COATS[number % len(COATS)])
    seconds = config.frames / config.fps + config.guard_s + config.test_frames / config.test_fps
    puppet = Puppet(build_mouse(animal), motion.make_track(int(seconds * motion.RATE) + 80, seed))
    lenses = rig.undistorted_rig(rig.build_rig("markerless_mouse", 6, *rig.RIG_SIZE))
    middle = np.array([*rig.ARENA_CENTER, 20.0])
    distance = np.mean([np.linalg.norm(lens.center - middle) for lens in lenses])
    return Actor(
        puppet.mesh,
        coat.seed_strands(puppet.mesh, STRANDS, seed),
        puppet,
        Skinner(puppet.mesh),
        light.studio_lights(DOME),
        [lens.pinhole() for lens in lenses],
        CANONICAL_DISTANCE / distance,
        seed,
    )


def moment_at(actor: Actor, step: int) -> Moment:
    """The animal at a step of its motion."""
    vertices = actor.skinner.vertices(actor.puppet.pose(step))
    vertices[:, 2] = np.maximum(vertices[:, 2], FLOOR_MM)
    middle = vertices[actor.mesh.part == 0].mean(0)
    return Moment(vertices, Similarity(actor.scale, np.eye(3), -actor.scale * middle), step / motion.RATE)


def film_photos(actor: Actor, moments: Sequence[Moment], size: int, rng: np.random.Generator) -> Views:
    """What the six cameras photograph, with a real recording's flaws."""
    growth = mask_changes(FLAWS, len(actor.cameras), rig.RIG_SIZE[0], actor.seed % 2**31)
    frames = []
    for moment in moments:
        scene = make_scene(actor.mesh, moment.vertices, actor.strands, actor.lights, FLAWS.acrylic_band)
        views = []
        for number, real in enumerate(actor.cameras):
            center = moment.to_world.apply(real.center)
            camera = Camera(look_at(center, np.zeros(3)), zoomed(size), size, size)
            rgba = paint_frame(scene, rig.from_camera(moment.to_world.inverse().apply_camera(camera)), 2)
            smaller = growth[number] * camera.fxfycxcy[0] / real.fxfycxcy[0]
            views.append((flawed(rgba, number, moment.time_s, smaller, actor.seed, rng), camera))
        frames.append(views)
    return stack(frames)


def flawed(
    rgba: np.ndarray, camera: int, time_s: float, growth: float, seed: int, rng: np.random.Generator
) -> np.ndarray:
    """A clean picture [H, W, 4] as a sensor and a segmenter give it; `growth` of the mask in pixels."""
    offset = colour_offset(camera, FLAWS.colour_offset, seed % 2**31)
    gain = gain_at(time_s, camera, FLAWS.exposure_drift)
    rgb = sense(rgba[..., :3] * rgba[..., 3:] + 0.8 * (1 - rgba[..., 3:]), gain, NOISE, rng, offset)
    alpha = np.clip(change_mask(rgba[..., 3], growth), 0, 1)
    return np.dstack([rgb, np.round(alpha * 255).astype(np.uint8)])


def paint_clean(actor: Actor, wanted: Sequence[tuple[Moment, Sequence[Camera]]]) -> Views:
    """Exact pictures of moments from the cameras of each."""
    frames = []
    for moment, cameras in wanted:
        scene = make_scene(actor.mesh, moment.vertices, actor.strands, actor.lights)
        to_mm = moment.to_world.inverse()
        pictures = [paint_frame(scene, rig.from_camera(to_mm.apply_camera(camera)), 2) for camera in cameras]
        frames.append([(to_levels8(picture), camera) for picture, camera in zip(pictures, cameras, strict=True)])
    return stack(frames)


def sample_truth(actor: Actor, moment: Moment, cameras: Sequence[Camera], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and outward normals [POINTS, 3] of the surface that the cameras see, in the world."""
    vertices = moment.to_world.apply(moment.vertices)
    faces = actor.mesh.faces[seen_vertices(vertices, actor.mesh.faces, cameras)[actor.mesh.faces].all(1)]
    points, chosen = draw_on_faces(vertices, faces, POINTS, seed)
    return points, face_normals(vertices, faces)[chosen]


def render_objects(config: BedConfig, ingredients: tuple[str, ...] = (), seed: int | None = None) -> Views:
    """The procedural objects of an experiment, rendered as the objects stage renders them.

    Args:
        ingredients: what every fifth one is made of (`objects.ingredients`). seed: in place of the configuration's.
    """
    seed = config.seed if seed is None else seed
    return stack(
        [
            render_mesh(procedural_object(seed, number, ingredients), config.size, [seed, number])
            for number in range(config.objects)
        ]
    )


def render_mesh(mesh: Mesh, size: int, key: list[int]) -> list[tuple[np.ndarray, Camera]]:
    """A ring of views of a mesh, then views at random; `key` decides those and the light."""
    cameras = object_cameras(ViewsConfig(ring=OBJECT_RING, random=OBJECT_RANDOM), size, [*key, 1])
    lamp = int(np.random.default_rng([*key, 2]).integers(2**31))
    lit = make_light("three_point", seed=lamp)
    pictures = render_views(normalise(mesh)[0], cameras, lit, ObjectsConfig().supersampling, 1, to_levels)
    return list(zip(pictures, cameras, strict=True))


def around_cameras(size: int) -> list[Camera]:
    """Judging cameras at every elevation, turned against each other so that no azimuth is special."""
    return [
        orbit(360.0 * (k + i / len(ELEVATIONS)) / PER_ELEVATION, up, CANONICAL_DISTANCE, zoomed(size), size, size)
        for i, up in enumerate(ELEVATIONS)
        for k in range(PER_ELEVATION)
    ]


def random_cameras(count: int, size: int, rng: np.random.Generator) -> list[Camera]:
    """`count` cameras around the animal, evenly in azimuth from a random start, elevations drawn."""
    start = rng.uniform(0, 360)
    return [
        orbit(start + 360.0 * k / count, rng.uniform(*SCAN_ELEVATIONS), CANONICAL_DISTANCE, zoomed(size), size, size)
        for k in range(count)
    ]


def zoomed(size: int) -> np.ndarray:
    """[4] intrinsics of every mouse view."""
    return canonical_fxfycxcy(size) * [ZOOM, ZOOM, 1, 1]


def evenly(length: int, count: int) -> np.ndarray:
    """At most `count` positions of `length`, evenly spread."""
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int))


def to_levels8(rgba: np.ndarray) -> np.ndarray:
    """uint8 of a picture in [0, 1]."""
    return np.round(np.clip(rgba, 0, 1) * 255).astype(np.uint8)


def stack(frames: Sequence[Sequence[tuple[np.ndarray, Camera]]]) -> Views:
    """Views of lists of (rgba uint8, camera), equally long."""
    return Views(
        np.stack([[rgba for rgba, _ in views] for views in frames]),
        np.stack([[camera.w2c for _, camera in views] for views in frames]),
        np.stack([[camera.fxfycxcy for _, camera in views] for views in frames]),
    )
