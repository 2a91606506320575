#!/usr/bin/env python3
"""Writes the tables of benches/RESULTS.md anew from what benches/peers measured.

    python3 benches/tables.py results.json benches/RESULTS.md

A table stands between `<!-- name -->` and `<!-- end -->`; the text around them is written by
hand. The goals are not among them: `peers` prints those.
"""

import json
import re
import sys

OURS, ONE_CALL, POOL, HAND, PGMQ = "pgqrs", "pgqrs in one call", "pgqrs pool", "by hand", "pgmq"
GRAPHILE, ASYNC, FANG, LOG = "graphile_worker", "pgqrs 0.15.3", "fang", "log"
SQLITE, SQLITE_ONE_CALL, SQLITE_ASYNC = "pgqrs sqlite", "pgqrs sqlite in one call", "pgqrs 0.15.3 sqlite"


class Figures:
    """One section's figures by (queue, payload, consumers, batch, variant)."""

    def __init__(self, entries):
        self.entries = {}
        for entry in entries:
            self.entries[(entry["queue"], *cell(entry))] = entry
        self.cells = list(dict.fromkeys(cell(entry) for entry in entries))

    def median(self, queue, at):
        entry = self.entries.get((queue, *at))
        return entry and entry["median"]

    def text(self, queue, at, ours=None, digits=0):
        """A figure; after it, how many times as much `ours` is; a star if it was cut off."""
        entry = self.entries.get((queue, *at))
        if entry is None:
            return "–"
        value = entry["median"]
        text = f"{value:,.{digits}f}" + ("\\*" if entry["cut_off"] else "")
        mine = ours and ours != queue and self.median(ours, at)
        return f"{text} ({mine / value:.2f})" if mine else text


def cell(entry):
    return (entry["payload_bytes"], entry["consumers"], entry["batch"], entry["variant"])


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def by_cell(figures, names, queues, columns, ours=OURS):
    """A row per cell, a column per queue; `columns` picks what is said of the cell."""
    rows = []
    for at in figures.cells:
        said = [f"{part:,}" if isinstance(part, int) else part for part in (at[i] for i in columns)]
        rows.append(said + [figures.text(queue, at, ours) for queue in queues])
    return table(names + queues, rows)


def by_variant(figures, queues, digits=0):
    """A row per variant, a column per queue."""
    rows = [[at[3]] + [figures.text(queue, at, digits=digits) for queue in queues] for at in figures.cells]
    return table([""] + queues, rows)


def by_consumers(figures, queue):
    """A column per number of consumers."""
    head = [f"{at[1]}" for at in figures.cells]
    return table([""] + head, [[queue] + [figures.text(queue, at) for at in figures.cells]])


TABLES = {
    "drain": lambda f: by_cell(
        f, ["bytes", "consumers", "batch"], [OURS, ONE_CALL, POOL, HAND, PGMQ, GRAPHILE, ASYNC, FANG], (0, 1, 2)
    ),
    "overhead": lambda f: by_cell(f, ["bytes", "consumers", "batch"], [OURS, HAND], (0, 1, 2)),
    "enqueue": lambda f: by_cell(f, ["bytes", "batch"], [OURS, HAND, PGMQ, GRAPHILE, ASYNC, FANG], (0, 2)),
    "both": lambda f: by_variant(f, [OURS, POOL, HAND, PGMQ, LOG]),
    "latency": lambda f: by_variant(f, [POOL, GRAPHILE, PGMQ, FANG, ASYNC], digits=2),
    "wal": lambda f: by_cell(f, ["payload"], [OURS, HAND, GRAPHILE, PGMQ], (0,), ours=None),
    "flat": lambda f: by_variant(f, [OURS]),
    "backlog": lambda f: by_variant(f, [OURS, HAND, PGMQ]),
    "snapshot": lambda f: by_variant(f, [OURS, ONE_CALL, HAND, PGMQ, GRAPHILE]),
    "threads": lambda f: by_consumers(f, OURS),
    "pool": lambda f: by_consumers(f, POOL),
    "sqlite": lambda f: by_cell(
        f,
        ["", "bytes", "consumers", "batch"],
        [SQLITE, SQLITE_ONE_CALL, SQLITE_ASYNC],
        (3, 0, 1, 2),
        ours=SQLITE,
    ),
}


def main(source, target):
    with open(source, encoding="utf-8") as file:
        sections = json.load(file)["sections"]
    with open(target, encoding="utf-8") as file:
        text = file.read()
    for name, make in TABLES.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not place.search(text):
            sys.exit(f"{target} has no place for the table `{name}`")
        if name in sections:
            filled = make(Figures(sections[name]))
            text = place.sub(lambda found: f"{found[1]}\n{filled}\n\n{found[2]}", text)
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
