"""The main findings of a release, in Hebrew and English sentences made from the marts.

Each sentence carries its n and says how sure it is; none of them reads an association as an effect.
"""

from __future__ import annotations

import polars as pl

from models.hebrew import counted
from models.keys import WHOLE
from pipelines.act.not_measured import BANDS_ONLY
from pipelines.publish import words
from pipelines.settings.city import CityFolder
from pipelines.settings.evidence import ASSUMED
from pipelines.settings.fields import dictionary
from pipelines.warehouse.tables import Step, Tables, table_of

# What "most" means (`meanings:` in sql/fields.yaml).
_MOST = 0.5


def main_findings(tables: Tables) -> pl.DataFrame:
    """Return what the plan stands on, and after it the findings: gaps, money, what is missing.

    Where people say one thing and the plan does another, that is told too.
    """
    sentences = [_gaps(tables), _money(tables), *_unmet(tables), _blind(tables)][:3]
    found = [_stands_on(tables), *sentences, *_voices(tables)]
    return table_of(
        "mart_finding",
        [(order, he, en, table) for order, (he, en, table) in enumerate(found, start=1)],
    )


def _stands_on(tables: Tables) -> tuple[str, str, str]:
    """Say how much of the plan hangs on assumptions, and whose they are (R124).

    Money hangs on an assumed envelope where the parameter of its channel names no source, and on
    assumed costs where those of the response do not; worth hangs on what its effects rest on.
    """
    certificate = tables["mart_allocation_certificate"].row(0, named=True)
    total = certificate["cost_agorot"]
    parameters = tables["mart_parameter"].filter(
        pl.col("parameter_id").str.contains(r"^policy\.channels\.\w+\.(budget|per_pupil)$")
    )
    envelopes = parameters.select(
        funding_channel=pl.col("parameter_id").str.split(".").list.get(2),
        is_assumed=pl.col("source").str.starts_with(ASSUMED),
    ).filter("is_assumed")["funding_channel"]
    channels = tables["mart_allocation_channel"].filter(
        pl.col("funding_channel").is_in(envelopes.implode())
    )
    costs = tables["mart_evidence"].filter(pl.col("quantity").is_in(["fixed_cost", "unit_cost"]))
    guessed = costs.filter("is_assumed")["response_id"].unique()
    priced = tables["mart_allocation"].filter(pl.col("response_id").is_in(guessed.implode()))
    services = tables["mart_city_service"].filter(pl.col("response_id").is_in(guessed.implode()))
    by_cost = int(priced["cost_agorot"].sum()) + int(services["cost_agorot"].sum())
    worth = dict(
        tables["mart_plan_evidence"].select("evidence_kind", "worth_share_pct").iter_rows()
    )
    own = sum(pct or 0.0 for kind, pct in worth.items() if kind.startswith("own_"))
    by_envelope = int(channels["allocated_agorot"].sum())
    budget, cost = _pct(by_envelope, total), _pct(by_cost, total)
    said = worth.get("assumed") or 0.0, worth.get("literature") or 0.0
    whose_he, whose_en = "של מי שכתב את קובץ המדיניות", "of who wrote the policy file"
    return (
        (
            f"על מה עומדת התוכנית ({words.nis(total)} ₪): {budget}% מן הכסף ממסגרות תקציב שהן הנחה,"
            f" {cost}% לפי עלויות שהן הנחה – {whose_he}, ולא נתון של הרשות; מן הערך הצפוי"
            f" {words.percent(said[0])} נשען על השפעות שהן הנחה, {words.percent(said[1])} על ספרות"
            f" ממקומות אחרים ו־{words.percent(own)} על תלמידי העיר."
        ),
        (
            f"What the plan stands on ({words.nis(total)} NIS): {budget} % of the money comes from"
            f" assumed envelopes and {cost} % is spent by assumed costs, {whose_en} and no figure"
            f" of the municipality; of the expected worth {words.percent(said[0])} rests on"
            f" assumed effects, {words.percent(said[1])} on literature from elsewhere and"
            f" {words.percent(own)} on the city's own pupils."
        ),
        "mart_plan_evidence",
    )


