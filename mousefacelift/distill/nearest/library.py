"""The library of filmed poses: views of splats as short codes, and where the splats are.

    results/distill/library/library.npz    codes, angles, splat numbers, the basis of the codes, usual distances
                            library.json   the splats: path (from the library's folder), recording, frame

A code is the descriptor's first principal components. 51,200 views (1,600 frames x 32) take 13 MB; a query compares
with all of them, which is one matrix product.
"""

from __future__ import annotations

import io
import json
import tempfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mousefacelift.core.cameras import circular_difference
from mousefacelift.core.files import json_text, relative_path, write_bytes, write_text
from mousefacelift.core.spread import spread
from mousefacelift.distill.nearest.descriptor import LENGTH, describe_picture
from mousefacelift.errors import DataError

if TYPE_CHECKING:
    from mousefacelift.core.gaussians import Gaussians

COMPONENTS = 64
BASIS_VIEWS = 4000  # views, evenly spread, from which the components are computed
KEPT = 64  # splats in memory
BLOCK = 16_384  # views that are held whole
PROBES = 512  # views whose distance to the nearest other pose says what is usual
FILES = ("library.npz", "library.json")


@dataclass(frozen=True)
class Pose:
    """A splat of the library.

    Args:
        path: of its Gaussians, relative to the library's folder. recording, frame: where it was filmed.
    """

    path: str
    recording: str
    frame: int


@dataclass(frozen=True)
class Found:
    """A view of the library that resembles a picture.

    Args:
        pose: number of its splat. azimuth, elevation: degrees, of the view. distance: between the codes.
    """

    pose: int
    azimuth: float
    elevation: float
    distance: float


