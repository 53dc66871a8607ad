"""A small results folder with a decision and splats, as the stages write them."""

import json

import torch

from mousefacelift.core.gaussians import Gaussians
from mousefacelift.core.images import encode_png
from mousefacelift.core.splat_files import write_ply

DETECTORS = {
    "skill_over_mean": 6.0,
    "variance_ratio": 0.8,
    "retrieval_at_1": 1.0,
    "retrieval_chance": 0.1,
    "coverage": 1.05,
    "view_copy": -8.0,
    "input_swap": 3.0,
}


def numbers(mean):
    return {"mean": mean, "low": mean - 0.5, "high": mean + 0.5, "worst": mean - 2, "n": 10, "n_eff": 2.5}


def row(name, psnr, is_model=False, collapse=()):
    scores = {key: numbers(psnr) for key in ("full_psnr", "fg_psnr", "fg_ssim")}
    scores |= {"iou": numbers(psnr / 40), "coverage": numbers(1.1)}
    detectors = DETECTORS if is_model else {}
    return scores | {
        "name": name,
        "is_model": is_model,
        "collapse": list(collapse),
        "judged": is_model,
        "detectors": detectors,
    }


def cell(low, high, pose, iou):
    text = {"from": low, "to": high, "pose": pose, "iou": iou, "full_psnr": 25.0, "mean_iou": 0.5}
    return text | {"gain": 2.0, "low": 1.0, "high": 3.0, "views": 9, "moments": 3, "trusted": iou > 0.5}


def write_decision(results, collapse=()):
    """decision.json of two arms and of protocol S."""
    cells = [cell(0, 15, "rearing", 0.9), cell(45, 75, "rearing", 0.7), cell(45, 75, "curled up", 0.4)]
    worst = [{"recording": "m", "frame": 3, "camera": 5, "iou": 0.4, "full_psnr": 20.0, "fg_psnr": 12.0}]
    worst[0] |= {"coverage": 1.2, "angle": 61.0, "stretch": 1.4, "pitch": 50.0, "rungs": {"mean_image": 0.41}}
    models = [row("80-20", 28.0, True, collapse), row("real-only", 26.0, True)]
    several = {"protocol": "C", "best": "80-20", "given": 4, "rows": [*models, row("mean_image", 21.0)]}
    several |= {"trust": cells, "worst": worst}
    one = {"bed": "frames", "collapse": [], "trust": cells, "worst": worst, "answer": "yes", "text": "t"}
    one["rows"] = [{**row("model", 25.0), "is_model": None}, row("nearest", 23.0)]
    for entry in one["rows"]:
        del entry["is_model"]
    verdict = {"answer": "yes", "use": "GS-LRM 80-20 <b>", "because": "it is better", "sure": "gain 4.8 to 5.9 dB"}
    verdict |= {"doubt": "other animals: one was filmed"}
    verdict["text"] = "With this recording, use it."
    folder = results / "decide"
    folder.mkdir(parents=True)
    (folder / "decision.json").write_text(json.dumps({"verdict": verdict, "several": several, "one": one}))
    (folder / "worst_several.png").write_bytes(encode_png(torch.rand(20, 80, 3).numpy()))


def ball(count=400, color=(0.8, 0.1, 0.1), seed=0):
    """A solid ball of radius 0.5 about the origin, its upper half blue."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    colors = torch.tensor(color).repeat(count, 1)
    colors[direction[:, 2] > 0] = torch.tensor([0.1, 0.1, 0.9])
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=1)
    scales = torch.tensor([0.06, 0.05, 0.03]).repeat(count, 1)
    return Gaussians.from_rgb(0.5 * direction, quats, scales, torch.full((count,), 0.95), colors)


def write_splats(results, frames=(3, 7)):
    """A splat of every frame by an arm, and of the first by protocol S, in another colour."""
    predictions = results / "evaluate/80-20/predictions"
    items = []
    for frame in frames:
        name = f"A-m-{frame:06d}"
        write_ply(predictions / name / "splat.ply", ball(seed=frame))
        place = {"name": name, "kind": "target", "recording": "m", "frame": frame, "inputs": [1, 2, 3]}
        items.append(place)
    (predictions / "index.json").write_text(json.dumps({"key": "k", "header": {}, "items": items}))
    single = results / "predict_single/frames"
    (single / "m-3").mkdir(parents=True)
    ball(color=(0.1, 0.7, 0.1)).save(single / "m-3/model.npz")
    items = [{"name": "m-3", "subject": "m", "frame": frames[0], "knows_camera": True}]
    (single / "index.json").write_text(json.dumps({"key": "k", "header": {}, "items": items}))