def _pct(part: float, whole: float) -> str:
    return f"{100 * part / max(whole, 1):.0f}"


def _gaps(tables: Tables) -> tuple[str, str, str]:
    cells = tables["mart_gap_school"].filter(pl.col("subject") != WHOLE)
    measured = cells.filter("is_measured")
    surely = measured.filter(pl.col("gap_tier") == "surely_below")
    unsure = measured.filter(pl.col("gap_tier") == "cannot_tell")
    absent = cells.height - measured.height
    first_he, first_en = _most_often(surely)
    bands = int(measured["is_band"].sum())
    bands_he = f" (מהם {bands} ידועים רק כרצועה)" if bands else ""
    bands_en = f" ({bands} of them known only as a band)" if bands else ""
    return (
        (
            f"מתוך {counted(measured.height, 'צירוף אחד', 'צירופים')} של בית ספר ומקצוע"
            f" שנמדדו{bands_he}, {surely.height} מתחת ליעד בוודאות (95% ומעלה){first_he};"
            f" ב־{unsure.height} אי אפשר לדעת, ו־{absent} לא נמדדו כלל."
        ),
        (
            f"Of {measured.height} measured school × subject pairs{bands_en}, {surely.height} are"
            f" surely (95 % or more) below target{first_en}; {unsure.height} cannot be told apart"
            f" from it, and {absent} were not measured."
        ),
        "mart_gap_school",
    )


def _most_often(surely: pl.DataFrame) -> tuple[str, str]:
    """Say in which subjects most of the pairs are, or, where those are no majority, the most."""
    if surely.is_empty():
        return "", ""
    counts = surely.group_by("subject").len()
    top = counts.filter(pl.col("len") == pl.col("len").max()).sort("subject")
    many, names = int(top["len"][0]), top["subject"].to_list()
    he = " וב".join(dictionary().label("subject", name) for name in names)
    is_most = len(names) == 1 and many > _MOST * surely.height
    each_he, each_en = (" בכל אחד", " in each") if len(names) > 1 else ("", "")
    return (
        f", {'רובם' if is_most else 'יותר מכול'} ב{he} ({many}{each_he})",
        f", {'most of them' if is_most else 'more than anywhere'} in {' and '.join(names)}"
        f" ({many}{each_en})",
    )


def _money(tables: Tables) -> tuple[str, str, str]:
    """Say who gets the schools' money; the neediest quarter is the audit's, of pupils."""
    schools = tables["mart_allocation_school"]
    total = int(schools["cost_agorot"].sum())
    quarter = tables["mart_audit_group"].filter(
        view="plan", audit_dimension="need_quartile", audit_group="1"
    )
    if quarter.is_empty():
        return (
            f"התוכנית מקצה {words.nis(total)} ₪ ל־{schools.height} בתי ספר.",
            f"The plan allocates {words.nis(total)} NIS to {schools.height} schools.",
            "mart_allocation_school",
        )
    row = quarter.row(0, named=True)
    money, pupils = (words.percent(row[f"{of}_share_pct"]) for of in ("money", "pupils"))
    return (
        (
            f"התוכנית מקצה {words.nis(total)} ₪ ל־{schools.height} בתי ספר: {money} מן הכסף לבתי"
            f" הספר של הרבע הנזקק ביותר ({row['schools']} בתי ספר, {pupils} מן התלמידים)."
        ),
        (
            f"The plan allocates {words.nis(total)} NIS to {schools.height} schools: {money} of"
            f" the money to those of the neediest quarter ({row['schools']} schools, {pupils} of"
            " the pupils)."
        ),
        "mart_audit_group",
    )


