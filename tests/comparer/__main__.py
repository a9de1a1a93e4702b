"""Compare two published releases by what they say.

    python -m tests.comparer BEFORE AFTER [--expected FILE]

BEFORE and AFTER are a release's folder, a city's folder of marts (its current release), `CITY` or
`CITY@RELEASE`. Says what differs in marts, pages, workbooks and other files, and in which table.
Exit code 0: equal, or every difference was expected; 1: something else differs; 2: the arguments
cannot be used.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.publish.release import MANIFEST, current_release
from pipelines.settings.fields import dictionary
from pipelines.settings.workspace import workspace
from tests.comparer.compare import Difference, Found, compare
from tests.comparer.contents import Contents, UnreadableError, read_both
from tests.comparer.expected import Expected, ExpectedError, read_expected

EXPECTED = Path(__file__).with_name("expected_differences.yaml")


class NoReleaseError(Exception):
    """An argument names no release."""


def main(arguments: list[str] | None = None) -> int:
    """Print what differs and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.comparer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", help="a release: folder, CITY, or CITY@RELEASE")
    parser.add_argument("after", help="the release to compare with it")
    parser.add_argument(
        "--expected", type=Path, default=EXPECTED, help="YAML list of differences that are meant"
    )
    parser.add_argument("--most", type=int, default=10, help="examples shown of a group at most")
    asked = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    try:
        entries = read_expected(asked.expected)
        folders = release_of(asked.before), release_of(asked.after)
        contents = read_both(*folders)
    except (NoReleaseError, ExpectedError, UnreadableError) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 2
    found = compare(*contents, keys=_key)
    reasons = [
        next((entry for entry in entries if entry.describes(each.difference)), None)
        for each in found
    ]
    unexpected = [each for each, entry in zip(found, reasons, strict=True) if entry is None]
    console.print(escape(f"before: {folders[0]}\nafter:  {folders[1]}"))
    for line in told(unexpected, asked.most):
        console.print(escape(line))
    _summary(console, found, reasons)
    for line in _on_expected(entries, found, reasons):
        console.print(escape(line))
    for line in _form_only(contents, found, asked.most):
        console.print(escape(line))
    expected = len(found) - len(unexpected)
    console.print(
        "equal" if not found else f"{len(unexpected)} unexpected differences, {expected} expected"
    )
    return 1 if unexpected else 0


def release_of(name: str) -> Path:
    """Return the folder of the release that an argument names.

    Raises:
        NoReleaseError: saying what is there, and what to do.
    """
    folder = Path(name)
    if folder.is_dir():
        release = folder.resolve() if (folder / MANIFEST).is_file() else current_release(folder)
        if release is None or not (release / MANIFEST).is_file():
            raise NoReleaseError(
                f"{name}: neither a release (it has no {MANIFEST}) nor a city's folder of marts (it"
                " has no current release). Name a folder under releases/, or a city that was run."
            )
        return release
    city, _, wanted = name.partition("@")
    marts = Path(workspace(city).marts_folder)
    if not city or "/" in city or not marts.is_dir():
        known = ", ".join(sorted(path.parent.name for path in marts.parent.glob("*/current")))
        raise NoReleaseError(
            f"{name}: neither a folder nor a city under {marts.parent} (there: {known or 'none'})."
            " Run the city first, or give the folder of a release."
        )
    chosen = marts / "releases" / wanted if wanted else current_release(marts)
    if chosen is None or not (chosen / MANIFEST).is_file():
        known = ", ".join(sorted(path.parent.name for path in marts.glob(f"releases/*/{MANIFEST}")))
        raise NoReleaseError(
            f"{name}: {city} has no such release (there: {known or 'none'}). Name one of them, or"
            f" run `make run CITY={city}`."
        )
    return chosen


def _key(table: str) -> tuple[str, ...]:
    known = dictionary().tables.get(table)
    return known.key if known else ()


