"""The one change that turns a stock UNet into the published multi-view UNet: who may attend to whom."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SparseViewAttention:
    """Attention processor of every attn1: a view attends to view 0 of its object and to itself.

    Rows are object-major and view-minor (row b * V + v). Keys and values of a row are those of row b * V followed by
    its own; for view 0 they are its own twice, which is ordinary self-attention.
    """

    def __init__(self, views: int) -> None:
        self.views = views

    def __call__(
        self,
        attn,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **_: object,
    ) -> Tensor:
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError("the sparse view rule is for spatial self-attention without a mask")
        query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)  # [B*V, L, C]
        key, value = self._with_first(key), self._with_first(value)  # [B*V, 2L, C]
        query, key, value = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (query, key, value))
        read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](read))

    def _with_first(self, x: Tensor) -> Tensor:
        by_object = x.unflatten(0, (-1, self.views))
        return torch.cat([by_object[:, :1].expand_as(by_object), by_object], 2).flatten(0, 1)


class DenseViewAttention(SparseViewAttention):
    """Every view attends to all views: what the published code computes by accident without xformers. Never used but to
    prove that the published rule is another network."""

    def _with_first(self, x: Tensor) -> Tensor:
        by_object = x.unflatten(0, (-1, self.views))
        every = by_object.flatten(1, 2)[:, None]
        return every.expand(-1, self.views, -1, -1).flatten(0, 1)


def set_view_attention(unet: nn.Module, processor: Callable) -> int:
    """Put `processor` into every attn1 of a stock UNet (a class: one instance each); returns how many there were."""
    count = 0
    for name, module in unet.named_modules():
        if name.endswith("attn1"):
            module.set_processor(processor() if isinstance(processor, type) else processor)
            count += 1
    return count