def _unmet(tables: Tables) -> list[tuple[str, str, str]]:
    """Name the response that the most eligible schools lack, where participation is known."""
    conditional = tables["mart_response_map"].filter(
        "is_measured",
        "is_eligible",
        ~pl.col("is_served"),
        pl.col("eligibility_reason_en") != "no condition",
    )
    if conditional.is_empty():
        return []
    lacking = (
        conditional.group_by("response_id")
        .len()
        .sort("len", "response_id", descending=[True, False])
    )
    response_id, count = lacking.row(0)
    name = tables["mart_response"].filter(pl.col("response_id") == response_id).row(0, named=True)
    return [
        (
            (
                "צורך שלא נענה: "
                + counted(count, "בית ספר אחד זכאי", "בתי ספר זכאים")
                + f" ל{name['response_name_he']} בלי לקבלו כיום."
            ),
            (
                f"Unmet need: {count} schools are eligible for {name['response_name_en']} and do"
                " not have it now."
            ),
            "mart_response_map",
        )
    ]


def _voices(tables: Tables) -> list[tuple[str, str, str]]:
    """Tell the first contradiction with what people say, and of which responses there are more.

    Those who ask to change or drop what the plan gives as many schools as it may stand first.
    """
    found = tables["mart_voice_conflict"].join(tables["mart_voice_plan"], on="response_id")
    if found.is_empty():
        return []
    kinds = dictionary().fields["voice_conflict"].allowed
    order = pl.col("voice_conflict").replace_strict(kinds, range(len(kinds)))
    found = found.sort(
        order,
        pl.col("plan_reach").is_in(["every_eligible", "at_capacity"]),
        "asking_people",
        "response_id",
        descending=[False, True, True, False],
    )
    first, names = found.row(0, named=True), tables["mart_response"]
    others = names.filter(
        pl.col("response_id").is_in(found["response_id"].implode()),
        pl.col("response_id") != first["response_id"],
    ).sort("response_id")
    also_he = f" גם ב: {', '.join(others['response_name_he'])}." if others.height else ""
    also_en = f" Also: {', '.join(others['response_name_en'])}." if others.height else ""
    return [
        (
            f"אנשים אומרים אחרת מן התוכנית או מן הראיות. {first['voice_conflict_he']}{also_he}",
            (
                "People say otherwise than the plan or the evidence."
                f" {first['voice_conflict_en']}{also_en}"
            ),
            "mart_voice_conflict",
        )
    ]


def _blind(tables: Tables) -> tuple[str, str, str]:
    # A missing source says it once; the indicators it would have fed need not repeat it. A band is
    # a coarse measurement, not a missing one.
    absent = tables["mart_not_measured"].filter(
        pl.col("schools_not_measured") == pl.col("schools"),
        ~pl.col("item_id").str.starts_with("indicator."),
        pl.col("item_id") != BANDS_ONLY,
    )
    items_he = ", ".join(absent.sort("item_id")["item_he"])
    items_en = ", ".join(absent.sort("item_id")["item_en"])
    return (
        f"לא נמדדו כלל דברים שהתוכנית הייתה צריכה לדעת ({absent.height}): {items_he}.",
        (
            f"{absent.height} things that the plan would need to know are not measured at all:"
            f" {items_en}."
        ),
        "mart_not_measured",
    )


def findings(city: CityFolder, tables: Tables) -> Tables:
    """Return the main findings in words."""
    return {"mart_finding": main_findings(tables)}


STEPS = (
    Step(
        "findings",
        "act",
        makes=("mart_finding",),
        reads=(
            "mart_gap_school",
            "mart_allocation",
            "mart_allocation_school",
            "mart_allocation_certificate",
            "mart_allocation_channel",
            "mart_audit_group",
            "mart_city_service",
            "mart_evidence",
            "mart_parameter",
            "mart_plan_evidence",
            "mart_response_map",
            "mart_response",
            "mart_not_measured",
            "mart_voice_conflict",
            "mart_voice_plan",
        ),
        compute=findings,
    ),
)
