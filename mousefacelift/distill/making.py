"""What a generator is made from and judged by, whatever its kind: photos, the training loop, validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from mousefacelift.core.cameras import Camera
from mousefacelift.core.images import composite, contact_sheet, write_png
from mousefacelift.distill.config import GeneratorConfig
from mousefacelift.distill.generators.protocol import change_camera
from mousefacelift.distill.photos import FrameStore
from mousefacelift.distill.train import train, write_losses
from mousefacelift.distill.validate import validate

SHOWN_FRAMES = 6  # rows of validation.png at most


@dataclass(frozen=True)
class Making:
    """One generator in the making.

    Args:
        photos: of train frames. held: of validation frames.
        out: the folder that it is written to.
        library: folder of the library of poses, for nearest.
    """

    photos: FrameStore
    held: FrameStore
    out: Path
    config: GeneratorConfig
    seed: int
    library: Path | None = None

    @property
    def checkpoint(self) -> Path:
        """Where a training that was interrupted goes on from."""
        return self.out.parent / f".{self.out.name}.checkpoint.pt"

    def train(self, module: nn.Module, loss: Callable[[nn.Module, int], Tensor], key: str) -> dict:
        """Train `module` in place and write losses.csv; the numbers of it that are reported.

        Args:
            loss: (module, number of the batch) -> scalar; the same number gives the same batch.
            key: of all that decides the result; a checkpoint of another key is not used.
        """

        def batch_loss(module: nn.Module, step: int, process: int) -> Tensor:
            return loss(module, step * 64 + process)

        state = train(module, batch_loss, self.config.training, self.checkpoint, key)
        write_losses(self.out / "losses.csv", state, self.config.training)
        return {
            "updates": state.step,
            "skipped": state.skipped,
            "elapsed_s": state.elapsed_s,
            "train_frames": len(self.photos),
        }

    def judge(self, generator, own_camera: Callable[[Camera], Camera] | None = None) -> dict:
        """Validation of a generator on the held frames; without `own_camera` its own decides, and validation.png is
        drawn."""
        report = validate(
            lambda photo, cameras: generator.generate_at([photo], [cameras], [self.seed])[0],
            own_camera or generator.own_camera,
            self.photos,
            self.held,
        )
        if own_camera is None:
            self._draw(generator)
        return report

    def _draw(self, generator) -> None:
        """Rows of input, generated real angles, and the photos there; one row per frame."""
        images, columns = [], 0
        for index in range(min(SHOWN_FRAMES, len(self.held))):
            views = self.held.views(index)
            photo, others = views[0], views[1:]
            made = generator.generate_at([photo], [[v.camera for v in others]], [self.seed])[0]
            truth = [change_camera(v.rgba, v.camera, generator.own_camera(v.camera)) for v in views]
            row = [truth[0], *(view.rgba for view in made), *truth[1:]]
            images, columns = images + [composite(rgba) for rgba in row], len(row)
        write_png(self.out / "validation.png", contact_sheet(images, columns))
