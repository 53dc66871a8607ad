"""Which camera filmed an imported view: what the file says, or else the name of its image."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePath

from mousefacelift.core.samples import Sample, View
from mousefacelift.errors import DataError


def name_view(view: View, file: str) -> View:
    """`view` with the name of its image file as that of its camera, unless it says already which camera it is."""
    if view.facts.camera is not None or view.facts.camera_name:
        return view
    return replace(view, facts=replace(view.facts, camera_name=PurePath(file).stem))


def number_cameras(sample: Sample, where: str) -> Sample:
    """`sample` of photos with the number of every view's camera: the last number in its name where none is given.

    The order of the views says nothing: files of one rig may list its cameras in any order, or not all of them.

    Raises:
        DataError: a view whose camera has no number, or a number that two views share.
    """
    views = tuple(_number(view, where) for view in sample.views)
    numbers = [view.facts.camera for view in views]
    if len(set(numbers)) < len(numbers):
        raise DataError(
            f"two views of {where} are of one camera",
            got=f"cameras {numbers}",
            likely="the last number in the images' names is not the camera's",
            hint="name the images after their cameras: cam_0.png, cam_1.png ...",
        )
    return replace(sample, views=views)


def _number(view: View, where: str) -> View:
    if view.facts.camera is not None:
        return view
    digits = re.findall(r"\d+", view.facts.camera_name)
    if not digits:
        raise DataError(
            f"a photo of {where} does not say which camera took it",
            got=f"camera '{view.facts.camera_name}'",
            expected="a number in the name of the image or camera",
            hint="name the images after their cameras: cam_0.png, cam_1.png ...",
        )
    return replace(view, facts=replace(view.facts, camera=int(digits[-1])))
