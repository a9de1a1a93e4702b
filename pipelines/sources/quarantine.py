"""Set aside the rows that cannot be staged, each with a reason; nothing is dropped silently (R24).

The rules come from the field dictionary (required, type, allowed values, pattern, range, key), from
what the city knows (its schools, responses, goals and scales), and from what two columns of a row
say together. A row may have several reasons. The query is one pass over the raw table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import polars as pl

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import NO_FAULT, Field, Table, dictionary
from pipelines.sources.committee import committee_rules
from pipelines.sources.follow_up import TICKETS, WrongCell, follow_up_rules, wrong_cells
from pipelines.sources.people import OTHER, rules_of_people, rules_together
from pipelines.warehouse.database import all_threads

# reason code -> sentence in Hebrew and English; {he}/{name} is the column, {rule} what is expected.
SENTENCES = {
    "missing": ("בעמודה «{he}» חסר ערך שחייב להופיע", "column '{name}' is empty but required"),
    "bad_type": (
        "הערך בעמודה «{he}» אינו מהסוג הנדרש ({rule})",
        "column '{name}' is not of type {rule}",
    ),
    "not_allowed": (
        "הערך בעמודה «{he}» אינו ברשימת הערכים המותרים",
        "column '{name}' is not one of: {rule}",
    ),
    "bad_pattern": (
        "הערך בעמודה «{he}» אינו בתבנית הנדרשת",
        "column '{name}' does not match {rule}",
    ),
    "out_of_range": ("הערך בעמודה «{he}» מחוץ לטווח ({rule})", "column '{name}' is outside {rule}"),
    "duplicate_key": (
        "יש יותר משורה אחת עם אותו מפתח ({rule})",
        "more than one row has this key ({rule})",
    ),
    "unknown_reference": (
        "הערך בעמודה «{he}» אינו מוכר ({rule})",
        "column '{name}' is not known in {rule}",
    ),
    "outside_scale": (
        "הציון אינו אפשרי בסולם שלו ({rule})",
        "the score is not possible on its scale ({rule})",
    ),
    "implausible": ("הנתון אינו סביר: {rule_he}", "not plausible: {rule}"),
    "error_cell": (
        (
            "בתא יש שגיאה של הגיליון (#N/A, #REF! וכדומה) או נוסחה שתוצאתה לא נשמרה; יש לפתוח את"
            " הקובץ, לתקן ולשמור"
        ),
        (
            "the cell holds an error of the spreadsheet (#N/A, #REF! …) or a formula whose result"
            " was not stored: open the file, correct it and save it"
        ),
    ),
    "skipped": (
        "לפי המיפוי אינה רשומה של המקור (skip_where)",
        "no record of this source, says its mapping (skip_where)",
    ),
    "over_quota": (
        "נבחרו יותר מן המכסה ({rule_he}), ואין יודעים מה עודף; יש לברר מה להשאיר",
        "more were chosen than the quota ({rule}), and nobody can tell which; ask what to keep",
    ),
    "computed": (
        "השיקול בעמודה «{he}» מחושב מן הנתונים, ואין לדרג אותו ביד",
        "column '{name}' names a consideration that is computed from data and not scored by hand",
    ),
    "formula": (
        "הטקסט בעמודה «{he}» מתחיל כנוסחה של גיליון; יש למחוק את הסימן שבראשו (= + - @)",
        "column '{name}' begins as a spreadsheet's formula; delete the sign before it (= + - @)",
    ),
    "total_row": ("שורת סיכום, אינה רשומה", "a total row, no record"),
    "footnote": ("הערה מתחת לטבלה, אינה רשומה", "a note below the table, no record"),
    "repeated_header": ("שורת הכותרות שוב, אינה רשומה", "the header once more, no record"),
    "broken_row": (
        (
            "מספר העמודות בשורה אינו כמספר הכותרות, או שיש בה מירכאות פתוחות או תווים שאינם בקידוד"
            " הקובץ"
        ),
        (
            "the row has not as many fields as the header, or an open quotation mark, or bytes that"
            " are not in the file's encoding"
        ),
    ),
    "no_consent": (
        "אין הסכמה לציטוט, ולכן תוכן השורה לא נשמר",
        "nobody consented to being quoted, so the row's content was not stored",
    ),
}
# What the reader itself rejects, by design or by fault.
REJECTIONS = (*NO_FAULT, "broken_row", "error_cell")
# Of several rows with one key these tables keep one, the first by content: without a register row a
# whole school would be lost. Elsewhere nobody can tell which of the rows is right.
_KEEPS_ONE = ("stg_register__schools", "stg_programmes__registry")


@dataclass(frozen=True)
class References:
    """What a city knows, against which its rows are held.

    Attributes:
        is_municipal: whether the registers list this city's own schools, so that an unknown
            institution code is a fault; national files hold schools of other authorities too.
        responses: ids of the policy and the registry.
        goals: ids of the department goals; empty if the city states none.
        needs: ids of the policy's needs.
        groups: ids of the policy's groups of pupils.
        scales: least and greatest possible score of each scale.
        last_grade: highest grade of an elementary school of the city.
        last_year: the latest school year a row may speak of, that of the plan.
        planning_year: the school year that the city plans for.
        indicators: ids of the indicators of need.
        releases: ids of all releases that were published; None = not known.
        kept: the folder of what is kept of every release; None = not known.
        wrong_cells: what tickets say of cells that are not there.
    """

    is_municipal: bool = False
    responses: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    last_grade: int = 12
    last_year: int = 2100
    planning_year: int | None = None
    indicators: tuple[str, ...] = ()
    releases: tuple[str, ...] | None = None
    kept: Path | None = None
    wrong_cells: tuple[WrongCell, ...] = ()

    def with_wrong_cells(self, source_id: str, rows: pl.DataFrame) -> References:
        """Return the same with what tickets say wrongly, if these are the rows of tickets."""
        if source_id != TICKETS:
            return self
        return replace(self, wrong_cells=wrong_cells(rows, self.kept))


def references_of(
    city: CityFolder,
    responses: tuple[str, ...],
    goals: tuple[str, ...],
    releases: tuple[str, ...] | None = None,
    kept: Path | None = None,
) -> References:
    """Return what a city knows, given the ids of its registry's responses and its goals file.

    `releases`: ids of all releases that were published, and `kept`: the folder of those that are
    kept, where that is known.
    """
    settings = city.city
    return References(
        is_municipal=settings.city.is_municipal,
        responses=tuple(sorted({*city.policy.responses, *responses})),
        goals=tuple(sorted({*city.policy.goals, *goals})),
        needs=tuple(sorted(city.policy.response_map.needs)),
        groups=tuple(sorted(city.policy.groups)),
        scales={
            scale_id: (scale.min, scale.max)
            for scale_id, scale in settings.scales.items()
            if scale.min is not None and scale.max is not None
        },
        last_grade=settings.grades_per_school if settings.city.is_municipal else 12,
        last_year=max(city.planning_year, settings.school_years.last),
        planning_year=city.policy.planning_year.value,
        indicators=tuple(city.policy.need.indicators),
        releases=releases,
        kept=kept,
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(map(_text, values))


def _rules(item: Field, *, required: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (reason code, SQL condition that is true for a bad value, what is expected)."""
    value, typed = item.name, f"TRY_CAST({item.name} AS {item.type})"
    if required:
        yield "missing", f"{value} IS NULL", ""
    if item.type in ("INTEGER", "BIGINT"):
        # A bare TRY_CAST would round 2.5 to 3 without a word.
        yield "bad_type", f"NOT regexp_full_match({value}, '[+-]?[0-9]+([.]0*)?')", "whole number"
    elif item.type != "VARCHAR":
        not_finite = f" OR NOT isfinite({typed})" if item.type == "DOUBLE" else ""
        yield (
            "bad_type",
            f"{value} IS NOT NULL AND ({typed} IS NULL{not_finite})",
            item.type.lower(),
        )
    if item.allowed:
        listed = _listed(tuple(map(str, item.allowed)))
        yield "not_allowed", f"{value} NOT IN ({listed})", ", ".join(map(str, item.allowed))
    if item.pattern:
        yield "bad_pattern", f"NOT regexp_full_match({value}, {_text(item.pattern)})", item.pattern
    if item.min is not None or item.max is not None:
        low = "" if item.min is None else f"{typed} < {item.min}"
        high = "" if item.max is None else f"{typed} > {item.max}"
        rule = f"{'' if item.min is None else item.min}…{'' if item.max is None else item.max}"
        outside = " OR ".join(part for part in (low, high) if part)
        # NaN sorts above every number; it has its own reason already.
        finite = f"isfinite({typed}) AND " if item.type == "DOUBLE" else ""
        yield "out_of_range", f"{finite}({outside})", rule


