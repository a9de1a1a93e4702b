"""What a row about the committee's work must say, beside its types: decisions, meetings, letters.

A row that breaks a rule is set aside with a sentence in both languages (R100, R83). Rules are SQL
conditions over the raw table of their source, true for a bad row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipelines.settings.fields import dictionary
from pipelines.settings.policy_rules import SHARES

Rule = tuple[str, str, str, str]
"""Column, condition, the rule in English and in Hebrew."""
_DAYS = {
    "decide__log": "decided_on",
    "decide__meetings": "held_on",
    "finance__confirmations": "confirmed_on",
}
# Who answers for the money of a channel; others' money is theirs.
_ANSWERS_FOR = {
    "gefen_school": "principal",
    "ministry_other": "ministry",
    "partner_ngo": "partner",
    "parents": "parents_committee",
    "municipal_own": "treasurer",
    "gefen_municipal": "treasurer",
    "mifal_hapais": "treasurer",
}
_PERCENT = (
    "TRY_CAST(decision_value AS DOUBLE) IS NULL"
    " OR TRY_CAST(decision_value AS DOUBLE) NOT BETWEEN 0 AND 100"
)


def committee_rules(
    source_id: str,
    *,
    planning_year: int | None,
    indicators: Sequence[str],
    releases: Sequence[str] | None,
) -> Iterator[Rule]:
    """Yield what rows of a source of the committee must satisfy; nothing for other sources.

    Args:
        source_id: the logical source.
        planning_year: the year the city plans for; None = not known here.
        indicators: ids of the indicators of need, of which some may be in focus.
        releases: ids of all releases that were published; None = not known here.
    """
    if source_id not in _DAYS:
        return
    yield from cycle_rules(_DAYS[source_id], planning_year)
    if releases is not None and source_id != "finance__confirmations":
        yield (
            "release_id",
            f"release_id IS NOT NULL AND {_not_in('release_id', releases)}",
            "nobody published a release of this name",
            "לא פורסם פרסום בשם זה",
        )
    match source_id:
        case "decide__log":
            yield from _decisions(indicators)
        case "finance__confirmations":
            yield from _letters()


def cycle_rules(day: str, planning_year: int | None) -> Iterator[Rule]:
    """Yield what a row of a cycle must satisfy: its day lies within, and the city plans its year.

    Args:
        day: column of the day.
        planning_year: the year the city plans for; None = not known here.
    """
    year = "TRY_CAST(planning_year AS INTEGER)"
    # A cycle begins with the school year before the one it plans, and ends with the one it plans.
    first, last = f"make_date({year} - 2, 9, 1)", f"make_date({year}, 8, 31)"
    yield (
        day,
        f"TRY_CAST({day} AS DATE) NOT BETWEEN {first} AND {last}",
        "the day lies outside the cycle of its planning year (September two years before it to"
        " August of it)",
        "היום מחוץ למחזור של שנת התכנון (מספטמבר שנתיים לפניה ועד אוגוסט שלה)",
    )
    if planning_year is not None:
        yield (
            "planning_year",
            f"{year} > {planning_year}",
            f"the city does not plan that year yet; it plans {planning_year}",
            f"שנה זו עדיין אינה מתוכננת בעיר; מתוכננת {planning_year}",
        )


def _decisions(indicators: Sequence[str]) -> Iterator[Rule]:
    known = dictionary().fields
    decided = tuple(map(str, known["decision"].allowed))
    stages = tuple(map(str, known["stage_id"].allowed))
    named = {
        "focus": (
            f"{_not_in('decision_object', indicators)} OR {_PERCENT}",
            "a focus names an indicator of need and its weight, 0 to 100 percent",
            "מוקד נוקב במחוון של הצורך ובמשקלו, 0 עד 100 אחוזים",
        ),
        "scenario": (
            "TRUE",
            "a plan or scenario is decided with `make decide`, which keeps it; the log does not",
            "על תוכנית או תרחיש מחליטים בפקודה make decide, ששומרת אותם; ביומן אין די בכך",
        ),
        "response": (
            "response_id IS NULL OR decision_value IS NULL OR NOT regexp_full_match(decision_value,"
            f" '{'|'.join(decided)}|keep:[0-9]{{1,9}}')",
            f"a decision on a response names it and says {', '.join(decided)}, or keep:<NIS a year>"
            " of one that no measure judges",
            "החלטה על מענה נוקבת בו ואומרת: לשמר, לשנות, לוותר או להעריך; ולמענה שאין לו מדד אפשר"
            " לכתוב keep:<סכום בש״ח>",
        ),
        "override": (
            "response_id IS NULL OR semel_mosad IS NULL OR decision_value IS NULL OR NOT"
            " regexp_full_match(decision_value, 'forced(:[1-9])?|forbidden')",
            "a decision by hand names a response and a school, and says forced, forced:<dose level>"
            " or forbidden",
            "החלטה ידנית נוקבת במענה ובבית ספר, ואומרת forced, forced:<רמת מינון> או forbidden",
        ),
        "share": (
            f"{_not_in('decision_object', SHARES)} OR {_PERCENT}",
            f"a share is one of {', '.join(SHARES)}, in percent from 0 to 100",
            f"חלק הוא אחד מאלה: {', '.join(SHARES)}, באחוזים מ־0 עד 100",
        ),
        "stage": (
            f"{_not_in('decision_object', stages)} OR"
            f" {_not_in('decision_value', ('closed', 'reopened'))}",
            f"a stage is one of {', '.join(stages)}, and is closed or reopened",
            f"שלב הוא אחד מאלה: {', '.join(stages)}, והוא closed או reopened",
        ),
        "goal": (
            f"decision_object IS NULL OR {_not_in('decision_value', ('adopted', 'dropped'))}",
            "a goal is named and is adopted or dropped",
            "יש לנקוב ביעד ולכתוב adopted או dropped",
        ),
        "criterion": (
            "decision_object IS NULL OR decision_value IS NULL OR NOT"
            " regexp_full_match(decision_value, '[0-9]+|dropped')",
            "a criterion is named with the version that holds, or dropped",
            "יש לנקוב בקריטריון ובגרסה שתחול, או dropped",
        ),
    }
    for kind, (condition, en, he) in named.items():
        yield "decision_kind", f"decision_kind = '{kind}' AND ({condition})", en, he
    yield (
        "votes_for",
        "TRY_CAST(votes_for AS INTEGER) <= TRY_CAST(votes_against AS INTEGER)",
        "not more votes for than against: what was not carried is no decision",
        "אין יותר קולות בעד מנגד: מה שלא עבר אינו החלטה",
    )
    raw = "raw.raw_decide__log"
    yield (
        "replaces_id",
        f"replaces_id = decision_id OR (NOT starts_with(replaces_id, 'decisions/') AND replaces_id"
        f" NOT IN (SELECT decision_id FROM {raw} WHERE decision_id IS NOT NULL))",
        "it replaces itself, or a decision that is not in the log",
        "ההחלטה מחליפה את עצמה, או החלטה שאינה ביומן",
    )
    mine = (
        "planning_year",
        "decision_kind",
        "decision_object",
        "response_id",
        "semel_mosad",
    )
    same = " AND ".join(f"other.{name} IS NOT DISTINCT FROM given.{name}" for name in mine)
    yield (
        "replaces_id",
        "replaces_id IN (SELECT replaces_id FROM"
        f" {raw} WHERE replaces_id IS NOT NULL GROUP BY replaces_id HAVING count(*) > 1)",
        "two decisions replace the same one: the later of them replaces the earlier",
        "שתי החלטות מחליפות אותה החלטה: המאוחרת מחליפה את המוקדמת",
    )
    yield (
        "replaces_id",
        "decision_id IN (SELECT given.decision_id FROM"
        f" {raw} AS given JOIN {raw} AS other ON other.decision_id = given.replaces_id"
        f" WHERE NOT ({same}) OR other.decided_on > given.decided_on)",
        "it replaces a decision on another thing, or a later one",
        "ההחלטה מחליפה החלטה על דבר אחר, או החלטה מאוחרת ממנה",
    )
    yield (
        "replaces_id",
        "replaces_id IS NULL AND decision_id IN (SELECT given.decision_id FROM"
        f" {raw} AS given JOIN {raw} AS other ON {same}"
        " AND other.replaces_id IS DISTINCT FROM given.decision_id AND other.decision_reason IS NOT"
        " NULL AND (other.decided_on, other.decision_id) < (given.decided_on, given.decision_id))",
        "a second decision on the same thing: say in replaces_id which one it replaces",
        "החלטה שנייה על אותו דבר: יש לכתוב ב־replaces_id איזו החלטה היא מחליפה",
    )


def _letters() -> Iterator[Rule]:
    answers = " ".join(f"WHEN '{channel}' THEN '{who}'" for channel, who in _ANSWERS_FOR.items())
    yield (
        "confirmed_by",
        f"confirmed_by <> CASE funding_channel {answers} END",
        "who answers for the money of this channel is somebody else: "
        + ", ".join(f"{channel} {who}" for channel, who in _ANSWERS_FOR.items()),
        'על הכסף של ערוץ זה עונה מישהו אחר: מנהל/ת בית הספר על סל הגפ"ן שלו, המשרד, השותף או ועד'
        " ההורים על כספם, והגזבר/ית על כספי הרשות",
    )
    yield (
        "semel_mosad",
        "funding_channel = 'gefen_school' AND semel_mosad IS NULL",
        "a Gefen basket is one school's: name the school",
        'סל גפ"ן הוא של בית ספר אחד: יש לכתוב את סמל המוסד',
    )
    amount = "TRY_CAST(confirmed_nis AS DOUBLE)"
    yield (
        "confirmed_nis",
        f"confirmation_word = 'confirmed' AND coalesce({amount}, 0) <= 0",
        "what is confirmed has an amount above 0",
        "לאישור נדרש סכום גדול מ־0",
    )
    yield (
        "confirmed_nis",
        f"confirmation_word <> 'confirmed' AND {amount} IS NOT NULL",
        "what is refused or withdrawn has no amount",
        "לסירוב או לחזרה מאישור אין סכום",
    )


def _not_in(column: str, values: Sequence[str]) -> str:
    listed = ", ".join(f"'{value}'" for value in values) or "NULL"
    return f"({column} IS NULL OR NOT coalesce({column} IN ({listed}), FALSE))"
