"""The decision as sentences: use ..., because ..., sure to ..., do not trust ...; all from the run's numbers."""

from __future__ import annotations

import math

NAMES = {
    "white": "white",
    "mean_image": "mean image",
    "nearest_input": "nearest given picture",
    "visual_hull": "coloured visual hull",
    "nearest": "nearest filmed pose",
    "others": "GS-LRM from true other views",
    "one_silhouette": "hull of the one silhouette",
}
PLACES = {
    "A": "at new times from cameras that training saw",
    "B": "from the held-out camera at times that training saw",
    "C": "at new times from the held-out camera",
}
BEDS = {
    "frames": "the filmed animal at new times",
    "animals": "virtual animals that it never saw",
    "mammal": "another body model",
}
INDEPENDENT = 5.0  # independent moments below which an interval is called hardly sure
NAMED_CELLS = 4  # places of the trust map that the sentence names; the map shows all


def compose(decision: dict) -> dict[str, str]:
    """{"use", "because", "sure", "doubt", "text", "answer": yes, no or undecided} of the parts of `decide`."""
    several, one = decision["several"], decision["one"]
    if several:
        parts = _from_several(several)
    elif one:
        parts = _from_one(one)
    else:
        parts = {
            "answer": "undecided",
            "use": "nothing yet",
            "because": "no model has been judged",
            "sure": "nothing",
            "doubt": ["any picture that the pipeline shows"],
        }
    doubts = parts["doubt"]
    if several and one:
        doubts = [*doubts, *_doubts_of_one(one)]
    doubt = "; ".join(doubts)
    text = (
        f"With this recording, use {parts['use']}; because {parts['because']}; sure to {parts['sure']}; "
        f"do not trust {doubt}."
    )
    return {key: parts[key] for key in ("answer", "use", "because", "sure")} | {"doubt": doubt, "text": text}


def _from_several(several: dict) -> dict:
    rows = {row["name"]: row for row in several["rows"]}
    best, rung, gain = rows[several["best"]], rows[several["rung"]], several["gain"]["full_psnr"]
    where = PLACES[several["protocol"]]
    score = f"{best['full_psnr']['mean']:.1f} dB and IoU {best['iou']['mean']:.2f} {where}"
    against = f"{NAMES[rung['name']]} with {rung['full_psnr']['mean']:.1f} dB and IoU {rung['iou']['mean']:.2f}"
    if not several["healthy"]:
        answer, use = "no", f"the {NAMES[rung['name']]} and no trained network"
        because = f"{best['name']} reaches {score} but collapses ({', '.join(best['collapse'])}), beside the {against}"
    elif _above(gain):
        answer, use = "yes", f"GS-LRM {best['name']} on {several['given']} pictures of a moment"
        because = f"it reaches {score}, beside the best rung, {against}, and {_collapse(best)}"
    elif gain["mean"] > 0:
        answer, use = "undecided", f"GS-LRM {best['name']} on {several['given']} pictures of a moment, for a trial"
        because = f"it reaches {score}, beside the best rung, {against}, but the difference may be chance"
    else:
        answer, use = "no", f"the {NAMES[rung['name']]} and no trained network"
        because = f"{best['name']} reaches {score}, beside the best rung, {against}"
    return {
        "answer": answer,
        "use": use,
        "because": because,
        "sure": _sure(gain, "that rung", several["animals"]),
        "doubt": _doubts_of_several(several),
    }


def _from_one(one: dict) -> dict:
    model = next(row for row in one["rows"] if row["name"] == "model")
    use = "the one-picture model" if one["answer"] == "yes" else "the nearest filmed pose"
    return {
        "answer": one["answer"],
        "use": f"{use} where a single picture is all there is",
        "because": f"for {BEDS[one['bed']]} the model reaches IoU {model['iou']['mean']:.2f}",
        "sure": _sure(one["gain"]["full_psnr"], "the mean image", 1 if one["bed"] == "frames" else None),
        "doubt": _doubts_of_one(one) or ["views that nobody judged"],
    }


def _above(gain: dict) -> bool:
    return math.isfinite(gain["low"]) and gain["low"] > 0


def _collapse(row: dict) -> str:
    return "no collapse detector trips" if row["judged"] else "collapse could not be judged"


def _sure(gain: dict, over: str, animals: int | None) -> str:
    """What the interval allows to say: `gain 0.8 to 1.6 dB over that rung (95% interval of 10 moments, ...)`."""
    of = {None: "", 1: ", one animal"}.get(animals, f", {animals} recordings")
    count = f"{gain['n']} moments, {gain['n_eff']:.1f} of them independent{of}"
    if not math.isfinite(gain["low"]):
        return f"nothing: {count} are too few for an interval (mean {gain['mean']:+.1f} dB over {over})"
    if _above(gain):
        text = f"gain {gain['low']:.1f} to {gain['high']:.1f} dB over {over}"
    else:
        text = f"lie between {gain['low']:+.1f} and {gain['high']:+.1f} dB of {over}"
    few = gain["n_eff"] < INDEPENDENT
    return f"{text} (95% interval; {count}{', so hardly sure' if few else ''})"


def _doubts_of_several(several: dict) -> list[str]:
    doubts = []
    outline = several["outline"]
    if math.isfinite(outline["high"]) and outline["high"] < 0:
        doubts.append(f"its outline where the visual hull is at hand (IoU {outline['mean']:+.2f} against it)")
    doubts += _weak_cells(several["trust"])
    far = max((cell["to"] for cell in several["trust"]), default=0)
    if 0 < far < 180:
        doubts.append(f"views more than {far} degrees from a given picture, which nobody judged")
    others = len(several["rivals"])
    if not others:
        doubts.append("that this mixture is the best one: only one arm was trained")
    else:
        close = [name for name, gain in several["rivals"].items() if not _above(gain)]
        if close:
            doubts.append(f"that it is better than {', '.join(close)}: the differences may be chance")
    if several["animals"] == 1:
        doubts.append("other animals: one was filmed")
    return doubts


def _doubts_of_one(one: dict) -> list[str]:
    doubts = [f"a single picture {text}" for text in _weak_cells(one["trust"])]
    if one["collapse"]:
        doubts.append(f"answers from a single picture: {', '.join(one['collapse'])}")
    elif one["answer"] != "yes":
        doubts.append("a single picture to do more than the nearest filmed pose does")
    return doubts


def _weak_cells(cells: list[dict]) -> list[str]:
    """The places of the trust map where the model does not beat the mean image, least IoU first."""
    weak = sorted((cell for cell in cells if not cell["trusted"]), key=lambda cell: cell["iou"])
    named = [f"at {c['from']} to {c['to']} degrees, {c['pose']} (IoU {c['iou']:.2f})" for c in weak[:NAMED_CELLS]]
    more = len(weak) - NAMED_CELLS
    return ["; ".join(named) + (f" and in {more} more places of the trust map" if more > 0 else "")] if named else []