def _references(source_id: str, table: Table, known: References) -> Iterator[tuple[str, str, str]]:
    """Yield (column, condition, where it should be known) for codes that nobody registered."""
    if "response_id" in table.contract and known.responses and source_id != "programmes__registry":
        yield (
            "response_id",
            f"response_id NOT IN ({_listed(known.responses)})",
            "the registry of responses",
        )
    if "goal_id" in table.contract and known.goals and source_id != "aim__goals":
        yield "goal_id", f"goal_id NOT IN ({_listed(known.goals)})", "the department goals"
    if "need_id" in table.contract and known.needs:
        yield "need_id", f"need_id NOT IN ({_listed((*known.needs, OTHER))})", "the needs"
    if "group_id" in table.contract and known.groups:
        yield "group_id", f"group_id NOT IN ({_listed(known.groups)})", "the groups of pupils"
    if "semel_mosad" in table.contract and known.is_municipal and source_id != "register__schools":
        registered = (
            "SELECT semel_mosad FROM raw.raw_register__schools WHERE semel_mosad IS NOT NULL"
        )
        if source_id != "register__merges":
            registered += (
                " UNION SELECT semel_mosad_old FROM raw.raw_register__merges WHERE semel_mosad_old"
                " IS NOT NULL"
            )
        # Before the register itself is loaded nothing can be held against it.
        is_loaded = "EXISTS (SELECT 1 FROM raw.raw_register__schools)"
        yield (
            "semel_mosad",
            f"{is_loaded} AND semel_mosad NOT IN ({registered})",
            "the register of schools",
        )


