"""An experiment file, `workflow/experiments/NAME.yaml`: the animals, the training, and which cells make the table.

snakemake experiment --config experiment=NAME
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

import yaml

from mousefacelift.config import config_hash, load, require_at_least, section
from mousefacelift.errors import ConfigError

CONSTRAINTS = ("small", "small_plain", "small_plain_bounded", "small_plain_balanced", "small_ranked")
CAMERAS = ("exact", "audited", "px2", "px10", "px50", "rescaled", "mirrored")
MIXTURES = ("90-10", "80-20", "70-30")
DATA = (
    *("real-only", "objects-only", "distilled-only", "splat-only", "scan-only", *MIXTURES, "80-20-curriculum"),
    *("sequence", "sequence-replay", "no-synthetic", "distortion-only", "real-only-exposure"),
)
STARTS = ("objects", "scratch")
INGREDIENTS = ("composition", "cuts", "heights", "wires")
COLLECTIONS = ("families", *INGREDIENTS, "all")
MESHES = (".glb", ".gltf", ".obj", ".ply", ".stl")


@section
class BedConfig:
    """The virtual animals, their frames and the objects: what all cells share."""

    animals: int = 5
    """virtual mice, each of its own coat, size and motion"""
    frames: int = 400
    """of an animal for training, at `fps`; a cell with fewer takes them evenly spread"""
    fps: float = 5.0
    """frames per second of the training stretch"""
    test_frames: int = 24
    """judged ones, after a gap, at `test_fps`"""
    test_fps: float = 2.0
    """frames per second of the judged stretch"""
    guard_s: float = 2.0
    """between training and judged frames"""
    truth_frames: int = 8
    """of the judged ones that also have views all around and the true surface"""
    synthetic_frames: int = 40
    """of the training ones that have distilled, splat and scan views"""
    size: int = 48
    """edge of every picture, pixels"""
    objects: int = 200
    """procedural objects, 12 views each"""
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, 1, "animals", "synthetic_frames", "objects", "size")
        require_at_least(self, 2, "frames", "test_frames", "truth_frames")


@section
class TrainingConfig:
    """How every cell is trained: equal for all, but for what the factors change."""

    dim: int = 192
    """width of the network, in place of the preset's"""
    head_dim: int = 32
    layers: int = 4
    """of the transformer, in place of the preset's"""
    steps: int = 600
    """of a cell"""
    start_steps: int = 1500
    """of the objects-pretrained start"""
    batch: int = 1
    """samples of a step"""
    targets: int = 3
    """target views of a sample, one of them no input"""
    learning_rate: float = 5.0e-4
    """peak; a sequence takes a tenth of it"""
    start_learning_rate: float = 1.0e-3
    """of the start"""
    warmup_steps: int = 30
    validate_at: tuple[int, ...] = (0, 25, 50, 100, 200, 300, 450)
    """steps after which the detectors look, besides the last"""
    validation_frames: int = 8
    """judged frames that they look at"""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "steps", "start_steps", "batch", "targets")


@section
class Block:
    """A full cross of its levels, for every animal; a factor that is not named keeps its base level."""

    constraint: tuple[Literal[CONSTRAINTS], ...] = ("small_plain",)
    cameras: tuple[Literal[CAMERAS], ...] = ("exact",)
    data: tuple[Literal[DATA], ...] = ("real-only",)
    start: tuple[Literal[STARTS], ...] = ("objects",)
    inputs: tuple[int, ...] = (4,)
    frames: tuple[int, ...] = (400,)


