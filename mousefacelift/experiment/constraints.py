"""The levels of the factor `constraint`: what the network may do, what it is charged for, and on which background."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mousefacelift.experiment.config import TrainingConfig
from mousefacelift.lrm.config import LossConfig
from mousefacelift.lrm.model_config import PRESETS, ModelConfig

PUBLISHED_LOSS = LossConfig(l2=1.0, foreground_share=None, alpha=0.0, ssim=0.0)  # its VGG term needs weights


@dataclass(frozen=True)
class Constraint:
    """A preset of the network, its loss, and the background of pictures and renders."""

    preset: str
    loss: LossConfig
    background: str

    def sizes(self, config: TrainingConfig, image_size: int) -> ModelConfig:
        """The preset at the experiment's width, depth and picture size."""
        return replace(
            PRESETS[self.preset],
            image_size=image_size,
            dim=config.dim,
            head_dim=config.head_dim,
            layers=config.layers,
        )


# small: alpha as input, depth within the hull of the silhouettes. small_plain: the published contract.
# small_plain_bounded: BEAST3D's remedy, points within the input frusta, a random background per step, alpha against the
# mask. small_plain_balanced: the published network under the loss of `small`, to tell the loss from the network.
# small_ranked: `small` with a charge on needles.
LEVELS = {
    "small": Constraint("small", LossConfig(), "random"),
    "small_plain": Constraint("small_plain", PUBLISHED_LOSS, "white"),
    "small_plain_bounded": Constraint("small_plain_bounded", replace(PUBLISHED_LOSS, alpha=1.0), "random"),
    "small_ranked": Constraint("small", LossConfig(rank=0.02), "random"),
    "small_plain_balanced": Constraint("small_plain", LossConfig(), "white"),
}