# Source, column, the column of the same row that it cannot exceed, the rule in English and Hebrew.
_CANNOT_EXCEED = (
    (
        "attendance__pupil_years",
        "absence_days",
        "school_days",
        "more absence days than school days",
        "ימי ההיעדרות רבים מימי הלימוד",
    ),
    (
        "attendance__pupil_years",
        "absence_days_justified",
        "absence_days",
        "more justified absence days than absence days",
        "ימי ההיעדרות המוצדקת רבים מימי ההיעדרות",
    ),
    (
        "finance__school_money",
        "gefen_nis",
        "ministry_nis",
        "a Gefen basket of more than all the Ministry's money",
        'סל גפ"ן גדול מכל כספי המשרד',
    ),
    (
        "assets__inventory",
        "hours_free_per_week",
        "hours_per_week",
        "more free hours than hours",
        "השעות הפנויות רבות מכלל השעות",
    ),
)


# Source → its scores, which have to lie on the scale that the row names.
_SCORES = {"tests__pupil_scores": "score", "tests__school_means": "score_mean"}
# Source → the day that lies in the school year of its row.
_DAYS = {"tests__pupil_scores": "test_date", "voice__excerpts": "collected_on"}
# Money that nobody owes: a negative sum is a correction, and no budget line.
_NEVER_NEGATIVE = ("finance__budget_lines", "finance__school_money")
# What a spreadsheet makes of 4-1.
_MONTH = (
    "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    "|ינו|פבר|מרץ|אפר|מאי|יונ|יול|אוג|ספט|אוק|נוב|דצמ)[\\w׳']*"
)
_DATE_LIKE = (
    rf"(?i)\d{{1,2}}[-/. ]?{_MONTH}([-/. ]?\d{{2,4}})?|{_MONTH}[-/. ]?\d{{1,2}}"
    r"|\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
)


