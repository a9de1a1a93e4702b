"""Tables with their margins, and every whole-number table that fits what is told of one."""

from itertools import product

from models.privacy import Guard, System


def cell(i, j):
    return f"cell {i}{j}"


def system(values, hidden):
    """A table with all its margins told, as an intruder reads it; hidden counts are at least 1."""
    rows, columns = range(len(values)), range(len(values[0]))
    counts = {
        cell(i, j): (None if (i, j) in hidden else values[i][j], 1) for i in rows for j in columns
    }
    lines = [(f"row {i}", [(i, j) for j in columns]) for i in rows]
    lines += [(f"column {j}", [(i, j) for i in rows]) for j in columns]
    told = []
    for name, places in lines:
        counts[name] = (sum(values[i][j] for i, j in places), 0)
        told.append(("", {name: 1} | {cell(i, j): -1 for i, j in places}, 0, 0))
    return System.of(counts, told)


def guard(hidden, width=3, singles=()):
    names = frozenset(cell(*place) for place in hidden)
    alone = frozenset(cell(*place) for place in singles)
    return Guard(width, names, names if singles else frozenset(), alone)


def ranges(values, hidden, knows=()):
    """What each hidden count may be, by trying every table: place → (least, most)."""
    places = sorted(hidden)
    rows, columns = range(len(values)), range(len(values[0]))
    left_row = {i: sum(values[i][j] for j in columns if (i, j) in hidden) for i in rows}
    left_column = {j: sum(values[i][j] for i in rows if (i, j) in hidden) for j in columns}
    most = {(i, j): min(left_row[i], left_column[j]) for i, j in places}
    fits = []
    for found in product(*(range(1, most[place] + 1) for place in places)):
        by_place = dict(zip(places, found, strict=True))
        if any(by_place[place] != values[place[0]][place[1]] for place in knows):
            continue
        by_row = {i: sum(v for (a, _), v in by_place.items() if a == i) for i in rows}
        by_column = {j: sum(v for (_, b), v in by_place.items() if b == j) for j in columns}
        if by_row == left_row and by_column == left_column:
            fits.append(found)
    return {p: (min(f[n] for f in fits), max(f[n] for f in fits)) for n, p in enumerate(places)}
