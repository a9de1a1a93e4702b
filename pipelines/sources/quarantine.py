"""Set aside the rows that cannot be staged, each with a reason; nothing is dropped silently (R24).

The rules come from the field dictionary (required, type, allowed values, pattern, range, key), from
what the city knows (its schools, responses, goals and scales), and from what two columns of a row
say together. A row may have several reasons. The query is one pass over the raw table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipelines.settings.city import CityFolder
from pipelines.settings.fields import Field, Table, dictionary
from pipelines.sources.committee import committee_rules

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
    "skipped": (
        "לפי המיפוי אינה רשומה של המקור (skip_where)",
        "no record of this source, says its mapping (skip_where)",
    ),
    "total_row": ("שורת סיכום, אינה רשומה", "a total row, no record"),
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
# What the reader itself rejects; all but broken rows by design rather than by fault.
REJECTIONS = ("skipped", "total_row", "broken_row", "no_consent")
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
        scales: least and greatest possible score of each scale.
        last_grade: highest grade of an elementary school of the city.
        planning_year: the school year that the city plans for.
        indicators: ids of the indicators of need.
        releases: ids of all releases that were published; None = not known.
    """

    is_municipal: bool = False
    responses: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    last_grade: int = 12
    planning_year: int | None = None
    indicators: tuple[str, ...] = ()
    releases: tuple[str, ...] | None = None


def references_of(
    city: CityFolder,
    responses: tuple[str, ...],
    goals: tuple[str, ...],
    releases: tuple[str, ...] | None = None,
) -> References:
    """Return what a city knows, given the ids of its registry's responses and its goals file.

    `releases`: ids of all releases that were published, where that is known.
    """
    settings = city.city
    return References(
        is_municipal=settings.city.authority is None,
        responses=tuple(sorted({*city.policy.responses, *responses})),
        goals=tuple(sorted({*city.policy.goals, *goals})),
        scales={
            scale_id: (scale.min, scale.max)
            for scale_id, scale in settings.scales.items()
            if scale.min is not None and scale.max is not None
        },
        last_grade=settings.grades_per_school if settings.city.authority is None else 12,
        planning_year=city.policy.planning_year.value,
        indicators=tuple(city.policy.need.indicators),
        releases=releases,
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
        "assets__inventory",
        "hours_free_per_week",
        "hours_per_week",
        "more free hours than hours",
        "השעות הפנויות רבות מכלל השעות",
    ),
)


# Source → its scores, which have to lie on the scale that the row names.
_SCORES = {"tests__pupil_scores": "score", "tests__school_means": "score_mean"}


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
    for source, column, most, en, he in _CANNOT_EXCEED:
        if source == source_id:
            yield column, "implausible", f"{_number(column)} > {_number(most)}", en, he
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
    if item.privacy == "personal":
        shown = f"CASE WHEN {item.name} IS NULL THEN NULL ELSE '•••' END"
    return (
        f"SELECT {_text(source_id)} AS source_id, file_name, file_row, {_text(item.name)} AS"
        f" column_name, {_text(code)} AS reason_code, {shown} AS masked_value, {_text(he)} AS"
        f" reason_he, {_text(en)} AS reason_en FROM {relation} WHERE {condition}"
    )


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
        _reasons(source_id, fields[name], code, raw, condition, rule)
        for name in table.contract
        for code, condition, rule in _rules(
            fields[name], required=name not in table.contract_nullable
        )
    ]
    parts += [
        _reasons(source_id, fields[name], "unknown_reference", raw, condition, rule)
        for name, condition, rule in _references(source_id, table, known)
    ]
    parts += [
        _reasons(source_id, fields[name], code, raw, condition, rule, rule_he)
        for name, code, condition, rule, rule_he in _row_rules(source_id, known)
    ]
    key, content = ", ".join(table.key), ", ".join(table.contract)
    repeated = (
        f"SELECT {key} FROM {raw} WHERE {' AND '.join(f'{name} IS NOT NULL' for name in table.key)}"
        f" GROUP BY {key} HAVING count(*) > 1"
    )
    numbered = (
        f"(SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {content}, file_name, file_row)"
        f" AS copy, row_number() OVER (PARTITION BY {content} ORDER BY file_name, file_row) AS"
        f" same, count(*) OVER (PARTITION BY {key}) AS with_key, count(*) OVER (PARTITION BY"
        f" {content}) AS with_content FROM {raw} SEMI JOIN ({repeated}) USING ({key}))"
    )
    surplus = "copy > 1" if table.name in _KEEPS_ONE else "same > 1 OR with_key > with_content"
    parts.append(_reasons(source_id, fields[table.key[0]], "duplicate_key", numbered, surplus, key))
    return "\nUNION ALL\n".join(parts)


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