def told(found: Sequence[Found], most: int) -> Iterator[str]:
    """Yield the differences as lines: a group for each table, kind of file and page.

    A group says how many there are of each kind and column, and shows `most` examples, one of each
    kind and column before a second of any.
    """
    groups: defaultdict[tuple[str, str, str], list[Found]] = defaultdict(list)
    for each in found:
        difference = each.difference
        groups[_table(difference), difference.where, difference.page].append(each)
    for (table, where, page), members in sorted(groups.items()):
        yield f"\n{table} – {where}{f' – {page}' if page not in ('', table) else ''}"
        kinds: defaultdict[tuple[str, str], list[Found]] = defaultdict(list)
        for each in members:
            kinds[each.difference.kind, each.difference.column].append(each)
        changed = {each.difference.place for each in members if each.difference.kind == "value"}
        if where == "marts" and changed:
            yield f"  rows changed: {len(changed)}"
        shown = _shares([len(each) for each in kinds.values()], most)
        for ((kind, column), alike), examples in zip(kinds.items(), shown, strict=True):
            yield f"  {kind}{f' of {column}' if column else ''}: {len(alike)}"
            yield from (f"    {_example(each)}" for each in alike[:examples])


def _shares(sizes: Sequence[int], most: int) -> list[int]:
    """Deal `most` examples out, one to each in turn, as far as each has any."""
    shares = [0] * len(sizes)
    while most > 0 and shares != list(sizes):
        for place, size in enumerate(sizes):
            if most > 0 and shares[place] < size:
                shares[place] += 1
                most -= 1
    return shares


def _example(found: Found) -> str:
    each = found.difference
    change = f"{each.before or '(nothing)'} -> {each.after or '(nothing)'}"
    parts = (each.place, change if each.before or each.after else "")
    return f"{': '.join(filter(None, parts))}  [{', '.join(found.files)}]".lstrip()


def _table(difference: Difference) -> str:
    return ", ".join(difference.tables)


def _summary(console: Console, found: Sequence[Found], reasons: Sequence[Expected | None]) -> None:
    """Print how many differences each table has in each kind of file."""
    if not found:
        return
    counts = Counter(
        (_table(each.difference), each.difference.where, entry is not None)
        for each, entry in zip(found, reasons, strict=True)
    )
    table = Table("table", "where", title="differences")
    table.add_column("unexpected", justify="right")
    table.add_column("expected", justify="right")
    for name, where in sorted({key[:2] for key in counts}):
        table.add_row(
            escape(name), where, *(str(counts[name, where, is_meant]) for is_meant in (False, True))
        )
    console.print()
    console.print(table)


def _on_expected(
    entries: Sequence[Expected], found: Sequence[Found], reasons: Sequence[Expected | None]
) -> Iterator[str]:
    """Yield how much each expected entry explains, and which of them describe nothing."""
    for entry in entries:
        name = f"{entry.where} {entry.table}"
        if any(entry.describes(each.difference) for each in found):
            explained = sum(reason is entry for reason in reasons)
            yield f"expected {name}: {explained} – {entry.reason}"
        else:
            yield f"stale: {name} was expected and does not differ – {entry.reason}; remove it"


def _form_only(
    contents: tuple[Contents, Contents], found: Sequence[Found], most: int
) -> Iterator[str]:
    """Name files of other bytes and equal content: markup, style, drawing, number formats.

    A database holds a random id and a manifest the hashes of the others, so they always differ.
    """
    explained = {path for each in found for path in each.files}
    left = [
        path
        for path in sorted(contents[0].keys() & contents[1].keys() - explained)
        if not path.endswith((".duckdb", MANIFEST))
    ]
    if left:
        more = f" and {len(left) - most} more" if len(left) > most else ""
        yield (
            f"other bytes but the same content (markup, style, drawing, formats) in {len(left)}"
            f" files: {', '.join(left[:most])}{more}"
        )


if __name__ == "__main__":
    raise SystemExit(main())