@dataclass(frozen=True)
class Library:
    """M views of P splats.

    Args:
        folder: that the paths of `poses` start from.
        poses: P splats. codes: [M, COMPONENTS] float32. owner: [M] number of the splat of each view.
        azimuth, elevation: [M] degrees. mean [D], basis [D, COMPONENTS]: from descriptors to codes.
        usual: [101] percentiles of the distance from a view to the nearest view of another splat.
        size: pixels of the views.
    """

    folder: Path
    poses: tuple[Pose, ...]
    codes: np.ndarray
    owner: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    usual: np.ndarray
    size: int

    def code(self, rgba: np.ndarray) -> np.ndarray:
        """Code [COMPONENTS] of a picture."""
        return (describe_picture(rgba) - self.mean) @ self.basis

    def find(self, rgba: np.ndarray, count: int) -> list[Found]:
        """The views most like a picture, nearest first, at most `count`; two views of one splat lie over 30 degrees
        apart."""
        code = self.code(rgba)
        distance = np.sqrt(np.maximum(self._squares - 2 * (self.codes @ code) + code @ code, 0))
        pool = min(len(distance), 40 * count)
        nearest = np.argpartition(distance, pool - 1)[:pool]
        found: list[Found] = []
        for view in nearest[np.argsort(distance[nearest], kind="stable")]:
            one = Found(
                int(self.owner[view]), float(self.azimuth[view]), float(self.elevation[view]), float(distance[view])
            )
            if all(
                one.pose != other.pose or abs(circular_difference(one.azimuth, other.azimuth)) > 30 for other in found
            ):
                found.append(one)
            if len(found) == count:
                break
        return found

    @cached_property
    def _squares(self) -> np.ndarray:
        return np.einsum("mc,mc->m", self.codes, self.codes)

    def how_usual(self, distance: float) -> float:
        """Share in [0, 1] of the filmed views that lie nearer to another filmed pose than `distance`: 0.5 is as near as
        filmed poses lie to one another, 1.0 farther than any."""
        return float(np.searchsorted(self.usual, distance) / len(self.usual))

    def gaussians(self, pose: int) -> Gaussians:
        """Gaussians of splat number `pose`, in its own world; not to be written to."""
        from mousefacelift.core.gaussians import Gaussians  # with torch, which who builds a library is spared

        if pose not in self._read:
            while len(self._read) >= KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[pose] = Gaussians.read(self.folder / self.poses[pose].path)
        return self._read[pose]

    @cached_property
    def _read(self) -> dict[int, Gaussians]:
        """The last KEPT splats that were read: pictures of one animal ask for the same ones."""
        return {}

    def write(self, folder: str | Path) -> None:
        """Write the library; library.json last."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        names = ("codes", "owner", "azimuth", "elevation", "mean", "basis", "usual")
        np.savez(buffer, **{name: getattr(self, name) for name in names})
        write_bytes(folder / FILES[0], buffer.getvalue())
        poses = [
            {"path": relative_path(self.folder / pose.path, folder), "recording": pose.recording, "frame": pose.frame}
            for pose in self.poses
        ]
        write_text(
            folder / FILES[1], json_text({"views": len(self.codes), "size": self.size, "poses": poses}, indent=1)
        )

    @classmethod
    def read(cls, folder: str | Path) -> Library:
        """The library that `write` wrote.

        Raises:
            DataError: missing or not whole.
        """
        folder = Path(folder)
        try:
            document = json.loads((folder / FILES[1]).read_text())
            poses = tuple(Pose(**entry) for entry in document["poses"])
            with np.load(folder / FILES[0]) as arrays:
                return cls(folder, poses, **{name: arrays[name] for name in arrays.files}, size=document["size"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"library of poses {folder} cannot be read",
                got=repr(error),
                expected=", ".join(FILES),
                hint="mousefacelift distill library, or snakemake results/distill/library/library.json",
            ) from error


def build_library(
    views: Iterable[tuple[int, np.ndarray, float, float]], poses: list[Pose], folder: Path, size: int
) -> Library:
    """Library of (splat number, rgba, azimuth, elevation) views of `poses`, whose paths start from `folder`.

    Raises:
        DataError: fewer than two poses.
    """
    owner, azimuths, elevations, total = array("i"), array("f"), array("f"), np.zeros(LENGTH)
    with tempfile.TemporaryFile() as stream:  # the descriptors of a long recording would not fit into memory
        for number, rgba, azimuth, elevation in views:
            descriptor = describe_picture(rgba)
            stream.write(descriptor.tobytes())
            total += descriptor
            for values, value in ((owner, number), (azimuths, azimuth), (elevations, elevation)):
                values.append(value)
        if len(set(owner)) < 2:
            raise DataError(
                "a library of poses needs two splats or more",
                got=len(set(owner)),
                likely="no train frame has a good fit",
            )
        mean = (total / len(owner)).astype(np.float32)
        part = np.stack([_read_block(stream, row, 1)[0] for row in spread(len(owner), BASIS_VIEWS)]) - mean
        basis = np.linalg.svd(part, full_matrices=False)[2][:COMPONENTS].T.astype(np.float32)
        codes = np.empty((len(owner), basis.shape[1]), np.float32)
        for first in range(0, len(owner), BLOCK):
            codes[first : first + BLOCK] = (_read_block(stream, first, BLOCK) - mean) @ basis
    angles = (np.frombuffer(values, np.float32) for values in (azimuths, elevations))
    owners = np.frombuffer(owner, np.int32)
    return Library(
        Path(folder), tuple(poses), codes, owners, *angles, mean, basis, _usual_distances(codes, owners), size
    )


def _read_block(stream: BinaryIO, first: int, count: int) -> np.ndarray:
    """[at most count, LENGTH] descriptors of a file of them, from number `first` on."""
    stream.seek(4 * LENGTH * int(first))
    return np.frombuffer(stream.read(4 * LENGTH * count), np.float32).reshape(-1, LENGTH)


def _usual_distances(codes: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """[101] percentiles of the distance from probe views to the nearest view of another splat."""
    probes = spread(len(codes), PROBES)
    nearest = []
    for probe in probes:
        least = np.inf
        for first in range(0, len(codes), BLOCK):
            part = slice(first, first + BLOCK)
            squares = np.square(codes[part] - codes[probe]).sum(1)
            least = squares[owner[part] != owner[probe]].min(initial=least)
        nearest.append(np.sqrt(least))
    return np.percentile(nearest, np.arange(101)).astype(np.float32)
