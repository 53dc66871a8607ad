"""The virtual set: one animal, its motion and its cameras, made from configuration, name and seed alone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields

import numpy as np

from mousefacelift.core.skinning import Pose, Skinner
from mousefacelift.errors import ConfigError
from mousefacelift.virtual import coat, light, mesh, motion, rig
from mousefacelift.virtual.anatomy import Animal, pick_animal
from mousefacelift.virtual.config import VirtualConfig
from mousefacelift.virtual.mammal import MammalPuppet
from mousefacelift.virtual.painter import Scene, make_scene
from mousefacelift.virtual.pose import Puppet

FLOOR_MM = 0.15  # lowest height of the skin


@dataclass(frozen=True)
class Stage:
    """Everything that a recording films; `steps` [frames] are steps of the track at 100 per second.

    `distorted` and `undistorted` are the true lenses of both variants.
    """

    config: VirtualConfig
    name: str
    seed: int
    animal: Animal
    mesh: mesh.MouseMesh
    strands: coat.Strands
    puppet: Puppet | MammalPuppet
    skinner: Skinner
    steps: np.ndarray
    lights: light.Lights
    distorted: list[rig.Lens]
    undistorted: list[rig.Lens]

    def pose(self, frame: int) -> Pose:
        """Joint transforms of a video frame."""
        return self.puppet.pose(int(self.steps[0 if self.config.degradations.resting else frame]))

    def vertices(self, pose: Pose) -> np.ndarray:
        """[N, 3] mm posed vertices; what would sink into the floor lies flat on it, as flesh does."""
        vertices = self.skinner.vertices(pose)
        vertices[:, 2] = np.maximum(vertices[:, 2], FLOOR_MM)
        return vertices

    def scene(self, vertices: np.ndarray) -> Scene:
        """A posed mesh [N, 3], lit and with its fur."""
        return make_scene(self.mesh, vertices, self.strands, self.lights, self.config.degradations.acrylic_band)


def build_stage(config: VirtualConfig, name: str, seed: int) -> Stage:
    """Set the stage of a recording: `name` and `seed` together pick the animal and its motion.

    Raises:
        ConfigError: sizes, rates or switches that make no recording.
    """
    check_config(config)
    mixed = mix_seed(name, seed)
    animal = pick_animal(mixed, config.coat)
    puppet, steps = _cast(config, animal, mixed)
    body = puppet.mesh
    distorted = rig.build_rig(config.rig, config.cameras, config.width, config.height)
    if config.distance_mm:
        distorted = rig.move_back(distorted, config.distance_mm)
    return Stage(
        config,
        name,
        seed,
        animal,
        body,
        coat.seed_strands(body, strand_count(config), mixed),
        puppet,
        Skinner(body),
        steps,
        light.studio_lights(),
        distorted,
        rig.undistorted_rig(distorted),
    )


def _cast(config: VirtualConfig, animal: Animal, seed: int) -> tuple[Puppet | MammalPuppet, np.ndarray]:
    """Who plays, and which of its steps each video frame shows."""
    if config.mesh:
        puppet = MammalPuppet(config.mesh, animal)
        return puppet, puppet.steps(config.frames, config.fps)
    track = motion.make_track(motion.steps_needed(config.frames, config.fps, config.degradations.cut), seed)
    steps = motion.frame_steps(track, config.frames, config.fps, config.degradations.cut)
    return Puppet(mesh.build_mouse(animal), track), steps


def mix_seed(name: str, seed: int) -> int:
    """One number for a recording's name and the configuration's seed."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])


def strand_count(config: VirtualConfig) -> int:
    """Number of strands that suits the resolution."""
    return config.strands or max(int(coat.FULL_STRANDS * (config.width / rig.RIG_SIZE[0]) ** 1.4), 4000)


def check_config(config: VirtualConfig) -> None:
    """Raise ConfigError for a recording that cannot be made."""
    spoil = config.degradations
    if config.width % 2 or config.height % 2 or min(config.width, config.height) < 32:
        raise ConfigError(
            "virtual.width and virtual.height must be even and at least 32",
            got=f"{config.width}x{config.height}",
            likely="H.264 stores colour at half size",
        )
    if config.frames < 1 or not 0 < config.fps <= motion.RATE:
        raise ConfigError(
            "virtual.frames must be positive and virtual.fps in (0, 100]", got=f"{config.frames}, {config.fps}"
        )
    if config.supersample not in (1, 2, 3, 4) or config.noise < 0:
        raise ConfigError(
            "virtual.supersample must be 1 to 4 and virtual.noise not negative",
            got=f"{config.supersample}, {config.noise}",
        )
    if not (0 <= config.video_crf <= 51 and 0 <= spoil.mask_crf <= 51):
        raise ConfigError(
            "virtual.video_crf and virtual.degradations.mask_crf must lie in [0, 51]",
            got=f"{config.video_crf}, {spoil.mask_crf}",
        )
    if config.mesh and spoil.cut:
        raise ConfigError(
            "virtual.degradations.cut needs the procedural animal",
            got=f"virtual.mesh: {config.mesh}",
            likely="a stored motion has no other stretch to jump to",
        )
    for key in [field.name for field in fields(spoil) if field.name.endswith("_camera")]:
        if not -1 <= getattr(spoil, key) < config.cameras:
            raise ConfigError(
                f"virtual.degradations.{key} names no camera",
                got=getattr(spoil, key),
                expected=f"-1 to {config.cameras - 1}",
            )
    for key in ("principal_point_px", "extrinsic_jitter_deg", "mask_change_px"):
        low, high = getattr(spoil, key)
        if not 0 <= low <= high:
            raise ConfigError(f"virtual.degradations.{key} must be [smallest, largest]", got=f"[{low}, {high}]")
    if not (0 <= spoil.acrylic_band <= 1 and 0 <= spoil.exposure_drift < 1 and 0 <= spoil.colour_offset < 0.5):
        raise ConfigError(
            "virtual.degradations.acrylic_band and exposure_drift must lie in [0, 1], colour_offset in [0, 0.5)",
            got=f"{spoil.acrylic_band}, {spoil.exposure_drift}, {spoil.colour_offset}",
        )
    if config.distance_mm and not 150 <= config.distance_mm <= 5000:
        raise ConfigError("virtual.distance_mm must be 0 or 150 to 5000", got=config.distance_mm)
