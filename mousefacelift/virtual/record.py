"""Stage capture: film the virtual animal and write the recording as labs have it on disk, with its truth beside it.

Writes videos_undist/ simpleclick_undist/ new_cam.pkl and videos/ masks/ label3d_dannce.mat, truth/, and last
recording.json.
Command: `mousefacelift virtual record --recording NAME --out DIR`.
"""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mousefacelift.capture.readers import dannce_mat, mammal_pickle
from mousefacelift.core.files import json_text, write_text
from mousefacelift.core.video import write_mp4
from mousefacelift.errors import DataError
from mousefacelift.formats.raw_camera import RawCamera
from mousefacelift.virtual import arena, degrade
from mousefacelift.virtual.config import VirtualConfig
from mousefacelift.virtual.disturb import disturb
from mousefacelift.virtual.painter import Scene, paint
from mousefacelift.virtual.rig import Lens
from mousefacelift.virtual.stage import Stage, build_stage, mix_seed
from mousefacelift.virtual.truth import TruthWriter

_FOLDERS = {"undistorted": ("videos_undist", "simpleclick_undist"), "distorted": ("videos", "masks")}


def write_recording(
    folder: str | Path, name: str, config: VirtualConfig, seed: int, workers: int | None = None
) -> Path:
    """Make the recording `name` in `folder` and return the folder; recording.json is written last.

    The same configuration, name and seed give the same videos bit for bit, whatever `workers` is.

    Raises:
        ConfigError: see `build_stage`.
        DataError: the folder holds something that no virtual recording is.
    """
    folder = Path(folder)
    stage = build_stage(config, name, seed)
    _refuse_foreign(folder)
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    (folder / "recording.json").unlink(missing_ok=True)
    variants = [v for v in _FOLDERS if config.variants in (v, "both")]
    written = {v: _written_lenses(stage, v) for v in variants}
    shots = [_Shot(folder, stage, v, c) for v in variants for c in range(config.cameras)]
    truth = TruthWriter(folder / "truth", stage)
    try:
        _film(stage, shots, truth, workers or len(os.sched_getaffinity(0)))
    except BaseException:
        for shot in shots:
            shot.abort()
        raise
    for shot in shots:
        shot.close()
    truth.close(written)
    _write_calibration(folder, written)
    _write_summary(folder, stage, variants)
    return folder


