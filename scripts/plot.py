#!/usr/bin/env python3
"""Draws what `fastgemm bench --json FILE` measured: a roofline and the ratio to cuBLAS, as SVG and PNG."""

import argparse
import json
import math
import sys

try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
except ImportError:
    sys.exit("plot: matplotlib is missing: apt-get install python3-matplotlib (or pip install matplotlib)")

OURS, CUBLAS, WANTED = "#1f5fa8", "#8a8a8a", "#c2410c"
PROFILE_COLOURS = {
    "huge_k": "#1f5fa8",
    "transposed": "#dc2626",
    "square": "#15803d",
    "irregular": "#a21caf",
    "outer_product": "#eab308",
    "batched": "#0e7490",
    "general": "#525252",
}
CONTRACTS = {
    "ieee": ("fp32 operations only", "cuBLAS fp32"),
    "fp32": ("fp32 accuracy", "cuBLAS fp32"),
    "tf32": ("TF32", "cuBLAS TF32"),
}


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return data["device"], [row for row in data["results"] if row["ours_ms"]]
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"plot: {path}: {error!r}")


def style():
    plt.rcParams.update(
        {
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#444444",
            "svg.fonttype": "none",
            "legend.frameon": False,
        }
    )


def save(figure, stem):
    for ending in ("svg", "png"):
        figure.savefig(f"{stem}.{ending}", dpi=150, bbox_inches="tight")
        print(f"{stem}.{ending}")
    plt.close(figure)


def caption(device, contract):
    return f"{device['name']}, {CONTRACTS[contract][0]}, against {CONTRACTS[contract][1]}"


def roofline(device, rows, contract, stem):
    """Each product at its operations per byte: ours filled, cuBLAS hollow, the gain a line between them."""
    peak = device["tensor_flops" if contract == "tf32" else "ffma_flops"] / 1e12
    bandwidth = device["copy_bytes"] / 1e12
    figure, axes = plt.subplots(figsize=(8.5, 5.2))
    intensity = [row["flops"] / row["bytes"] for row in rows]
    reached = [row["flops"] / row[f"{who}_ms"] / 1e9 for row in rows for who in ("ours", "cublas")]
    left, right = min(min(intensity) / 2, peak / bandwidth / 24), max(max(intensity), peak / bandwidth) * 2
    ridge = peak / bandwidth
    axes.plot([left, ridge, right], [left * bandwidth, peak, peak], color="#222222", linewidth=1.4, zorder=1)
    name = "TF32 tensor cores" if contract == "tf32" else "FFMA"
    axes.annotate(f"{name} {peak:.1f} TFLOP/s", (ridge, peak), (-8, -3), textcoords="offset points", ha="right")
    middle = math.sqrt(left * ridge)
    axes.annotate(f"copy {bandwidth:.2f} TB/s", (middle, middle * bandwidth), (-8, 4), textcoords="offset points", ha="right")
    for profile, colour in PROFILE_COLOURS.items():
        mine = [(x, row) for x, row in zip(intensity, rows) if row["profile"] == profile]
        if not mine:
            continue
        xs = [x for x, _ in mine]
        ours = [row["flops"] / row["ours_ms"] / 1e9 for _, row in mine]
        theirs = [row["flops"] / row["cublas_ms"] / 1e9 for _, row in mine]
        axes.vlines(xs, theirs, ours, color=colour, linewidth=1, alpha=0.6, zorder=2)
        axes.scatter(xs, theirs, s=30, facecolor="white", edgecolor=colour, linewidth=1.2, zorder=3)
        axes.scatter(xs, ours, s=34, color=colour, zorder=4, label=profile.replace("_", " "))
    axes.scatter([], [], s=30, facecolor="white", edgecolor=CUBLAS, linewidth=1.2, label=CONTRACTS[contract][1])
    axes.set(xscale="log", yscale="log", xlim=(left, right))
    axes.set_ylim(min(reached + [left * bandwidth]) / 1.5, max(reached + [peak]) * 1.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("operations per byte of operands and result")
    axes.set_ylabel("TFLOP/s")
    axes.set_title(caption(device, contract), loc="left", fontsize=11)
    axes.legend(loc="lower right", ncols=2, fontsize=9)
    axes.grid(True, which="major", color="#e5e5e5", linewidth=0.6, zorder=0)
    save(figure, stem)


def ratios(device, rows, contract, stem):
    """Time of cuBLAS over ours, a row a problem; the thin bar is the quartiles' spread, the tick the wanted ratio."""
    rows = sorted(rows, key=lambda row: row["ratio"])
    figure, axes = plt.subplots(figsize=(8.5, 1.4 + 0.27 * len(rows)))
    for y, row in enumerate(rows):
        low = row["cublas_ms_q1"] / row["ours_ms_q3"]
        high = row["cublas_ms_q3"] / row["ours_ms_q1"]
        axes.barh(y, row["ratio"], height=0.62, color=OURS if row["policy"] == "routed" else CUBLAS, zorder=2)
        axes.plot([low, high], [y, y], color="#111111", linewidth=1, zorder=3)
        if row["bar"]:
            axes.plot([row["bar"]] * 2, [y - 0.42, y + 0.42], color=WANTED, linewidth=2, zorder=4)
        axes.annotate(f"{row['ratio']:.2f}", (0, y), (5, -0.5), textcoords="offset points", va="center", fontsize=9, color="white")
        if not row["check"].startswith("ok"):
            edge = max(high, row["bar"] or 0)
            axes.annotate(row["check"], (edge, y), (6, 0), textcoords="offset points", va="center", fontsize=9, color=WANTED)
    mean = math.exp(sum(math.log(row["ratio"]) for row in rows) / len(rows))
    axes.axvline(1, color="#222222", linewidth=1, zorder=1)
    if any(row["bar"] for row in rows):
        axes.plot([], [], color=WANTED, linewidth=2, label="wanted")
        axes.legend(loc="lower right", fontsize=9)
    axes.set_yticks(range(len(rows)), [row["problem"] for row in rows], fontsize=9)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlim(0, max(max(row["ratio"], row["bar"] or 0) for row in rows) * 1.15)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"time of {CONTRACTS[contract][1]} over ours (1: as fast); geometric mean {mean:.2f}")
    axes.set_title(caption(device, contract), loc="left", fontsize=11)
    save(figure, stem)


def main():
    parser = argparse.ArgumentParser(prog="fastgemm plot", description=__doc__)
    parser.add_argument("json", help="what fastgemm bench --json wrote")
    parser.add_argument("--out", default="bench", help="beginning of the pictures' names (default: bench)")
    arguments = parser.parse_args()
    device, results = read(arguments.json)
    if not results:
        sys.exit(f"plot: {arguments.json} holds no results")
    style()
    for contract in CONTRACTS:
        rows = [row for row in results if row["contract"] == contract]
        if rows:
            roofline(device, rows, contract, f"{arguments.out}-{contract}-roofline")
            ratios(device, rows, contract, f"{arguments.out}-{contract}-ratio")


if __name__ == "__main__":
    main()
