"""Which way to fit is better: paired differences over recordings, from the rows of `fit_quality.py --rows FILE`.

    python benchmarks/fit_compare.py rows/*.json [--first gaussians --second before]

Means are over the views of a recording first, then over recordings; the interval is Student's over recordings (95 %):
views of one animal do not count as independent. The last column is the mean over the worst tenth of the views.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mousefacelift.check.statistics import student_interval  # noqa: E402

MEASURES = ("psnr", "psnr_black", "iou", "ssim", "outside", "half")
KINDS = ("left_out", "true_left_out", "between")


def values(rows: list[dict], arm: str, measure: str) -> np.ndarray:
    """[R] one score of an arm on every row."""
    return np.array([row["arms"][arm][measure] for row in rows])


def compare(recordings: list[dict], kind: str, first: str, second: str) -> list[str]:
    """Lines of a table: every measure of both arms, and their paired difference."""
    lines = [f"| {kind}, {len(recordings)} recordings | {first} | {second} | difference | 95 % | worst tenth |"]
    lines.append("|---" * 6 + "|")
    for measure in MEASURES:
        pairs = [(values(r[kind], first, measure), values(r[kind], second, measure)) for r in recordings]
        means = np.array([[float(a.mean()), float(b.mean())] for a, b in pairs])
        low, high = student_interval(means[:, 0] - means[:, 1]) if len(means) > 1 else (np.nan, np.nan)
        ones = [np.concatenate(side) for side in zip(*pairs, strict=True)]
        tail = max(1, len(ones[0]) // 10)
        worst = [np.sort(one)[:tail].mean() for one in ones]
        digits = 2 if measure.startswith("psnr") else 4
        cells = [*means.mean(0), float((means[:, 0] - means[:, 1]).mean())]
        text = [f"{cell:.{digits}f}" for cell in cells]
        tails = (
            " / ".join(f"{w:.{digits}f}" for w in worst) if measure in ("psnr", "psnr_black", "iou", "ssim") else "-"
        )
        lines.append(f"| {measure} | {' | '.join(text)} | {low:+.{digits}f} to {high:+.{digits}f} | {tails} |")
    return lines


def over_hull(recordings: list[dict], kind: str, arm: str) -> str:
    """Per recording, how much an arm is better than the hull on white and on black, dB."""
    parts = []
    for recording in recordings:
        gains = [
            float((values(recording[kind], arm, m) - values(recording[kind], "hull", m)).mean())
            for m in ("psnr", "psnr_black")
        ]
        parts.append(f"{recording['recording']} {gains[0]:.1f} / {gains[1]:.1f}")
    return f"{arm} over the hull, {kind}, white / black: " + ", ".join(parts)


def main() -> None:
    """Print the tables of all recordings, of those without defects and of the realistic ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--first", default="field")
    parser.add_argument("--second", default="gaussians")
    args = parser.parse_args()
    every = [json.loads(path.read_text()) for path in args.rows]
    spent = {a: np.mean([r["cpu_s"][a] / r["fits"] for r in every]) for a in every[0]["cpu_s"]}
    print("CPU seconds a fit: " + ", ".join(f"{arm} {seconds:.1f}" for arm, seconds in spent.items()))
    for name, wanted in (("all", None), ("without defects", False), ("realistic", True)):
        some = [r for r in every if wanted is None or r["realistic"] == wanted]
        for kind in KINDS:
            if some and all(r[kind] for r in some):
                print(f"\n{name}\n" + "\n".join(compare(some, kind, args.first, args.second)))
                if wanted is not None and kind == "left_out":
                    print(
                        "\n"
                        + "\n".join(over_hull(some, kind, arm) for arm in some[0][kind][0]["arms"] if arm != "hull")
                    )


if __name__ == "__main__":
    main()
