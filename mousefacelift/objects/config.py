"""Configuration of the objects stage (`objects:`): which objects, how they are rendered, what an asset may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class DownloadConfig:
    """Fetching of listed objects.

    Args:
        endpoint: hub address; the environment variable HF_ENDPOINT goes first, HF_TOKEN is sent when set.
        folder: where the files are kept, `<folder>/glbs/<group>/<uid>.glb`; a machine without a network uses what is
            there.
        requests_per_s: at most this many requests a second.
        retries: further attempts after a network error.
        timeout_s: per request.
        largest_mb: a file larger than this is refused before it is fetched.
    """

    endpoint: str = "https://huggingface.co"
    folder: str = "data/objaverse"
    requests_per_s: float = 4.0
    retries: int = 3
    timeout_s: float = 60.0
    largest_mb: float = 200.0


@dataclass(frozen=True)
class ViewsConfig:
    """Cameras of one object: an even ring first, then random orbits around it.

    Args:
        ring: cameras at equal azimuth steps, elevation and distance of the published set.
        elevation, distance: of the ring, degrees and world units (the object's radius is 1).
        random: further cameras at random azimuth.
        random_elevation, random_distance, random_zoom: ranges; zoom multiplies the canonical focal length.
        random_offset: largest shift of the principal point, as a share of the image width.
    """

    ring: int = 32
    elevation: float = 20.0
    distance: float = 2.7
    random: int = 0
    random_elevation: tuple[float, float] = (-10.0, 60.0)
    random_distance: tuple[float, float] = (2.4, 3.4)
    random_zoom: tuple[float, float] = (0.9, 1.1)
    random_offset: float = 0.02

    def __post_init__(self) -> None:
        if self.ring + self.random < 1 or self.ring < 0 or self.random < 0:
            raise ValueError("ring + random must be 1 view or more")
        if min(self.distance, *self.random_distance) <= 1.05:
            raise ValueError("distances must be above 1.05: the object fills the sphere of radius 1")


@dataclass(frozen=True)
class LightConfig:
    """Light fixed in the world.

    Args:
        kind: three lamps and a sky; a picture of the surroundings; or `flat`, base colour alone.
        environment: .hdr or .npy picture (equirectangular, linear) for kind `environment`.
        strength: factor on the environment.
        vary: turn and tint the three lamps differently for each object.
    """

    kind: Literal["three_point", "environment", "flat"] = "three_point"
    environment: str | None = None
    strength: float = 1.0
    vary: bool = True


@dataclass(frozen=True)
class BlenderConfig:
    """Path tracing by Blender, run as a program of its own.

    Args:
        python: interpreter that has `bpy`, or a `blender` executable.
        samples: Cycles samples per pixel.
        device: CPU or GPU.
    """

    python: str = "blender"
    samples: int = 64
    device: Literal["CPU", "GPU"] = "CPU"


@dataclass(frozen=True)
class LimitsConfig:
    """What one asset may cost before it is refused; the batch goes on.

    Args:
        file_mb: size of the file.
        faces: triangles, counted in the file's header where it has one.
        texture_px: pixels of one texture.
        memory_gb: address space that the worker may add for one asset.
        seconds: wall time for loading and rendering one asset.
    """

    file_mb: float = 300.0
    faces: int = 5_000_000
    texture_px: int = 8192 * 8192
    memory_gb: float = 8.0
    seconds: float = 300.0


@dataclass(frozen=True)
class SequenceConfig:
    """A mesh sequence of the user.

    Args:
        path: .npz, truth folder, folder of mesh files, or folder of MAMMAL text files.
        frames: start, stop (excluded) and optionally step of the frames rendered.
        poses: .npz with the poses of an articulated mesh; empty otherwise.
    """

    path: str
    frames: tuple[int, ...]
    poses: str = ""

    def __post_init__(self) -> None:
        if len(self.frames) not in (2, 3) or not 0 <= self.frames[0] < self.frames[1] or self.frames[2:] == (0,):
            raise ValueError("frames are start, stop and optionally step, with 0 <= start < stop")


@dataclass(frozen=True)
class ScansConfig:
    """Mesh sequences as scans: the mouse whose 3D truth is known.

    Args:
        every: so many frames of a virtual recording apart, its true mesh becomes a scan; 0 for none.
        sequences: name -> the user's mesh sequence; one that has a recording's name shows that recording's frames, and
            they keep its split.
        views: cameras per frame (32 is the published ring; 64 halves its step).
        extent: how frames are scaled: `sequence` keeps one scale for all frames, `frame` fits each into the sphere.
    """

    every: int = 12
    sequences: dict[str, SequenceConfig] = field(default_factory=dict)
    views: int = 32
    extent: Literal["sequence", "frame"] = "sequence"

    def __post_init__(self) -> None:
        if self.every < 0 or self.views < 1:
            raise ValueError("every must be 0 or more, views 1 or more")


@dataclass(frozen=True)
class ObjectsConfig:
    """Objects and scans for the training mixture.

    Args:
        source: `procedural` (made here), `list` (rows `folder,uid` of Objaverse), or `folder` (local mesh files).
        path: the list (file or URL) or the folder; null for procedural.
        count: N objects: the first N of a seeded order, so that N + 1 extends N.
        lvis: annotation file {category: [uid]}; with `categories`, keeps those categories of the list.
        categories: LVIS categories to keep; empty keeps all.
        annotations: file or folder of {uid: {"license": ...}}, gives every object its licence.
        licenses: licences to keep (`by`, `cc0`, ...); empty keeps all, unknown ones too.
        size: side of the square images in pixels.
        supersampling: S of the S x S samples per pixel.
        backend: `cpu` (the project's rasteriser), `egl` (OpenGL, GPU nodes) or `blender` (path tracing).
    """

    source: Literal["procedural", "list", "folder"] = "procedural"
    path: str | None = None
    count: int = 40
    lvis: str | None = None
    categories: tuple[str, ...] = ()
    annotations: str | None = None
    licenses: tuple[str, ...] = ()
    size: int = 512
    supersampling: int = 3
    backend: Literal["cpu", "egl", "blender"] = "cpu"
    views: ViewsConfig = field(default_factory=ViewsConfig)
    light: LightConfig = field(default_factory=LightConfig)
    scans: ScansConfig = field(default_factory=ScansConfig)
    download: DownloadConfig = field(default_factory=DownloadConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    blender: BlenderConfig = field(default_factory=BlenderConfig)

    def __post_init__(self) -> None:
        if self.source != "procedural" and not self.path:
            raise ValueError(f"source '{self.source}' needs a path")
        if self.count < 1 or self.size < 8 or not 1 <= self.supersampling <= 8:
            raise ValueError("count must be 1 or more, size 8 or more, supersampling 1 to 8")