def _number(name: str) -> str:
    return f"TRY_CAST({name} AS DOUBLE)"


def _row_rules(source_id: str, known: References) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (column, reason code, condition, rule in English, in Hebrew) over several columns."""
    for column, condition, en, he in committee_rules(
        source_id,
        planning_year=known.planning_year,
        indicators=known.indicators,
        releases=known.releases,
    ):
        yield column, "implausible", condition, en, he
    yield from follow_up_rules(
        source_id,
        planning_year=known.planning_year,
        responses=known.responses,
        is_municipal=known.is_municipal,
        releases=known.releases,
        wrong=known.wrong_cells,
    )
    for source, column, most, en, he in _CANNOT_EXCEED:
        if source == source_id:
            yield column, "implausible", f"{_number(column)} > {_number(most)}", en, he
    if source_id in _NEVER_NEGATIVE:
        for column in dictionary().contract(source_id).contract:
            if column.endswith("_nis"):
                yield (
                    column,
                    "implausible",
                    f"{_number(column)} < 0",
                    "a negative sum",
                    "סכום שלילי",
                )
    if {"school_year", "semel_mosad"} <= set(dictionary().contract(source_id).contract):
        yield (
            "school_year",
            "implausible",
            f"{_number('school_year')} BETWEEN {known.last_year + 1} AND 2100",
            f"a school year after {known.last_year}, the year of the plan",
            f"שנת לימודים שאחרי {known.last_year}, שנת התכנון",
        )
    if source_id in _DAYS:
        day = f"TRY_CAST({_DAYS[source_id]} AS DATE)"
        year = "TRY_CAST(school_year AS INTEGER)"
        yield (
            _DAYS[source_id],
            "implausible",
            f"{year} BETWEEN 2000 AND 2100 AND {day} NOT BETWEEN make_date({year} - 1, 9, 1) AND"
            f" make_date({year}, 8, 31)",
            "a day outside the row's school year (1 September to 31 August)",
            "תאריך מחוץ לשנת הלימודים של השורה (1 בספטמבר עד 31 באוגוסט)",
        )
    if source_id == "register__pupils":
        yield (
            "class_id",
            "implausible",
            f"regexp_full_match(class_id, {_text(_DATE_LIKE)})",
            "a class that a spreadsheet has made a date of: save the column as text",
            "כיתה שהגיליון הפך לתאריך: יש לשמור את העמודה כטקסט",
        )
    if source_id in _SCORES:
        column = _SCORES[source_id]
        score = _number(column)
        for scale_id, (low, high) in sorted(known.scales.items()):
            # A share between 0 and 1 on a scale of hundreds was written in another unit.
            share = f" OR ({score} > 0 AND {score} < 1)" if high >= 100 else ""
            outside = f"{score} < {low} OR {score} > {high}{share}"
            condition = f"scale_id = {_text(scale_id)} AND ({outside})"
            rule = f"{scale_id}: {low:g}…{high:g}"
            yield column, "outside_scale", condition, rule, rule
    if source_id == "tests__school_means":
        yield (
            "score_mean",
            "implausible",
            f"{_number('score_mean')} = 0 OR {_number('tested_pupils')} = 0",
            "a mean of 0, or of no tested pupil: write nothing where a school was not measured",
            "ממוצע 0, או ממוצע בלי נבחנים: יש להשאיר ריק היכן שבית הספר לא נמדד",
        )
    grade = _number("grade")
    if source_id in ("register__pupils", "tests__pupil_scores", "attendance__exits"):
        yield (
            "grade",
            "implausible",
            f"{grade} > {known.last_grade}",
            f"a grade above {known.last_grade} in an elementary school",
            f"שכבה מעל {known.last_grade} בבית ספר יסודי",
        )
    if source_id == "register__pupils":
        age_at_start = f"{_number('school_year')} - {_number('birth_year')} - {grade}"
        yield (
            "birth_year",
            "implausible",
            f"({age_at_start}) NOT BETWEEN 4 AND 8",
            "the birth year does not fit the grade",
            "שנת הלידה אינה מתאימה לשכבה",
        )


def _reasons(
    source_id: str,
    item: Field,
    code: str,
    relation: str,
    condition: str,
    rule: str,
    rule_he: str = "",
) -> str:
    he, en = (
        sentence.format(he=item.he, name=item.name, rule=rule, rule_he=rule_he)
        for sentence in SENTENCES[code]
    )
    shown = f"left({item.name}, 60)"
    if item.privacy == "personal" or code == "formula":
        shown = f"CASE WHEN {item.name} IS NULL THEN NULL ELSE '•••' END"
    return (
        f"SELECT {_text(source_id)} AS source_id, file_name, file_row, {_text(item.name)} AS"
        f" column_name, {_text(code)} AS reason_code, {shown} AS masked_value, {_text(he)} AS"
        f" reason_he, {_text(en)} AS reason_en FROM {relation} WHERE {condition}"
    )


def _row_conditions(source_id: str, known: References) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (column, reason code, condition, rule in English, in Hebrew) over a row's values."""
    table, fields = dictionary().contract(source_id), dictionary().fields
    for name in table.contract:
        required = name not in table.contract_nullable
        for code, condition, rule in _rules(fields[name], required=required):
            yield name, code, condition, rule, ""
    for name, condition, rule in _references(source_id, table, known):
        yield name, "unknown_reference", condition, rule, ""
    yield from _row_rules(source_id, known)
    yield from rules_of_people(source_id, known.planning_year)


