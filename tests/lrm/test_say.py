"""What a run says it will draw, and where it does with less than it is asked for."""

import dataclasses

from mousefacelift.dataset.config import LoaderConfig
from mousefacelift.lrm.run import prepare
from mousefacelift.lrm.say import describe_plan


def test_a_run_says_where_it_does_with_less_than_it_is_asked_for(request_for, capsys):
    loader = LoaderConfig(image_size=32, inputs=(3, 8))
    run = prepare(dataclasses.replace(request_for(validation_frames=500), loader=loader))
    said = capsys.readouterr().err
    assert "too few views for 8 inputs (loader.inputs) and 1 unseen; a step with the poorest of them shows 4" in said
    assert f"{len(run.validation.image)} samples of source real are judged at a validation" in said
    assert "too few views for 8 inputs" in describe_plan(run.sampler)
    prepare(dataclasses.replace(request_for(), loader=dataclasses.replace(loader, inputs=(3, 4))))
    assert "too few views" not in capsys.readouterr().err
