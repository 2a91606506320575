#!/usr/bin/env python3
"""Draws what benches/peers measured.

    python3 benches/plot.py results.json benches/results.svg

Left: how quickly two consumers drain, by batch size. Right: the same drain without and while
another session holds a snapshot. The same figures give the same file. Needs matplotlib.
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "pgqrs"  # or the ids in the file would be random
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["font.family"] = "sans-serif"
import matplotlib.pyplot as plt  # noqa: E402 (after the settings)

CONSUMERS = 2
PAYLOAD = 50

# Ours first and boldest. Colours that can be told apart by everybody, and marks that help.
QUEUES = {
    "pgqrs": ("#0072B2", "o"),
    "by hand": ("#999999", "s"),
    "pgmq": ("#D55E00", "^"),
    "graphile_worker": ("#009E73", "D"),
    "pgqrs 0.15.3": ("#CC79A7", "v"),
    "fang": ("#E69F00", "P"),
}
WITHOUT, HELD = "no snapshot", "snapshot held"


def short(number, _=None):
    """12.3k, 450."""
    return f"{number / 1000:.3g}k" if number >= 1000 else f"{number:.3g}"


def drain(axes, entries):
    """One line per queue over the batch size; hollow marks where a run was cut off."""
    batches = set()
    for queue, (colour, mark) in QUEUES.items():
        points = sorted(
            (entry["batch"], entry["median"], entry["cut_off"])
            for entry in entries
            if entry["queue"] == queue
            and entry["consumers"] == CONSUMERS
            and entry["payload_bytes"] == PAYLOAD
        )
        if not points:
            continue
        at, rates, cut = zip(*points)
        batches.update(at)
        width = 2.4 if queue == "pgqrs" else 1.4
        style = "--" if queue == "by hand" else "-"
        axes.plot(at, rates, style, color=colour, linewidth=width, label=queue, marker=mark, markersize=6)
        hollow = [(x, y) for x, y, cut_off in points if cut_off]
        if hollow:
            axes.plot(*zip(*hollow), linestyle="", color=colour, marker=mark, markersize=6, markerfacecolor="white")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted(batches), [f"{batch:,}" for batch in sorted(batches)])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(short)
    axes.set_xlabel("messages per batch")
    axes.set_title(f"Drained per second, {CONSUMERS} consumers, {PAYLOAD} bytes", loc="left", fontsize=10)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def snapshot(axes, entries):
    """Two bars per queue."""
    rates = {(entry["queue"], entry["variant"]): entry for entry in entries}
    queues = [queue for queue in QUEUES if (queue, HELD) in rates and (queue, WITHOUT) in rates]
    for place, queue in enumerate(queues):
        colour, _ = QUEUES[queue]
        for offset, variant in ((-0.2, WITHOUT), (0.2, HELD)):
            entry = rates[queue, variant]
            alpha = 0.4 if variant == WITHOUT else 1.0
            axes.bar(place + offset, entry["median"], width=0.38, color=colour, alpha=alpha)
            star = "*" if entry["cut_off"] else ""
            axes.annotate(
                short(entry["median"]) + star,
                (place + offset, entry["median"]),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
    axes.set_xticks(range(len(queues)), [queue.replace(" ", "\n", 1).replace("_", "\n") for queue in queues], fontsize=8)
    axes.yaxis.set_major_formatter(short)
    axes.set_title("Batch of 100: without (pale) and with a held snapshot", loc="left", fontsize=10)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def main(results, picture):
    with open(results, encoding="utf-8") as file:
        measured = json.load(file)
    sections = measured["sections"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    drain(left, sections.get("drain", []))
    snapshot(right, sections.get("snapshot", []))
    for axes in (left, right):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    settings = measured["settings"]
    figure.supxlabel(
        f"PostgreSQL {settings['server_version'].split()[0]}, {settings['cores']} cores ({settings['cpu']}), "
        f"fsync and synchronous_commit {settings['synchronous_commit']}; median of {settings['runs']}. "
        "Hollow or *: cut off, the rate until then.",
        fontsize=7,
        color="#555555",
    )
    figure.savefig(picture, metadata={"Date": None} if picture.endswith(".svg") else None, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