@section
class ExperimentConfig:
    """One experiment: one table."""

    bed: BedConfig = field(default_factory=BedConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    blocks: tuple[Block, ...] = ()
    """of cells; a cell that two blocks name runs once"""


@dataclass(frozen=True)
class Cell:
    """One run: a level of every factor, and an animal."""

    constraint: str
    cameras: str
    data: str
    start: str
    inputs: int
    frames: int
    animal: int

    @property
    def condition(self) -> str:
        """The levels without the animal, as a name."""
        return f"{self.constraint}.{self.cameras}.{self.data}.{self.start}.v{self.inputs}.f{self.frames}"

    @property
    def name(self) -> str:
        return f"{self.condition}.a{self.animal}"


def read_experiment(path: str | Path) -> ExperimentConfig:
    """The experiment of a file.

    Raises:
        ConfigError: unreadable, a key that is not known, a level that is not one, or no cells.
    """
    config = load(ExperimentConfig, _read_yaml(path), Path(path).stem)
    if not config.blocks:
        raise ConfigError(f"experiment {path} has no blocks", expected="blocks: a list of crosses of factor levels")
    for block in config.blocks:
        if max(block.frames) > config.bed.frames or not all(1 <= count <= 4 for count in block.inputs):
            raise ConfigError(
                f"experiment {path} asks for views or frames that the animals do not have",
                got=f"inputs {block.inputs}, frames {block.frames}",
                expected=f"inputs 1 to 4 (five cameras may be seen, one is kept), frames up to {config.bed.frames}",
            )
    return config


def plan_cells(config: ExperimentConfig) -> list[Cell]:
    """The cells in the order in which they run: block by block, every condition for all animals before the next."""
    cells = {}
    for block in config.blocks:
        for levels in product(*asdict(block).values()):
            for animal in range(config.bed.animals):
                cells[Cell(*levels, animal)] = None
    return list(cells)


def bed_folder(config: ExperimentConfig) -> str:
    """Name of the folder of animals and objects, shared by all experiments that film the same."""
    return f"bed-{config_hash(asdict(config.bed))[:8]}"


def starts_folder(config: ExperimentConfig) -> str:
    """Name of the folder of starts, shared by all experiments that pretrain the same networks on the same objects."""
    keys = ("dim", "head_dim", "layers", "start_steps", "batch", "targets", "start_learning_rate", "warmup_steps")
    training = asdict(config.training)
    return f"starts-{config_hash([asdict(config.bed), [training[key] for key in keys]])[:8]}"


def cells_folder(config: ExperimentConfig) -> str:
    """Name of the folder of finished cells, shared by all experiments that film and train alike."""
    return f"cells-{config_hash([asdict(config.bed), asdict(config.training)])[:8]}"


def read_trial(path: str | Path) -> dict:
    """What the workflow must know of an experiment before any job runs: folders, constraints, animals, and a hash of
    its cells."""
    config = read_experiment(path)
    cells = plan_cells(config)
    return {
        "bed": bed_folder(config),
        "starts": starts_folder(config),
        "cells": cells_folder(config),
        "constraints": sorted({cell.constraint for cell in cells}),
        "animals": config.bed.animals,
        "plan": config_hash([asdict(cell) for cell in cells] + [asdict(config.training)]),
    }


@section
class IngredientsConfig:
    """`workflow/experiments/objects/ingredients.yaml`."""

    collections: tuple[Literal[COLLECTIONS], ...] = COLLECTIONS
    """what the network is trained on"""
    seeds: int = 3
    """networks of every collection"""
    constraint: str = "small"
    """the network and its loss, a level of `constraints`"""
    bed: BedConfig = field(default_factory=BedConfig)
    """size and number of the objects; the animals are not used"""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """steps and rate are those of a start"""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "seeds")


def read_ingredients(path: str | Path) -> IngredientsConfig:
    """The experiment of a file.

    Raises:
        ConfigError: unreadable, or a key or level that is not known.
    """
    return load(IngredientsConfig, _read_yaml(path) or {}, Path(path).stem)


def find_assets(folder: str | Path | None) -> list[Path]:
    """The mesh files under a folder.

    Raises:
        ConfigError: there are none.
    """
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in MESHES) if folder else []
    if not files:
        raise ConfigError(
            "there are no assets to judge procedural objects by",
            got=str(folder),
            expected=f"a folder with files {', '.join(MESHES)} that people made",
            hint="snakemake ingredients --config assets=FOLDER",
        )
    return files


def _read_yaml(path: str | Path):
    try:
        return yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"experiment {path} cannot be read", got=str(error)) from error
