"""How the files of a city fare, without loading anything.

    python -m pipelines.commands.check CITY [--source SOURCE_ID]

One look shows everything there is to correct: files that cannot be read, rows set aside and why,
what was repaired, what is odd about a file as a whole, each column by school year, checks that
fail. A warning is no failure.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.aim.readiness import Held, unready
from pipelines.publish.translations import read_translations, told_of
from pipelines.rehearsal import Rehearsal, rehearse
from pipelines.settings.city import CityError, CityFolder, load_sources
from pipelines.settings.fields import NO_FAULT, Field, dictionary
from pipelines.settings.workspace import workspace
from pipelines.sources.admission import header_shown
from pipelines.sources.files import source_files, where_mapped
from pipelines.sources.guess import describe, rank
from pipelines.sources.load import raw_name
from pipelines.sources.propose import layouts
from pipelines.sources.workbook import UnreadableError

_FEW = 10  # of fewer values that are about persons no middle is shown


def main(arguments: list[str] | None = None) -> int:
    """Print how each file fared; return 0 if nothing stands in the way of loading, else 1."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.commands.check", description=__doc__)
    parser.add_argument("city", help="name of a folder in data_raw, or a path")
    parser.add_argument("--source", help="show this source only")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    try:
        folder = Path(options.city)
        city = load_sources(
            folder if folder.is_dir() else Path(workspace(options.city).city_folder)
        )
        read_translations(city)
        done = rehearse(city)
    except CityError as error:
        _say(console, "✗", error.en, error.he)
        return 2
    return _report(city, done, options.source, console)


def _report(city: CityFolder, done: Rehearsal, source: str | None, console: Console) -> int:
    """Print what is there, then what is wrong with it, so that the end of it is what to correct."""
    chosen = [name for name in dictionary().sources if source in (None, name)]
    among = f"source_id IN ({', '.join(repr(name) for name in chosen)})"
    _files(done, among, console)
    _columns(city, done, chosen, console)
    console.rule("what to look at · מה לבדוק")
    for path in sorted(path for root in city.roots for path in root.glob("~$*")):
        _say(
            console,
            "!",
            f"{path}: a workbook beside it is open in an office programme; what is not saved yet is"
            " not read",
            "חוברת עבודה שלצדו פתוחה בתוכנת משרד; מה שטרם נשמר בה אינו נקרא",
        )
    for name, left in told_of(city) if source is None else ():
        if left:
            _say(
                console,
                "!",
                f"translations: {name}: {left} texts are not translated and stay in Hebrew",
                f"תרגום: {name}: {left} טקסטים אינם מתורגמים ונשארים בעברית",
            )
    for source_id, error in done.unreadable.items():
        if source_id in chosen:
            _say(console, "✗", error.en, error.he)
    _set_aside(city, done, among, console)
    _told(done, among, console)
    stopping = _policy(city, done, console) if source is None else 0
    failed = [(name, result) for name, result in done.results if not result.is_passed]
    for name, result in failed:
        _say(
            console,
            "✗" if result.check.severity == "ERROR" else "!",
            f"{name}.{result.check.id}: {result.check.sentence} {result.failing_rows:,} of"
            f" {result.checked_rows:,}: {', '.join(result.failing_keys)}",
            f"{result.check.says.he} {result.check.says.resolve_he}",
        )
    blocked = [name for name, result in failed if result.check.blocks]
    if failed or done.unreadable or stopping:
        _say(
            console,
            "✗" if blocked or done.unreadable or stopping else "!",
            f"{len(done.unreadable)} source(s) cannot be read, {len(failed)} checks fail,"
            f" {len(blocked)} of them would stop the run; nothing was loaded.",
            f"{len(done.unreadable)} מקורות אינם נקראים, {len(failed)} בדיקות לא עברו, מהן"
            f" {len(blocked)} היו עוצרות את הריצה; דבר לא נקלט.",
        )
    else:
        _say(console, "✓", "Everything passes; nothing was loaded.", "הכול תקין; דבר לא נקלט.")
    return 1 if blocked or done.unreadable or stopping else 0


def _policy(city: CityFolder, done: Rehearsal, console: Console) -> int:
    """Print what policy and files do not have in common; return how much of it stops a run."""
    path = city.folder / "policy.yaml"
    if not path.is_file():
        return 0
    found = unready(city, _held(city, done))
    if found:
        console.rule("policy · מדיניות")
    for one in found:
        place = f"policy.yaml:{one.line} {'.'.join(one.keys)}".strip()
        _say(console, "✗" if one.stops else "!", f"{place}: {one.en}", one.he)
    return sum(one.stops for one in found)


