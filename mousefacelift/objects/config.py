"""Configuration of the objects stage (`objects:`): which objects, how they are rendered, what an asset may cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from mousefacelift.config import section


@section
class DownloadConfig:
    """Fetching of listed objects."""

    LEAST: ClassVar = {"requests_per_s": 0.001}

    endpoint: str = "https://huggingface.co"
    """hub address; the environment variable HF_ENDPOINT goes first, HF_TOKEN is sent to its own host only"""
    folder: str = "data/objaverse"
    """where the files are kept, `<folder>/glbs/<group>/<uid>.glb`; a machine without a network uses what is there"""
    requests_per_s: float = 4.0
    """at most this many requests a second"""
    retries: int = 3
    """further attempts after a network error"""
    timeout_s: ClassVar[float] = 60.0
    """per request"""
    largest_mb: float = 200.0
    """a file larger than this is refused, at the latest while it is fetched"""


@section
class ViewsConfig:
    """Cameras of one object: an even ring first, then random orbits around it."""

    LEAST: ClassVar = {"elevation": -90.0}

    ring: int = 32
    """cameras at equal azimuth steps, elevation and distance of the published set"""
    elevation: float = 20.0
    """of the ring, degrees and world units (the object's radius is 1)"""
    distance: float = 2.7
    random: int = 0
    """further cameras at random azimuth"""
    random_elevation: tuple[float, float] = (-10.0, 60.0)
    """ranges; zoom multiplies the canonical focal length"""
    random_distance: tuple[float, float] = (2.4, 3.4)
    random_zoom: tuple[float, float] = (0.9, 1.1)
    random_offset: float = 0.02
    """largest shift of the principal point, as a share of the image width"""

    def __post_init__(self) -> None:
        if self.ring + self.random < 1 or self.ring < 0 or self.random < 0:
            raise ValueError("ring + random must be 1 view or more")
        if min(self.distance, *self.random_distance) <= 1.05:
            raise ValueError("distances must be above 1.05: the object fills the sphere of radius 1")


@section
class LightConfig:
    """Light fixed in the world."""

    kind: Literal["three_point", "environment", "flat"] = "three_point"
    """three lamps and a sky; a picture of the surroundings; or `flat`, base colour alone"""
    environment: str | None = None
    """.hdr or .npy picture (equirectangular, linear) for kind `environment`"""
    strength: float = 1.0
    """factor on the environment"""
    vary: bool = True
    """turn and tint the three lamps differently for each object"""


@section
class BlenderConfig:
    """Path tracing by Blender, run as a program of its own."""

    LEAST: ClassVar = {"samples": 1}

    python: str = "blender"
    """interpreter that has `bpy`, or a `blender` executable"""
    samples: int = 64
    """Cycles samples per pixel"""
    device: Literal["CPU", "GPU"] = "CPU"
    """CPU or GPU"""


@dataclass(frozen=True)
class Limits:
    """What one asset may cost before it is refused; the batch goes on."""

    file_mb: float = 300.0
    """size of the file"""
    faces: int = 5_000_000
    """triangles, counted in the file's header where it has one"""
    texture_px: int = 8192 * 8192
    """pixels of one texture"""
    memory_gb: float = 8.0
    """address space that the worker may add for one asset"""
    seconds: float = 300.0
    """wall time for loading and rendering one asset"""


@section
class SequenceConfig:
    """A mesh sequence of the user."""

    path: str
    """.npz, truth folder, folder of mesh files, or folder of MAMMAL text files"""
    frames: tuple[int, ...]
    """start, stop (excluded) and optionally step of the frames rendered"""
    poses: str = ""
    """.npz with the poses of an articulated mesh; empty otherwise"""

    def __post_init__(self) -> None:
        if len(self.frames) not in (2, 3) or not 0 <= self.frames[0] < self.frames[1] or self.frames[2:] == (0,):
            raise ValueError("frames are start, stop and optionally step, with 0 <= start < stop")


@section
class ScansConfig:
    """Mesh sequences as scans: the mouse whose 3D truth is known."""

    every: int = 12
    """so many frames of a virtual recording apart, its true mesh becomes a scan; 0 for none"""
    sequences: dict[str, SequenceConfig] = field(default_factory=dict)
    """name -> the user's mesh sequence; one that has a recording's name shows that recording's frames, and they keep
    its split"""
    views: int = 32
    """cameras per frame (32 is the published ring; 64 halves its step)"""
    extent: Literal["sequence", "frame"] = "sequence"
    """how frames are scaled: `sequence` keeps one scale for all frames, `frame` fits each into the sphere"""

    def __post_init__(self) -> None:
        if self.every < 0 or self.views < 1:
            raise ValueError("every must be 0 or more, views 1 or more")


@section
class ObjectsConfig:
    """Objects and scans for the training mixture."""

    source: Literal["procedural", "list", "folder"] = "procedural"
    """`procedural` (made here), `list` (rows `folder,uid` of Objaverse), or `folder` (local mesh files)"""
    path: str | None = None
    """the list (file or URL) or the folder; null for procedural"""
    count: int = 40
    """N objects: the first N of a seeded order, so that N + 1 extends N"""
    ingredients: tuple[Literal["composition", "cuts", "heights", "wires"], ...] = (
        "composition",
        "cuts",
        "heights",
        "wires",
    )
    """of procedural objects: every fifth one is a random composition, one with boolean cuts, with height fields, or a
    wire frame, in turn; empty for the eighteen families alone"""
    lvis: str | None = None
    """annotation file {category: [uid]}; with `categories`, keeps those categories of the list"""
    categories: tuple[str, ...] = ()
    """LVIS categories to keep; empty keeps all"""
    annotations: str | None = None
    """file or folder of {uid: {"license": ...}}, gives every object its licence"""
    licenses: tuple[str, ...] = ()
    """licences to keep (`by`, `cc0`, ...); empty keeps all, unknown ones too"""
    size: int = 128
    """side of the square images in pixels"""
    supersampling: int = 3
    """S of the S x S samples per pixel"""
    backend: Literal["cpu", "egl", "blender"] = "cpu"
    """`cpu` (the project's rasteriser), `egl` (OpenGL, GPU nodes) or `blender` (path tracing)"""
    views: ViewsConfig = field(default_factory=ViewsConfig)
    light: LightConfig = field(default_factory=LightConfig)
    scans: ScansConfig = field(default_factory=ScansConfig)
    download: DownloadConfig = field(default_factory=DownloadConfig)
    limits: ClassVar[Limits] = Limits()
    blender: BlenderConfig = field(default_factory=BlenderConfig)

    def __post_init__(self) -> None:
        if self.source != "procedural" and not self.path:
            raise ValueError(f"source '{self.source}' needs a path")
        if self.count < 1 or self.size < 8 or not 1 <= self.supersampling <= 8:
            raise ValueError("count must be 1 or more, size 8 or more, supersampling 1 to 8")
