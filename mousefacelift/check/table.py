"""Tables of evaluations: one run for the terminal, all runs and all arms as CSV. A number never stands without its
baselines."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from statistics import fmean, stdev

from mousefacelift.core.files import nulls_as_nan, read_json, write_text

SHOWN = ("fg_psnr", "full_psnr", "fg_ssim", "iou", "coverage")


def format_summary(summary: dict) -> str:
    """Text of one arm's summary: per protocol the ladder, the collapse findings and the consistency."""
    lines = []
    for protocol, entry in summary["protocols"].items():
        lines.append(
            f"arm {summary['arm']}, protocol {protocol}, cameras {entry['cameras']} (not shown to the network)"
        )
        lines.append(f"  {'method':<15}" + "".join(f"{name:>11}" for name in SHOWN) + "   n  n_eff")
        for method, values in entry["held_out"].items():
            numbers = "".join(f"{values[name]['mean']:>11.3f}" for name in SHOWN)
            lines.append(f"  {method:<15}{numbers}{values['fg_psnr']['n']:>4}{values['fg_psnr']['n_eff']:>7.1f}")
        collapse = entry["collapse"]
        if collapse["judged"]:
            m = collapse["metrics"]
            lines.append(
                f"  collapse: {', '.join(collapse['findings']) or 'none'} (skill over mean {m['skill_over_mean']:+.2f} "
                "dB, "
                f"variance ratio {m['variance_ratio']:.2f}, retrieval {m['retrieval_at_1']:.2f} "
                f"vs chance {m['retrieval_chance']:.2f})"
            )
        else:
            lines.append(f"  collapse: not judged: {collapse['why']}")
        for part in ("consistency", "health", "surface"):
            numbers = ", ".join(f"{name} {value:.3g}" for name, value in entry[part].items())
            lines += [f"  {part}: {numbers}"] if numbers else []
    return "\n".join(lines)


def format_single(summary: dict) -> str:
    """Text of the summary of protocol S: the verdict, then every bed's ladder."""
    lines = [summary["verdict"]["text"]]
    for bed, entry in summary["beds"].items():
        for kind in ("known", "unknown"):
            if entry[kind]:
                lines.append(f"bed {bed}, camera {kind}")
                lines.append(f"  {'method':<15}" + "".join(f"{name:>11}" for name in SHOWN) + "   n  n_eff")
            for method, values in entry[kind].items():
                numbers = "".join(f"{values[name]['mean']:>11.3f}" for name in SHOWN)
                lines.append(f"  {method:<15}{numbers}{values['iou']['n']:>4}{values['iou']['n_eff']:>7.1f}")
        for method, values in entry.get("solid", {}).items():
            lines.append(f"  {method:<15}" + "  ".join(f"{name} {v['mean']:.3f}" for name, v in values.items()))
        if entry["collapse"]["judged"]:
            lines.append(f"  collapse: {', '.join(entry['collapse']['findings']) or 'none'}")
    return "\n".join(lines)


def format_foreign(result: dict) -> str:
    """Text of a foreign method's scores: the ladder, what the alignment was worth, and MoReMouse's protocol."""
    lines = [format_summary(result["summary"])]
    if "aligned" in result:
        before, after = result["as_it_came"], result["aligned"]
        lines.append(
            f"alignment (seven numbers per moment from the truth): full PSNR {before['full_psnr']:.2f} -> "
            f"{after['full_psnr']:.2f} dB, IoU {before['iou']:.3f} -> {after['iou']:.3f}"
        )
    for name, numbers in result.get("alignment", {}).items():
        lines.append(f"  {name.replace('_', ' ')}: {numbers['mean']:.4g}, between moments {numbers['spread']:.2g}")
    cameras = ", ".join(map(str, result["moremouse_cameras"]))
    lines.append(
        f"MoReMouse's protocol (cameras {cameras}, up to {result['moremouse_off_degrees']:.0f} degrees from a quarter "
        "turn; full frame on white)"
    )
    for method, numbers in result["moremouse"].items():
        lines.append(f"  {method:<15}" + "  ".join(f"{name} {value:.3f}" for name, value in numbers.items()))
    if result["lpips"] != "reported":
        lines.append(f"  LPIPS {result['lpips']}")
    return "\n".join(lines)


def compare_runs(summaries: list[Path], out: Path) -> list[dict]:
    """One row per (run, protocol, method) of several summary.json files, written as CSV."""
    rows = []
    for path in summaries:
        shape = {"arm": str, "predictions": dict, "protocols": dict}
        summary = read_json(path, shape, "evaluation")
        for protocol, entry in summary["protocols"].items():
            for method, values in nulls_as_nan(entry["held_out"]).items():
                row = {
                    "arm": summary["arm"],
                    "seed": summary["predictions"].get("seed"),
                    "protocol": protocol,
                    "method": method,
                    "n": values["fg_psnr"]["n"],
                    "n_eff": round(values["fg_psnr"]["n_eff"], 2),
                }
                for name, numbers in values.items():
                    row |= {
                        name: numbers["mean"],
                        f"{name}_low": numbers["low"],
                        f"{name}_high": numbers["high"],
                        f"{name}_worst": numbers["worst"],
                    }
                findings = entry["collapse"].get("findings") if method == "model" else None
                rows.append(row | {"collapse": "; ".join(findings) if findings else ""})
    write_table(out, rows)
    return rows


def compare_arms(runs: list[dict], out: Path) -> list[dict]:
    """One row per (arm, protocol) of the models of `compare_runs`, written as CSV: mean and standard deviation over the
    seeds.

    The standard deviation (of the sample, n - 1) says how far two runs of one arm lie apart; with a single seed it is
    empty. It is no interval: how far frames differ is in the low and high columns of the single runs.
    """
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in runs:
        if row["method"] == "model":
            groups.setdefault((row["arm"], row["protocol"]), []).append(row)
    rows = []
    for (arm, protocol), members in groups.items():
        row = {"arm": arm, "protocol": protocol, "seeds": len(members)}
        for name in SHOWN:
            values = [member[name] for member in members]
            row |= {name: fmean(values), f"{name}_sd": stdev(values) if len(values) > 1 else ""}
        rows.append(row | {"collapsed_runs": sum(bool(member["collapse"]) for member in members)})
    write_table(out, rows)
    return rows


def write_table(out: Path, rows: list[dict]) -> None:
    """Rows as CSV, with every column that any row has."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    writer.writerows(rows)
    write_text(out, buffer.getvalue())