def quarantine_query(source_id: str, raw: str, known: References | None = None) -> str:
    """Return the SELECT of `raw_quarantine` rows for one source over its raw table.

    Of exact copies of a row one is kept. Rows that share a key but not their content are all set
    aside, but for the registers, of which the first by content stays; so the order of rows in a
    file never decides anything.
    """
    known = known or References()
    table: Table = dictionary().contract(source_id)
    fields = dictionary().fields
    parts = [
        _reasons(source_id, fields[name], code, raw, condition, rule, rule_he)
        for name, code, condition, rule, rule_he in _row_conditions(source_id, known)
    ]
    key, content = ", ".join(table.key), ", ".join(table.contract)
    each = f"(SELECT DISTINCT {content} FROM {raw})"  # copies of a row are one row
    parts += [
        _reasons(
            source_id,
            fields[name],
            code,
            _sharing(raw, each, by, having),
            f"{name} IS NOT NULL",
            rule,
            rule_he,
        )
        for name, code, by, having, rule, rule_he in rules_together(source_id)
    ]
    repeated = _sharing(raw, raw, table.key, "count(*) > 1", table.contract_nullable)
    numbered = (
        f"(SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {content}, file_name, file_row)"
        f" AS copy, row_number() OVER (PARTITION BY {content} ORDER BY file_name, file_row) AS"
        f" same, count(*) OVER (PARTITION BY {key}) AS with_key, count(*) OVER (PARTITION BY"
        f" {content}) AS with_content FROM {repeated})"
    )
    surplus = "copy > 1" if table.name in _KEEPS_ONE else "same > 1 OR with_key > with_content"
    parts.append(_reasons(source_id, fields[table.key[0]], "duplicate_key", numbered, surplus, key))
    return "\nUNION ALL\n".join(parts)