def _refuse_foreign(folder: Path) -> None:
    """A filmed recording has the same file names; only `truth/`, made first, tells a virtual one."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "truth").is_dir():
        raise DataError(
            f"folder {folder} holds files that no virtual recording wrote, and its videos would be replaced",
            got=", ".join(sorted(path.name for path in folder.iterdir())[:5]),
            expected="a new folder, or an earlier virtual recording",
            hint="give --out a folder of its own",
        )


def _lenses(stage: Stage, variant: str) -> list[Lens]:
    return stage.undistorted if variant == "undistorted" else stage.distorted


def _written_lenses(stage: Stage, variant: str) -> list[Lens]:
    """The lenses as the calibration file states them."""
    lenses, spoil = _lenses(stage, variant), stage.config.degradations
    if spoil.distorted_matrix and variant == "undistorted":
        lenses = degrade.with_matrix_of(lenses, stage.distorted)
    return degrade.spoil_calibration(lenses, spoil, mix_seed(stage.name, stage.seed))


def _film(stage: Stage, shots: list[_Shot], truth: TruthWriter, workers: int) -> None:
    """Frame by frame: pose and light once, then every camera of every variant in parallel."""
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(_Shot.prepare, shots))
        running = []
        for frame in tqdm(range(stage.config.frames), desc=f"filming {stage.name}", unit="frame"):
            pose = stage.pose(frame)
            vertices = stage.vertices(pose)
            truth.add(frame, vertices, pose)
            scene = stage.scene(vertices)
            for future in running:
                future.result()
            running = [pool.submit(shot.take, scene, frame) for shot in shots]
        for future in running:
            future.result()


class _Shot:
    """One camera of one variant: paints frames in order and feeds its colour and mask videos."""

    def __init__(self, folder: Path, stage: Stage, variant: str, camera: int) -> None:
        self._stage, self._variant, self._camera = stage, variant, camera
        self._lens = _lenses(stage, variant)[camera]
        config, spoil = stage.config, stage.config.degradations
        seed = mix_seed(stage.name, stage.seed)
        self._seed = [seed, 53, camera, variant == "distorted"]
        self._mask_change = float(degrade.mask_changes(spoil, config.cameras, config.width, seed)[camera])
        self._offset = degrade.colour_offset(camera, spoil.colour_offset, seed)
        drops = spoil.dropped_frame_camera == camera and config.frames > 2
        self._dropped = config.frames // 2 if drops else -1
        videos, masks = (folder / sub / f"{camera}.mp4" for sub in _FOLDERS[variant])
        self._colour = _VideoSink(videos, config.fps, config.video_crf)
        self._mask = _VideoSink(masks, config.fps, spoil.mask_crf)

    def prepare(self) -> None:
        """Draw the empty arena once."""
        self._backdrop = arena.make_backdrop(self._lens)

    def take(self, scene: Scene, frame: int) -> None:
        """Film one frame."""
        if frame == self._dropped:
            return
        config = self._stage.config
        patch, (x, y) = paint(scene, self._lens, config.supersample)
        image = arena.cast_shadow(self._backdrop, scene.lighting)
        window = image[y : y + patch.shape[0], x : x + patch.shape[1]]
        window *= 1 - patch[..., 3:]
        window += patch[..., :3]
        alpha = np.zeros(image.shape[:2], np.float32)
        alpha[y : y + patch.shape[0], x : x + patch.shape[1]] = patch[..., 3]
        body = (scene.vertices, scene.mesh.faces)
        image, alpha = disturb(image, alpha, body, self._lens, self._camera, config.degradations)
        alpha = degrade.change_mask(alpha, self._mask_change)
        gain = degrade.gain_at(frame / config.fps, self._camera, config.degradations.exposure_drift)
        rng = np.random.Generator(np.random.SFC64([*self._seed, frame]))
        self._colour.put(degrade.sense(image, gain, config.noise, rng, self._offset))
        self._mask.put(np.repeat(np.round(alpha * 255).astype(np.uint8)[..., None], 3, -1))

    def close(self) -> None:
        """Finish both videos."""
        self._colour.close()
        self._mask.close()

    def abort(self) -> None:
        """Give both videos up; nothing of them stays."""
        self._colour.abort()
        self._mask.abort()


class _VideoSink:
    """A video that is fed frame by frame; encoding runs in its own thread."""

    def __init__(self, path: Path, fps: float, crf: int) -> None:
        self._queue: queue.Queue = queue.Queue(maxsize=4)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._encode, args=(path, fps, crf), daemon=True)
        self._thread.start()

    def _frames(self):
        while True:
            frame = self._queue.get()
            if frame is None:
                return
            if isinstance(frame, BaseException):
                raise frame
            yield frame

    def _encode(self, path: Path, fps: float, crf: int) -> None:
        try:
            write_mp4(path, self._frames(), fps, crf=crf)
        except BaseException as error:  # handed to the filming thread by put() and close()
            self._error = error

    def put(self, frame) -> None:
        """Queue one frame, or None for the end; raises what stopped the encoder."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                return self._queue.put(frame, timeout=0.5)
            except queue.Full:
                continue

    def close(self) -> None:
        """Wait for the encoder to finish the file."""
        self.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Stop the encoder; write_mp4 removes its unfinished file."""
        while self._thread.is_alive():
            try:
                self._queue.put(InterruptedError("filming was given up"), timeout=0.2)
            except queue.Full:
                continue
            self._thread.join(timeout=5.0)


def _write_calibration(folder: Path, written: dict[str, list[Lens]]) -> None:
    """Both calibration files, each in its own convention (MAMMAL 0-based; DANNCE transposed and 1-based)."""
    files = {"undistorted": ("new_cam.pkl", mammal_pickle), "distorted": ("label3d_dannce.mat", dannce_mat)}
    for variant, lenses in written.items():
        cameras = [raw_camera(lens, f"Camera{i + 1}") for i, lens in enumerate(lenses)]
        file, writer = files[variant]
        writer.write(folder / file, cameras)


def raw_camera(lens: Lens, name: str) -> RawCamera:
    """A lens as the capture readers hold cameras."""
    fx, fy, cx, cy, skew = lens.intrinsics
    K = np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1.0]])
    return RawCamera(name, K, lens.rotation, lens.translation, lens.distortion, unit=1.0)


def _write_summary(folder: Path, stage: Stage, variants: list[str]) -> None:
    summary = {
        "recording": stage.name,
        "kind": "virtual",
        "seed": stage.seed,
        "fps": stage.config.fps,
        "frames": stage.config.frames,
        "width": stage.config.width,
        "height": stage.config.height,
        "cameras": stage.config.cameras,
        "variants": variants,
        "animal": asdict(stage.animal),
        "licence": "made by mousefacelift; camera calibration from DANNCE (MIT)",
        "config": asdict(stage.config),
    }
    write_text(folder / "recording.json", json_text(summary, indent=1) + "\n")
