"""What a configuration asks for and will not get as it asks, said when the Snakefile is read: nothing here is refused,
for the same file may serve another recording. Nothing here imports numpy or torch (but see `planning.rig_cameras`)."""

from __future__ import annotations

from collections.abc import Iterator

from mousefacelift.planning import rig_cameras

BACKENDS = {"unet_weights": "unet", "sam2_weights": "sam2"}  # key of capture -> the mask backend that reads it


def notes(config: dict) -> list[str]:
    """A sentence for each value that is lowered, or that nothing reads."""
    return [*_of_training(config), *_of_masks(config), *_of_frames(config), *_of_cameras(config)]


def _of_training(config: dict) -> Iterator[str]:
    train, loss = config["train"], config["train"]["loss"]
    steps, warm = train["steps"], train["optimizer"]["warmup_steps"]
    if warm > max(steps - 1, 1):
        yield f"train.optimizer.warmup_steps is {warm} in a run of {steps} steps: the rate rises to the end of the run"
    late = [name for name in ("perceptual", "lpips") if loss[name] > 0 and loss["warmup_steps"] >= steps]
    if late:
        yield (
            f"train.loss.{' and '.join(late)} would join after {loss['warmup_steps']} steps (train.loss.warmup_steps), "
            f"and the run has {steps}: not used"
        )


def _of_masks(config: dict) -> Iterator[str]:
    capture = config["capture"]
    for key, backend in BACKENDS.items():
        if capture[key] and capture["mask_backend"] != backend:
            yield f"capture.{key} is not read: capture.mask_backend is {capture['mask_backend']}, not {backend}"


def _of_frames(config: dict) -> Iterator[str]:
    for name, recording in config["recordings"].items():
        frames = range(*recording["frames"])
        for key in ("include", "exclude", "cuts"):
            outside = [frame for frame in recording[key] if not frames.start <= frame < frames.stop]
            if outside:
                yield (
                    f"recordings.{name}.{key} names frames outside of recordings.{name}.frames, "
                    f"{frames.start} to {frames.stop - 1}: {', '.join(map(str, outside[:5]))}"
                    + (f" and {len(outside) - 5} more" if len(outside) > 5 else "")
                )


def _of_cameras(config: dict) -> Iterator[str]:
    held_out, loader = config["dataset"]["splits"]["held_out_camera"], config["loader"]
    views, most = config["splats"]["fit"]["optimise"]["views"], loader["inputs"][1]
    for name, recording in config["recordings"].items():
        cameras = rig_cameras(config, name, recording)
        if cameras is None:
            continue
        seen = len(cameras) - (held_out is not None)
        which = f"of recording '{name}', {len(cameras)} cameras" + ("" if held_out is None else ", one held out")
        shown = seen - loader["unseen_targets"]
        if most > shown:
            yield (
                f"loader.inputs allows {most} input views: a step with photos {which}, shows {shown} at most "
                f"(loader.unseen_targets {loader['unseen_targets']})"
            )
        if views > seen:
            yield f"splats.fit.optimise.views is {views}: a step of a fit {which}, compares all {seen}"
        for key, asked, kept, count in (
            ("capture.locate.tolerance", config["capture"]["locate"]["tolerance"], 3, len(cameras)),
            ("splats.fit.hull.tolerance", config["splats"]["fit"]["hull"]["tolerance"], 2, seen),
        ):
            if asked > max(0, count - kept):
                yield f"{key} is {asked}: {which}, {max(0, count - kept)} may disagree, for {kept} must agree"