def _held(city: CityFolder, done: Rehearsal) -> Held:
    """Return what the rehearsed files hold of what a policy speaks of."""

    def all_of(query: str) -> frozenset[str]:
        return frozenset(map(str, done.table(query).to_series()))

    year = city.city.school_years.reference
    [schools, without] = done.table(f"""
        SELECT count(DISTINCT codes.semel_mosad) AS schools,
            count(DISTINCT codes.semel_mosad)
                - count(DISTINCT money.semel_mosad) FILTER (money.gefen_agorot > 0) AS without
        FROM core.core_school_code AS codes
        LEFT JOIN staging.stg_finance__school_money AS money
            ON money.semel_mosad = codes.semel_mosad AND money.school_year = {year}
        """).row(0)
    return Held(
        scales=all_of("""
            SELECT scale_id FROM staging.stg_tests__school_means WHERE score_mean IS NOT NULL
            UNION SELECT scale_id FROM staging.stg_tests__pupil_scores WHERE score IS NOT NULL
            """),
        running=all_of("""
            SELECT response_id FROM staging.stg_programmes__delivery
            UNION SELECT response_id FROM staging.stg_finance__budget_lines
            """),
        assets=all_of("SELECT asset_id FROM staging.stg_assets__inventory"),
        schools=schools,
        without_basket=without,
        measured=all_of("""
            SELECT 'gap_' || subject FROM staging.stg_tests__school_means
            WHERE score_mean IS NOT NULL
            UNION SELECT 'gap_' || subject FROM staging.stg_tests__pupil_scores
            WHERE score IS NOT NULL
            UNION SELECT 'chronic_absence' FROM staging.stg_attendance__pupil_years
            UNION SELECT 'overt_dropout' FROM staging.stg_attendance__exits
            UNION SELECT 'climate_safety' FROM staging.stg_climate__facets WHERE facet = 'safety'
            UNION SELECT 'nurture_index' FROM core.core_school_year
            WHERE nurture_index IS NOT NULL
            UNION SELECT 'ses_category' FROM staging.stg_register__school_background
            WHERE ses_category IS NOT NULL
            """),
    )


def _say(console: Console, mark: str, english: str, hebrew: str) -> None:
    """Print a sentence in both languages, each in lines of its own."""
    style = {"✗": "red", "!": "yellow", "✓": "green"}[mark]
    console.print(f"[{style}]{mark}[/{style}] {escape(english)}\n  {escape(hebrew)}")


def _files(done: Rehearsal, among: str, console: Console) -> None:
    by_design = ", ".join(f"'{code}'" for code in NO_FAULT)
    console.rule("files · קבצים")
    for row in done.table(f"""
        SELECT source_id, file_name, rows_in, rows_staged,
            rows_quarantined - coalesce(left_out, 0) AS aside, coalesce(left_out, 0) AS left_out
        FROM core.core_source_file
        LEFT JOIN (
            SELECT source_id, file_name, count(DISTINCT file_row) AS left_out
            FROM core.core_quarantine WHERE reason_code IN ({by_design}) GROUP BY ALL
        ) USING (source_id, file_name)
        WHERE {among} ORDER BY ALL
        """).iter_rows(named=True):
        console.print(
            escape(
                f"{row['source_id']}, {row['file_name']}: {row['rows_in']:,} rows ="
                f" {row['rows_staged']:,} staged + {row['aside']:,} set aside +"
                f" {row['left_out']:,} left out by design"
            )
        )
    console.print("  שורות בקובץ = נקלטו + בהסגר + הושמטו בכוונה")


def _set_aside(city: CityFolder, done: Rehearsal, among: str, console: Console) -> None:
    """Print each reason for which rows were set aside, with its first row."""
    for row in done.table(
        "SELECT file_name, source_id, min(file_row) AS file_row, column_name, reason_code,"
        " reason_en, reason_he, count(*) AS rows FROM core.core_quarantine"
        f" WHERE {among} GROUP BY ALL ORDER BY ALL"
    ).iter_rows(named=True):
        sheet, line = _mapped_at(city, done, row)
        place = f"{row['file_name']}{sheet}, row {row['file_row']}"
        _say(
            console,
            "!" if row["reason_code"] in NO_FAULT else "✗",
            f"{place} (city.yaml:{line}): {row['reason_en']}; {row['rows']:,} row(s)",
            f"{row['reason_he']} ({row['rows']:,} שורות)",
        )


def _told(done: Rehearsal, among: str, console: Console) -> None:
    """Print what was repaired or read otherwise than people see it, and what is odd as a whole."""
    repairs = done.table(f"SELECT * FROM core.core_repair WHERE {among} ORDER BY ALL")
    for row in repairs.iter_rows(named=True):
        column = f", {row['column_name']}" if row["column_name"] else ""
        _say(
            console,
            "!",
            f"{row['file_name']}{column}: {row['repair_en']} ({row['repaired_rows']:,} row(s), from"
            f" row {row['first_row']})",
            f"{row['repair_he']} ({row['repaired_rows']:,} שורות, משורה {row['first_row']})",
        )
    odd = done.table(f"SELECT * FROM core.core_file_finding WHERE {among} ORDER BY ALL")
    for row in odd.iter_rows(named=True):
        mark = "✗" if row["is_blocking"] else "!"
        _say(console, mark, f"{row['source_id']}: {row['finding_en']}", row["finding_he"])


