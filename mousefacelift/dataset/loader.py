"""From manifest rows to tensors, as the FaceLift loader defines them.

    sample = load_sample(manifest, draw, config)      dict of tensors of one draw of the mixture sampler
    sample = load_views(folder, views, image_size, background)   the same for chosen views, nothing random
    loader = make_loader(manifest, sampler, config, workers=2, start_step=0)     batches in step order

Images [V, C, H, W] float32 in [0, 1] over `bg_color` (straight alpha kept as fourth channel), inputs first, then
targets; c2w [V, 4, 4], fxfycxcy [V, 4] in pixels of the loaded image, index [V, 2] (view, sample), bg_color [3].
Cameras are never normalised here. Bytes come from sample folders or from packed shards (`loader.store`); the tensors
are the same. A file that is missing or differs from the manifest is an error that names it; nothing is substituted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import decode_rgba8
from mousefacelift.core.samples import read_document, view_hash
from mousefacelift.dataset.augment import distort_grid, jitter_cameras, jitter_colours, mirror_cameras, yaw_world
from mousefacelift.dataset.config import AugmentConfig, LoaderConfig
from mousefacelift.dataset.manifest import Manifest
from mousefacelift.dataset.mixture import Draw, MixtureSampler
from mousefacelift.dataset.pixels import blend, resize_lanczos
from mousefacelift.dataset.selection import background_colour, choose_views
from mousefacelift.dataset.store import open_store
from mousefacelift.errors import DataError


def load_sample(
    manifest: Manifest, draw: Draw, config: LoaderConfig, *, augment: bool = True, distortion: bool = False
) -> dict[str, torch.Tensor]:
    """The tensors of one draw; a pure function of its arguments and of the files.

    Args:
        draw: row, number of inputs and seed (`MixtureSampler.draw`, or `Draw(0, 0, row, source, seed, inputs)`).
        augment: yaw, mirror and colour jitter of `config.augment`.
        distortion: grid distortion and camera jitter of the input views, in `input_image` and `input_c2w`.
    Returns:
        image [V, C, H, W], c2w [V, 4, 4], fxfycxcy [V, 4], index [V, 2] (view, row), bg_color [3]; V = inputs +
        targets, the inputs first. `input_image` [I, C, H, W] and `input_c2w` [I, 4, 4] are what the network should be
        shown: equal to the first views unless `distortion`. `unseen` [T] bool: targets that are not inputs. `row`,
            `source` as numbers and word.
    Raises:
        DataError: too few usable views, a missing or changed file, another image size than its camera's.
        CameraError: a camera that is not one.
    """
    rng = np.random.default_rng(draw.seed)
    views = manifest.views_of(draw.row)
    inputs, targets = choose_views(views, draw.inputs, config, rng, where=lambda: str(manifest.folder_of(draw.row)))
    chosen = np.concatenate([inputs, targets])
    unique, inverse = np.unique(chosen, return_inverse=True)
    rgba, w2c, fxfycxcy = _read_rows(manifest, views, unique, config)
    background = background_colour(config.background, rng)
    if augment:
        rgba, w2c, fxfycxcy = _augment(rgba, w2c, fxfycxcy, config.augment, rng)
    result = to_tensors(rgba, w2c, fxfycxcy, background, config.keep_alpha)
    result = {key: value[inverse] for key, value in result.items()}
    count = len(inputs)
    result |= {"input_image": result["image"][:count], "input_c2w": result["c2w"][:count]}
    if distortion:
        result |= distort_inputs(rgba[inverse[:count]], w2c[inverse[:count]], background, config, rng)
    index = torch.stack([torch.as_tensor(chosen), torch.full((len(chosen),), draw.row)], 1)
    return result | {
        "index": index,
        "bg_color": torch.as_tensor(background, dtype=torch.float32),
        "unseen": torch.as_tensor(~np.isin(targets, inputs)),
        "row": draw.row,
        "source": draw.source,
    }


def load_views(
    folder: str | Path,
    views: Sequence[int] | None = None,
    image_size: int = 512,
    background=(1.0, 1.0, 1.0),
    keep_alpha: bool = True,
) -> dict[str, torch.Tensor]:
    """Chosen views (all by default, in file order) of a sample folder exactly as the published loader gives them.

    Args:
        background: [3] colour in [0, 1]; it is used in 8 bits under the image and returned as given.
    Returns:
        image [V, C, H, W], c2w [V, 4, 4], fxfycxcy [V, 4], index [V, 2] (view, 0), bg_color [3].
    """
    frames = read_document(folder)["frames"]
    chosen = list(range(len(frames))) if views is None else list(views)
    if not chosen or max(chosen) >= len(frames):
        raise DataError(f"sample {folder} has fewer views than asked for", got=len(frames), expected=f"views {chosen}")
    paths = [Path(folder) / frames[i]["file_path"] for i in chosen]
    rgba, w2c, fxfycxcy = _stack(
        [_decode(_read_file(path), str(path), frames[i], image_size) for path, i in zip(paths, chosen)]
    )
    result = to_tensors(rgba, w2c, fxfycxcy, np.asarray(background, np.float64), keep_alpha)
    index = torch.tensor([[view, 0] for view in chosen])
    return result | {"index": index, "bg_color": torch.as_tensor(np.asarray(background), dtype=torch.float32)}


class SampleDataset(Dataset):
    """`load_sample` of the draws that a `MixtureSampler` hands out, for `torch.utils.data.DataLoader`."""

    def __init__(
        self, manifest: Manifest, config: LoaderConfig, *, augment: bool = True, distortion: bool = False
    ) -> None:
        self.manifest, self.config, self.augment, self.distortion = manifest, config, augment, distortion

    def __getitem__(self, draw: Draw) -> dict[str, torch.Tensor]:
        return load_sample(self.manifest, draw, self.config, augment=self.augment, distortion=self.distortion)


def collate(samples: list[dict]) -> dict:
    """Batch of samples: tensors stacked, `row` a tensor [B], `source` a list of words."""
    batch = {
        key: torch.stack([sample[key] for sample in samples])
        for key in samples[0]
        if isinstance(samples[0][key], torch.Tensor)
    }
    return batch | {
        "row": torch.tensor([sample["row"] for sample in samples]),
        "source": [sample["source"] for sample in samples],
    }


def make_loader(
    manifest: Manifest, sampler: MixtureSampler, config: LoaderConfig, *, workers: int = 0, start_step: int = 0
) -> DataLoader:
    """Batches of this process in step order from `start_step`; resuming at a step gives what an uninterrupted run
    gives."""
    dataset = SampleDataset(manifest, config, distortion=sampler.arm.distortion or config.augment.distort_inputs)
    return DataLoader(
        dataset,
        batch_sampler=sampler.from_step(start_step),
        collate_fn=collate,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
    )


def _read_rows(manifest: Manifest, views, chosen: np.ndarray, config: LoaderConfig):
    """rgba [V, H, W, 4] uint8, w2c [V, 4, 4], fxfycxcy [V, 4] of chosen view rows, checked against the manifest."""
    store, loaded = open_store(manifest, config.store), []
    for position in chosen:
        row, index = int(views.owner[position]), int(views.index[position])
        frames = store.frames(row)
        if index >= len(frames) or frames[index]["file_path"] != views.file[position]:
            raise DataError(
                f"sample {manifest.folder_of(row)} is not the one that the manifest lists",
                got=f"{len(frames)} views",
                expected=f"view {index} in {views.file[position]}",
                hint="mousefacelift dataset build and verify",
            )
        frame = frames[index]
        data, where = store.image(row, index, frame), store.where(row, frame)
        if config.check_hashes:
            _check_hash(data, frame, views.hash[position], where)
        loaded.append(_decode(data, where, frame, config.image_size))
    return _stack(loaded)


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"image {path} cannot be read", got=str(error), hint="rerun the stage that made the sample"
        ) from error


def _check_hash(data: bytes, frame: dict, expected: str, where: str) -> None:
    found = view_hash(data, frame)
    if found != expected:
        raise DataError(
            f"image {where} or its camera is not what the manifest lists",
            got=found,
            expected=expected,
            likely="changed after the build",
            hint="mousefacelift dataset verify",
        )


def _decode(data: bytes, where: str, frame: dict, size: int):
    """(rgba [size, size, 4] uint8, w2c [4, 4], fxfycxcy [4]) of one image file and its frame."""
    camera = Camera.from_frame(frame)
    rgba = decode_rgba8(data, where)
    height, width = rgba.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise DataError(
            f"image {where} and its camera differ in size",
            got=f"{width}x{height}",
            expected=f"{camera.width}x{camera.height}",
        )
    if width != height:
        raise DataError(
            f"image {where} is not square", got=f"{width}x{height}", hint="normalise or crop it with its camera"
        )
    fxfycxcy = camera.fxfycxcy * (size / width)
    return resize_lanczos(rgba, size) if size != width else rgba, camera.w2c, fxfycxcy


def _stack(loaded):
    return tuple(np.stack(parts) for parts in zip(*loaded))


def to_tensors(
    rgba: np.ndarray, w2c: np.ndarray, fxfycxcy: np.ndarray, background: np.ndarray, keep_alpha: bool
) -> dict:
    """Image over the background, c2w and fxfycxcy of views: rgba [V, H, W, 4] uint8 or float, w2c [V, 4, 4]."""
    if rgba.dtype == np.uint8:
        image = blend(rgba, background, keep_alpha).astype(np.float32) / np.float32(255.0)
    else:
        alpha = rgba[..., 3:]
        image = rgba[..., :3] * alpha + background.astype(np.float32) * (1 - alpha)
        image = np.concatenate([image, alpha], -1) if keep_alpha else image
    c2w = np.linalg.inv(w2c).astype(np.float32)
    return {
        "image": torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2))),
        "c2w": torch.from_numpy(c2w),
        "fxfycxcy": torch.from_numpy(fxfycxcy.astype(np.float32)),
    }


def _augment(rgba, w2c, fxfycxcy, config: AugmentConfig, rng: np.random.Generator):
    """Images and cameras of a whole sample after one draw of every consistent augmentation."""
    mirrored, angle = rng.random() < config.mirror, rng.uniform(0, 360)
    factors = [1 + rng.uniform(-1, 1) * limit for limit in (config.brightness, config.contrast, config.saturation)]
    if mirrored:
        w2c, fxfycxcy = mirror_cameras(w2c, fxfycxcy, rgba.shape[2])
        rgba = rgba[:, :, ::-1]
    if config.yaw:
        w2c = yaw_world(w2c, angle)
    if any(factor != 1 for factor in factors):
        rgba = rgba.astype(np.float32) / np.float32(255.0)
        rgba = np.concatenate([jitter_colours(rgba[..., :3], *factors), rgba[..., 3:]], -1)
    return rgba, w2c, fxfycxcy


def distort_inputs(rgba, w2c, background, config: LoaderConfig, rng: np.random.Generator) -> dict:
    """What the network is shown in place of the true inputs: moved pixels and swung cameras, targets untouched.

    As published with LGM: pixels and cameras each in half of the samples, the first view never.
    """
    if rgba.dtype == np.uint8:
        rgba = rgba.astype(np.float32) / np.float32(255.0)
    limits, others = config.augment, len(rgba) - 1
    moves, swings = rng.random(2) < 0.5
    knots = rng.random((others, 2, rng.integers(8, 17)))
    turns = rng.random((others, 2))
    if moves and others:
        premultiplied = np.concatenate([rgba[1:, ..., :3] * rgba[1:, ..., 3:], rgba[1:, ..., 3:]], -1)
        moved = distort_grid(premultiplied, knots, limits.grid_distortion)
        alpha = moved[..., 3:]
        straight = np.where(alpha > 1e-4, moved[..., :3] / np.maximum(alpha, 1e-4), 0)
        rgba = np.concatenate([rgba[:1], np.concatenate([straight, alpha], -1).clip(0, 1)]).astype(np.float32)
    if swings and others:
        w2c = np.concatenate([w2c[:1], jitter_cameras(w2c[1:], turns, limits.camera_jitter)])
    tensors = to_tensors(rgba, w2c, np.ones((len(rgba), 4)), background, config.keep_alpha)
    return {"input_image": tensors["image"], "input_c2w": tensors["c2w"]}