def suspect_rows(
    connection: duckdb.DuckDBPyConnection, source_id: str, raw: str, known: References
) -> str:
    """Make a table of the rows of a large raw table that some rule may set aside; return its name.

    It has every row that `quarantine_query` would name, and all that share a key, so the query
    finds the same in it. Each rule is asked of the distinct values of the columns that it reads,
    and keys are compared by a hash of 64 bits.
    """
    import sqlglot  # for large tables alone; it takes a while
    from sqlglot import exp

    table = dictionary().contract(source_id)
    if list(rules_together(source_id)):
        raise ValueError(f"{source_id}: rules over several rows are not asked of large tables")
    by_columns: dict[tuple[str, ...], list[str]] = {}
    for name, _, condition, *_ in _row_conditions(source_id, known):
        if dictionary().fields[name].door == "hash" and "IS NULL" not in condition:
            continue  # the door made it
        named = sqlglot.parse_one(condition, dialect="duckdb").find_all(exp.Column)
        own = {column.name for column in named} & set(table.contract)
        by_columns.setdefault(tuple(sorted(own)), []).append(condition)
    connection.execute("CREATE OR REPLACE TEMP TABLE suspect_row (id BIGINT)")
    with all_threads(connection):
        for reads, conditions in by_columns.items():
            bad = " OR ".join(f"({condition})" for condition in conditions)
            listed = ", ".join(reads)
            if any(dictionary().fields[name].door == "hash" for name in reads):
                found = f"SELECT rowid FROM {raw} WHERE {bad}"
            else:
                connection.execute(
                    "CREATE OR REPLACE TEMP TABLE bad_value AS WITH given AS MATERIALIZED (SELECT"
                    f" DISTINCT {listed} FROM {raw}) SELECT * FROM given WHERE {bad}"
                )
                if not connection.sql("SELECT count(*) FROM bad_value").fetchall()[0][0]:
                    continue
                same = " AND ".join(
                    f"held.{name} IS NOT DISTINCT FROM bad_value.{name}" for name in reads
                )
                found = f"SELECT held.rowid FROM {raw} AS held SEMI JOIN bad_value ON {same}"
            connection.execute(f"INSERT INTO suspect_row {found}")
        key = f"hash({', '.join(table.key)})"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE shared_key AS SELECT {key} AS shared FROM {raw} GROUP BY"
            " shared HAVING count(*) > 1"
        )
        if connection.sql("SELECT count(*) FROM shared_key").fetchall()[0][0]:
            connection.execute(
                f"INSERT INTO suspect_row SELECT held.rowid FROM {raw} AS held SEMI JOIN shared_key"
                f" ON {key} = shared"
            )
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE suspect AS SELECT * FROM {raw} WHERE rowid IN (SELECT id"
            " FROM suspect_row)"
        )
    return "suspect"


def _sharing(
    raw: str, counted: str, by: Sequence[str], having: str, may_lack: frozenset[str] = frozenset()
) -> str:
    """Return the rows of which those that share some columns meet a condition together.

    A row that lacks one of the columns shares nothing, unless the column may be empty.
    """
    given = " AND ".join(f"{name} IS NOT NULL" for name in by if name not in may_lack)
    same = " AND ".join(
        f"held.{name} {'IS NOT DISTINCT FROM' if name in may_lack else '='} found.{name}"
        for name in by
    )
    listed = ", ".join(by)
    shared = f"SELECT {listed} FROM {counted} WHERE {given} GROUP BY {listed} HAVING {having}"
    return f"(SELECT held.* FROM {raw} AS held SEMI JOIN ({shared}) AS found ON {same})"


def rejected_query(source_id: str, rejected: str) -> str:
    """Return the SELECT of `raw_quarantine` rows for the rows that were rejected at reading."""
    hebrew, english = (
        " ".join(f"WHEN {_text(code)} THEN {_text(SENTENCES[code][place])}" for code in REJECTIONS)
        for place in (0, 1)
    )
    return (
        f"SELECT {_text(source_id)}, file_name, file_row, coalesce(column_name, ''), reason_code,"
        f" CAST(NULL AS VARCHAR), CASE reason_code {hebrew} END, CASE reason_code {english} END"
        f" FROM {rejected}"
    )