def _columns(city: CityFolder, done: Rehearsal, chosen: list[str], console: Console) -> None:
    """Print each column by school year, and the header a draft of its mapping would name now.

    Of what is about persons the extremes are not shown, nor a middle of few.
    """
    console.rule("columns · עמודות: n, missing · חסר, min … median · חציון … max")
    fields = dictionary().fields
    for source_id in chosen:
        mappings = city.city.sources.get(source_id, ())
        if not mappings or source_id in done.unreadable:
            continue
        guessed = _guessed(city, source_id)
        contract = dictionary().contract(source_id).contract
        year = "school_year" if "school_year" in contract else "''"
        console.print(f"[bold]{source_id}[/bold] · {escape(dictionary().contract(source_id).he)}")
        for name in contract:
            mapped = next((m.columns[name] for m in mappings if name in m.columns), None)
            if mapped is None or name == year:
                continue
            guess = guessed.get(name)
            said = f"propose: {header_shown(guess)}" if guess else "propose: —"
            console.print(escape(f"  {name} · {fields[name].he} ← {header_shown(mapped)} ({said})"))
            for line in done.table(_profile(source_id, name, year)).iter_rows(named=True):
                console.print(escape("    " + _described(line, fields[name])))


def _profile(source_id: str, name: str, year: str) -> str:
    field = dictionary().fields[name]
    kind = "DATE" if field.type == "DATE" else "DOUBLE"
    is_open, typed = field.privacy != "personal", f"TRY_CAST({name} AS {kind})"
    is_level = field.type not in ("VARCHAR", "BOOLEAN")
    ends = [f"{end}({typed})" if is_level and is_open else "NULL" for end in ("min", "max")]
    middle = f"quantile_disc({typed}, 0.5)" if is_level else "NULL"
    return (
        f"SELECT {year} AS school_year, count({name}) AS n, count(*) - count({name}) AS missing,"
        f" {ends[0]} AS least, CASE WHEN {is_open} OR count({name}) >= {_FEW} THEN {middle} END AS"
        f" middle, {ends[1]} AS greatest, count(DISTINCT {name}) AS kinds"
        f" FROM {raw_name(source_id)} GROUP BY ALL ORDER BY ALL"
    )


def _described(line: dict[str, object], field: Field) -> str:
    year = f"{line['school_year']}: " if line["school_year"] else ""
    said = f"{year}n {line['n']:,}, missing {line['missing']:,}"
    if line["middle"] is None:
        return f"{said}, {line['kinds']:,} different"
    form = {"year": ".0f", "date": ""}.get(field.unit, ",.6g")
    levels = (line[name] for name in ("least", "middle", "greatest"))
    return f"{said}, " + " … ".join("–" if v is None else format(v, form) for v in levels)


def _guessed(city: CityFolder, source_id: str) -> dict[str, str]:
    """Return the header that a draft of the mapping would name for each column of a source now."""
    found = source_files(city, source_id, city.city.school_years.all())
    try:
        drawn = [rank(describe(layout.rows), [source_id])[0] for layout in layouts(found[-1][0])]
    except (UnreadableError, IndexError):
        return {}
    best = max(drawn, key=lambda candidate: candidate.score)
    return {name: guess.header for name, guess in best.guesses.items()}


def _mapped_at(city: CityFolder, done: Rehearsal, row: dict[str, object]) -> tuple[str, str]:
    """Return the sheet a column of a file stands on, and the line of city.yaml to look at."""
    source_id, column = str(row["source_id"]), str(row["column_name"])
    [(number,)] = done.connection.execute(
        "SELECT mapping_number FROM raw.raw_file WHERE source_id = ? AND file_name = ?",
        [source_id, row["file_name"]],
    ).fetchall()
    mapping = city.city.sources[source_id][number]
    sheet: str | int = mapping.sheet if mapping.format in ("xlsx", "xls") else ""
    option: tuple[str | int, ...] = ("columns", column)
    for place, other in enumerate(mapping.beside):
        if column in other.added:
            sheet, option = other.sheet, ("beside", place, "columns", column)
    if column in mapping.constants:
        option = ("constants", column)
    if row["reason_code"] == "skipped":
        option = ("skip_where", column)
    line = where_mapped(city, source_id, number, *option).removeprefix(
        str(city.folder / "city.yaml")
    )
    return (f", sheet {sheet}" if sheet != "" else ""), line.split(":")[1]


if __name__ == "__main__":
    raise SystemExit(main())
