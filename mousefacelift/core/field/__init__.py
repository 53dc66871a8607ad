"""Radiance fields on voxel grids behind one seam: `march(field, rays)` for gradients, `render_field` for pictures."""

from mousefacelift.core.field.container import EMPTY, Field, empty_values
from mousefacelift.core.field.rays import Rays, pixel_rays
from mousefacelift.core.field.seam import Seen, march, render_field

__all__ = ["EMPTY", "Field", "Rays", "Seen", "empty_values", "march", "pixel_rays", "render_field"]
