"""What a row that people fill in must say, beside its types: cards, considerations, forms, wheel.

A row that breaks a rule is set aside with a sentence in both languages (R69–R78). Rules are SQL
conditions over the raw table of their source, true for a bad row.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.settings.fields import dictionary
from pipelines.sources.committee import cycle_rules

OTHER = "other"
"""A need or consideration that is in no list."""
Rule = tuple[str, str, str, str, str]
"""Column, reason code, condition, the rule in English and in Hebrew (empty: the code says all)."""
# What a spreadsheet takes for a formula; a hyphen before Hebrew words begins a list.
_FORMULA = r"^\s*([=+@＝＋＠]|[-−–]\s*[0-9A-Za-z(=+@|])"
_NUMBER = r"[-+−]?[0-9]+([.,][0-9]+)*%?"
# What data give of a response; the others are scored by people (R71).
_COMPUTED = ("pooling", "corrective_preference", "short_term", "long_term", "breadth")
_PER_PERSON = ("planning_year", "participant_hash")


def rules_of_people(source_id: str, planning_year: int | None) -> Iterator[Rule]:
    """Yield what rows of a source that people fill in must satisfy; nothing for other sources.

    Args:
        source_id: the logical source.
        planning_year: the year the city plans for; None = not known here.
    """
    table = dictionary().contract(source_id)
    if not table.form:
        return
    has = set(table.contract).issuperset
    for name in table.contract:
        if dictionary().fields[name].door == "mask":
            is_number = f"regexp_full_match({name}, '{_NUMBER}')"
            begun = f"regexp_matches({name}, '{_FORMULA}') AND NOT {is_number}"
            yield name, "formula", begun, "", ""
    if has(("planning_year", "said_on")):
        for column, condition, en, he in cycle_rules("said_on", planning_year):
            yield column, "implausible", condition, en, he
    if has(("role", "voice_mode")):
        yield "role", "missing", "role IS NULL AND voice_mode = 'single'", "", ""
    if has(("role", "group_id")):
        yield "group_id", "missing", "group_id IS NULL AND role = 'group_rep'", "", ""
    if has(("consideration", "consideration_he")):
        free = f"consideration_he IS NULL AND consideration = '{OTHER}'"
        yield "consideration_he", "missing", free, "", ""
    match source_id:
        case "voice__cards":
            neither = "response_id IS NULL AND new_response_he IS NULL"
            yield "response_id", "missing", neither, "", ""
            yield (
                "new_response_he",
                "implausible",
                "response_id IS NOT NULL AND new_response_he IS NOT NULL",
                "a card is of one response: of the registry, or a new one",
                "כרטיס הוא של מענה אחד: רשום או חדש",
            )
        case "voice__consideration_scores":
            yield "consideration", "computed", f"consideration IN {_COMPUTED}", "", ""
        case "voice__forms":
            roles = dictionary().families["families"]
            yield "role", "not_allowed", f"role NOT IN {roles}", ", ".join(roles), ""
        case "voice__practices":
            yield (
                "practice_since",
                "implausible",
                "TRY_CAST(practice_since AS INTEGER) > year(TRY_CAST(said_on AS DATE)) + 1",
                "a practice that begins after it was told",
                "הפרקטיקה מתחילה אחרי שסופר עליה",
            )


def rules_together(
    source_id: str,
) -> Iterator[tuple[str, str, tuple[str, ...], str, str, str]]:
    """Yield what the rows of one person must satisfy together.

    Nobody can tell which rows are too many, so all that share the columns are set aside.

    Returns:
        Column, reason code, the columns that rows share, the condition of too much of them (SQL
        behind HAVING), the rule in English and Hebrew.
    """
    match source_id:
        case "voice__cards":
            quotas = dictionary().quotas
            cases = " ".join(f"WHEN '{name}' THEN {most}" for name, most in quotas.items())
            listed = "/".join(map(str, sorted(quotas.values(), reverse=True)))
            yield (
                "card_category",
                "over_quota",
                (*_PER_PERSON, "card_category"),
                f"count(DISTINCT (response_id, new_response_he)) > CASE card_category {cases} END",
                f"{listed} cards by category",
                f"{listed} כרטיסים לפי הקטגוריה",
            )
        case "voice__forms":
            yield (
                "need_priority",
                "over_quota",
                (*_PER_PERSON, "need_priority"),
                "count(DISTINCT need_id) > 1",
                "one need a priority",
                "צורך אחד לכל עדיפות",
            )
        case "voice__considerations":
            yield (
                "consideration_weight",
                "implausible",
                _PER_PERSON,
                "sum(TRY_CAST(consideration_weight AS DOUBLE)) > 100",
                "more than 100 points over the considerations of one who gives them",
                "ממלא אחד חילק יותר מ־100 נקודות",
            )
