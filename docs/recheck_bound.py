"""Check a published bound without the solver: python docs/recheck_bound.py RELEASE/analyst

Needs polars and nothing of the project. A row is Σ coefficient × bought ≤ limit. At any prices ≥ 0
of the rows, no plan that keeps them is worth more than all limits at these prices and what each
school's best plan gains beyond what it pays. All in whole numbers.
"""

import sys
from collections import defaultdict
from pathlib import Path

import polars as pl

UNIT = 10**6  # of a multiplier in one unit of worth


def recheck(folder: Path) -> tuple[int, int]:
    """Return the bound and what the plan is worth, in 10⁻⁹ SD × pupils."""
    frame = {
        name: pl.read_parquet(folder / f"{name}.parquet")
        for name in (
            "mart_allocation",
            "mart_allocation_bound",
            "mart_bound_option",
            "mart_bound_row",
            "mart_bound_entry",
        )
    }
    row = {r["proof_row"]: r for r in frame["mart_bound_row"].iter_rows(named=True)}
    use, schools, lines = defaultdict(dict), defaultdict(lambda: defaultdict(list)), set()
    for number, column, count in frame["mart_bound_entry"].iter_rows():
        use[column][number] = count
    bought = set(frame["mart_allocation"].select("semel_mosad", "response_id", "dose_level").rows())
    for column, school, response, dose, group, worth, lead in frame[
        "mart_bound_option"
    ].iter_rows():
        paid = sum(row[r]["multiplier_units"] * n for r, n in use[column].items())
        option = (column, group, UNIT * worth - paid, UNIT * lead)
        schools[school][group or -1, response].append(option)
        lines |= {column} if (school, response, dose) in bought else set()

    def extreme(pairs, r, which):
        return sum(which(0, *(use[c].get(r, 0) for c, *_ in same)) for same in pairs)

    low = {s: {r: extreme(own.values(), r, min) for r in row} for s, own in schools.items()}
    bound = sum(r["multiplier_units"] * r["row_limit"] for r in row.values())
    for school, own in schools.items():
        pairs = [own[key] for key in sorted(own)]
        others = {r: sum(low[s][r] for s in schools if s != school) for r in row}
        room = {r: row[r]["row_limit"] - others[r] for r in row}
        tight = [r for r in row if extreme(pairs, r, max) > room[r]]
        bound += best(pairs, use, tight, room, extreme)
    assert min(r["multiplier_units"] for r in row.values()) >= 0
    for r in row:
        assert sum(use[c].get(r, 0) for c in lines) <= row[r]["row_limit"], f"row {r} is broken"
    told, worth, led = frame["mart_allocation_bound"].row(0, named=True), 0, defaultdict(int)
    for column, school, _, _, group, units, lead in frame["mart_bound_option"].iter_rows():
        if column in lines:
            worth, led[school, group] = worth + units, max(led[school, group], lead)
    bound = told["constant_units"] - (-bound // UNIT)
    assert bound == told["bound_units"], f"told {told['bound_units']}, found {bound}"
    assert told["plan_units"] <= min(bound, told["constant_units"] + worth + sum(led.values()))
    assert len(lines) == len(bought), "a line is no option"
    return bound, told["plan_units"]


def best(pairs, use, tight, room, extreme):
    """Return the most that a school's plan gains beyond what it pays; overlaps led by one."""
    rest = [sum(max(0, *(v + lead for _, _, v, lead in s)) for s in pairs[i:]) for i in range(99)]
    least = [{r: extreme(pairs[i:], r, min) for r in tight} for i in range(len(pairs) + 1)]
    found, stack = None, [(0, 0, {}, dict.fromkeys(tight, 0))]
    while stack:
        i, value, leads, used = stack.pop()
        if found is not None and value + rest[i] <= found:
            continue
        if i == len(pairs):
            found = value
            continue
        for c, group, gain, lead in [
            (None, None, 0, 0),
            *sorted(pairs[i], key=lambda o: o[2] + o[3]),
        ]:
            now = {r: n + use[c].get(r, 0) for r, n in used.items()} if c is not None else used
            if all(n + least[i + 1][r] <= room[r] for r, n in now.items()):
                more = max(0, lead - leads.get(group, 0))
                led = {**leads, group: leads.get(group, 0) + more} if more else leads
                stack.append((i + 1, value + gain + more, led, now))
    assert found is not None, "no plan of a school keeps the rows"
    return found


if __name__ == "__main__":
    print("bound {}, plan {}, in 10⁻⁹ SD × pupils".format(*recheck(Path(sys.argv[1]))))
