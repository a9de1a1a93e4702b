"""What is said more than once: each concept has one number, reckoned here from the marts alone.

A concept names the sentences that tell it, as patterns whose groups are its numbers. The numbers
are reckoned from the tables, without the code that words them; wherever a pattern is found, in any
page, sheet, finding or terminal line, its groups must be these numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

Tables = Mapping[str, pl.DataFrame]
Numbers = tuple[str, ...] | None

NUMBER = r"([−+<>]?\d[\d,]*(?:\.\d+)?%?)"


@dataclass(frozen=True)
class Concept:
    """One fact of a release.

    Attributes:
        name: what is counted or measured.
        reckon: its numbers from the marts, as text; None where the city has no such fact.
        said: patterns of the sentences that tell it, "#" being a number that the pattern captures.
        is_always_told: false of a finding that gives way to more important ones.
    """

    name: str
    reckon: Callable[[Tables], Numbers]
    said: tuple[str, ...]
    is_always_told: bool = True

    def patterns(self) -> list[re.Pattern[str]]:
        """The patterns, any white space between their words."""
        return [
            re.compile(re.escape(text).replace(r"\#", NUMBER).replace(r"\ ", r"\s*"))
            for text in self.said
        ]


def whole(value: float) -> str:
    """A whole number with separators, as money and counts are written."""
    return f"{round(value):,}".replace("-", "−")


def percent(value: float) -> str:
    """A percentage with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0").replace("-", "−") + "%"


def nis(agorot: float) -> str:
    """Agorot as whole shekels."""
    return whole(agorot / 100)


def signed(value: float, decimals: int) -> str:
    """A number with its sign; nothing before 0."""
    text = f"{value:+.{decimals}f}".replace("-", "−")
    return text.lstrip("+−") if not text.strip("+−0.") else text


def _one(
    table: str, column: str, form: Callable[[float], str], **keys: str
) -> Callable[[Tables], Numbers]:
    def reckon(tables: Tables) -> Numbers:
        rows = tables[table].filter(**keys) if keys else tables[table]
        values = rows[column].drop_nulls()
        return (form(values[0]),) if len(values) else None

    return reckon


def _sum(
    table: str, column: str, form: Callable[[float], str] = nis
) -> Callable[[Tables], Numbers]:
    return lambda tables: (
        (form(tables[table][column].sum() or 0),) if tables[table].height else None
    )


def _pairs(tables: Tables) -> pl.DataFrame:
    return tables["mart_gap_school"].filter(pl.col("subject") != "all")


def _unsure_of_all(tables: Tables) -> Numbers:
    pairs = _pairs(tables)
    return whole(pairs.filter(gap_tier="cannot_tell").height), whole(pairs.height)


def _tier(name: str) -> Callable[[Tables], Numbers]:
    return lambda tables: (whole(_pairs(tables).filter(gap_tier=name).height),)


def _measured_pairs(tables: Tables) -> Numbers:
    return (whole(_pairs(tables).filter("is_measured").height),)


def _worst(tables: Tables) -> Numbers:
    """Pairs of the subject in which most of those surely below are, if it is a majority."""
    surely = _pairs(tables).filter(gap_tier="surely_below")
    many = surely["subject"].value_counts()["count"].max() if surely.height else 0
    return (whole(many),) if 2 * many > surely.height else None


def _total(tables: Tables) -> int:
    """All money of the plan: lines of schools and services of the city."""
    return (tables["mart_allocation"]["cost_agorot"].sum() or 0) + (
        tables["mart_city_service"]["cost_agorot"].sum() or 0
    )


def _municipal(tables: Tables) -> int:
    return (tables["mart_allocation"]["municipal_agorot"].sum() or 0) + (
        tables["mart_city_service"]["municipal_agorot"].sum() or 0
    )


def _quarter(
    column: str, form: Callable[[float], str], group: str = "1"
) -> Callable[[Tables], Numbers]:
    return _one(
        "mart_audit_group",
        column,
        form,
        view="plan",
        audit_dimension="need_quartile",
        audit_group=group,
    )


def _quarter_share(tables: Tables) -> Numbers:
    """The neediest quarter's share of the schools' money, from the lines themselves."""
    rows = tables["mart_audit_group"].filter(view="plan", audit_dimension="need_quartile")
    if rows.is_empty():
        return None
    first = rows.filter(audit_group="1")["amount_agorot"].sum()
    return (percent(100 * first / rows["amount_agorot"].sum()),)


def _evidence(*kinds: str) -> Callable[[Tables], Numbers]:
    def reckon(tables: Tables) -> Numbers:
        rows = tables["mart_plan_evidence"].filter(pl.col("evidence_kind").is_in(kinds))
        return (percent(rows["worth_share_pct"].fill_null(0).sum()),)

    return reckon


def _assumed(pattern: str) -> Callable[[Tables], pl.Series]:
    return lambda tables: tables["mart_parameter"].filter(
        pl.col("parameter_id").str.contains(pattern), pl.col("source").str.starts_with("assumed")
    )["parameter_id"]


def _assumed_envelopes(tables: Tables) -> Numbers:
    ids = _assumed(r"^policy\.channels\.\w+\.(budget|per_pupil)$")(tables)
    channels = [name.split(".")[2] for name in ids]
    money = tables["mart_allocation_money"].rename({"amount_agorot": "agorot"})
    services = tables["mart_city_service_money"].rename({"amount_agorot": "agorot"})
    paid = pl.concat([rows.select("funding_channel", "agorot") for rows in (money, services)])
    part = paid.filter(pl.col("funding_channel").is_in(channels))["agorot"].sum()
    return (f"{100 * part / _total(tables):.0f}%",)


def _assumed_costs(tables: Tables) -> Numbers:
    ids = _assumed(r"^policy\.responses\.\w+\.(fixed|unit)_cost$")(tables)
    guessed = {name.split(".")[2] for name in ids}
    rows = [
        tables[name].filter(pl.col("response_id").is_in(guessed))["cost_agorot"].sum() or 0
        for name in ("mart_allocation", "mart_city_service")
    ]
    return (f"{100 * sum(rows) / _total(tables):.0f}%",)


def _stability(name: str) -> Callable[[Tables], Numbers]:
    def reckon(tables: Tables) -> Numbers:
        lines = tables["mart_allocation"].join(
            tables["mart_allocation_stability"], on=["semel_mosad", "response_id"]
        )
        return (whole(lines.filter(stability=name).height),)

    return reckon


def _band(name: str) -> Callable[[Tables], Numbers]:
    def reckon(tables: Tables) -> Numbers:
        rows = tables["mart_plan_progress"].filter(level_band=name).drop_nulls("progress_sd")
        if rows.is_empty():
            return None
        row = rows.row(0, named=True)
        return tuple(signed(12 * row[f"progress{end}_sd"], 2) for end in ("", "_lo", "_hi"))

    return reckon


def _benefit(tables: Tables) -> Numbers:
    rows = tables["mart_scenario"].filter(scenario_id="base").drop_nulls("benefit_sd_pupils")
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    return tuple(whole(12 * row[f"benefit{end}_sd_pupils"]) for end in ("", "_lo", "_hi"))


def _plan_benefit(tables: Tables) -> Numbers:
    values = tables["mart_allocation"]["benefit_sd_pupils"].drop_nulls()
    return (whole(12 * values.sum()),) if len(values) else None


def _channel(name: str) -> Callable[[Tables], Numbers]:
    def reckon(tables: Tables) -> Numbers:
        paid = [
            tables[table].filter(funding_channel=name)["amount_agorot"].sum() or 0
            for table in ("mart_allocation_money", "mart_city_service_money")
        ]
        return (nis(sum(paid)),) if sum(paid) else None

    return reckon


def _unmet(tables: Tables) -> Numbers:
    lacking = tables["mart_response_map"].filter(
        "is_measured",
        "is_eligible",
        ~pl.col("is_served"),
        pl.col("eligibility_reason_en") != "no condition",
    )
    if lacking.is_empty():
        return None
    most = lacking["response_id"].value_counts()["count"].max()
    return None if most == 1 else (whole(most),)


def _failed(severity: str) -> Callable[[Tables], Numbers]:
    return lambda tables: (
        whole(tables["mart_data_quality"].filter(~pl.col("is_passed"), severity=severity).height),
    )


def _estimated(tables: Tables) -> Numbers:
    rows = tables["mart_effect"]
    return whole(rows["is_measured"].sum()), whole(rows.height)


def _without_local(tables: Tables) -> Numbers:
    by_response = tables["mart_effect"].group_by("response_id").agg(pl.col("is_measured").any())
    missing = by_response.filter(~pl.col("is_measured")).height
    return (whole(missing), whole(by_response.height)) if missing else None


def _never(tables: Tables) -> Numbers:
    """Things not measured in any school, but of indicators, which their source tells of."""
    rows = tables["mart_not_measured"].filter(
        pl.col("schools_not_measured") == pl.col("schools"),
        ~pl.col("item_id").str.starts_with("indicator."),
        pl.col("item_id") != "bands_only",
    )
    return (whole(rows.height),)


def _draws(tables: Tables) -> Numbers:
    return whole(tables["mart_allocation_draw"].height), whole(
        tables["mart_allocation_draw"]["is_possible"].sum()
    )


def _certificate(column: str, form: Callable[[float], str]) -> Callable[[Tables], Numbers]:
    return _one("mart_allocation_certificate", column, form)


def _excellence(tables: Tables) -> Numbers:
    excellent = tables["mart_response"].filter("is_excellence")["response_id"]
    money = sum(
        tables[name]
        .filter(pl.col("response_id").is_in(excellent.implode()))["municipal_agorot"]
        .sum()
        or 0
        for name in ("mart_allocation", "mart_city_service")
    )
    return nis(money), percent(100 * money / _municipal(tables))


def _excellence_of_all(tables: Tables) -> Numbers:
    """The same over all channels, so that no two bases go by one name."""
    excellent = tables["mart_response"].filter("is_excellence")["response_id"]
    money = sum(
        tables[name].filter(pl.col("response_id").is_in(excellent.implode()))["cost_agorot"].sum()
        or 0
        for name in ("mart_allocation", "mart_city_service")
    )
    return nis(money), percent(100 * money / _total(tables))


def _remaining(tables: Tables) -> Numbers:
    rows = tables["mart_allocation_remaining"].drop_nulls("need_gap_before")
    if rows.is_empty():
        return None
    return tuple(f"{rows[f'need_gap_{when}'].sum():,.1f}" for when in ("before", "after"))


def _phenomena(tables: Tables) -> Numbers:
    count = int(tables["mart_phenomenon"]["is_phenomenon"].sum())
    return None if count == 1 else (whole(count),)


def _times(view: str) -> Callable[[Tables], Numbers]:
    """NIS of a pupil of the tier of greatest need, and how many times those of one of the last."""

    def reckon(tables: Tables) -> Numbers:
        rows = tables["mart_audit_group"].filter(view=view, audit_dimension="need_tier")
        paid = rows.sort("audit_group")["per_pupil_agorot"].to_list()
        if len(paid) < 2 or not all(paid) or paid != sorted(paid, reverse=True):
            return None  # a multiple is told only where money rises with need
        return nis(paid[0]), f"{paid[0] / paid[-1]:.1f}"

    return reckon


def _money_of_firmness(name: str) -> Callable[[Tables], Numbers]:
    def reckon(tables: Tables) -> Numbers:
        lines = tables["mart_allocation"].join(
            tables["mart_allocation_stability"], on=["semel_mosad", "response_id"]
        )
        if lines.is_empty():
            return None
        part = lines.filter(stability=name)["cost_agorot"].sum()
        return (percent(100 * part / lines["cost_agorot"].sum()),)

    return reckon


def _more_and_less(tables: Tables) -> Numbers:
    """Schools of the greatest need that get more, and less, and by how much in all."""
    first = tables["mart_need_index"].filter(need_tier="A").select("semel_mosad")
    rows = (
        tables["mart_allocation_change"]
        .drop_nulls("change_agorot")
        .join(first, on="semel_mosad", how="semi")
    )
    if rows.is_empty():
        return None
    more, less = (rows.filter(change_direction=way).height for way in ("gains", "loses"))
    change = rows["change_agorot"].sum()
    return whole(more), whole(less), ("+" if change > 0 else "") + nis(change)


def _uncounted(tables: Tables) -> Numbers:
    rows = tables["mart_plan_evidence"].filter(evidence_kind="committee")
    own = rows["cost_agorot"].sum()
    return (percent(100 * own / _total(tables)),) if own else None


CONCEPTS = (
    Concept(
        "money of the plan",
        lambda t: (nis(_total(t)),),
        ("על מה עומדת התוכנית (# ₪)", "# ₪מכל ערוצי המימון יחד", "₪ מתוך # ₪ שבתוכנית"),
    ),
    Concept(
        "municipal money of the plan",
        lambda t: (nis(_municipal(t)),),
        ("# ₪מתקציב הרשות בתוכנית", "תקציב הרשות: # ₪"),
    ),
    Concept(
        "money of the schools",
        _sum("mart_allocation", "cost_agorot"),
        ("התוכנית מקצה # ₪", "The plan allocates # NIS"),
    ),
    Concept(
        "schools of the plan",
        lambda t: (whole(t["mart_allocation_school"].height),),
        ("₪ ל־# בתי ספר:", "#בתי ספר בתוכנית", "NIS to # schools", "זז; בתי ספר בכל תרחיש: #"),
    ),
    Concept(
        "share of the neediest quarter",
        _quarter_share,
        (
            ": # מן הכסף לבתי הספר של הרבע הנזקק ביותר",
            "לבתי הספר של הרבע הנזקק ביותר מגיעים # מן",
            "schools: # of the money to those of the neediest quarter",
        ),
    ),
    Concept(
        "pupils of the neediest quarter",
        _quarter("pupils_share_pct", percent),
        ("בתי ספר, # מן התלמידים)", "ובהם # מן התלמידים"),
    ),
    Concept(
        "schools of the neediest quarter",
        _quarter("schools", whole),
        ("הרבע הנזקק ביותר (# בתי ספר,",),
    ),
    Concept(
        "NIS per pupil of the neediest quarter",
        _quarter("per_pupil_agorot", nis),
        ("רבע 1 (הנזקק ביותר): # ₪ לתלמיד",),
    ),
    Concept(
        "NIS per pupil of the least needy quarter",
        _quarter("per_pupil_agorot", nis, "4"),
        ("רבע 4: # ₪ לתלמיד",),
    ),
    Concept(
        "measured pairs",
        _measured_pairs,
        ("מתוך # צירופים של בית ספר ומקצוע שנמדדו", "Of # measured school × subject pairs"),
    ),
    Concept(
        "pairs surely below",
        _tier("surely_below"),
        (
            "#▼▼ מתחת ליעד בוודאות (בית ספר × מקצוע)",
            ", # מתחת ליעד בוודאות (95% ומעלה)",
            ", # are surely (95 % or more) below",
        ),
    ),
    Concept(
        "pairs likely below", _tier("probably_below"), ("#▼ כנראה מתחת ליעד (בית ספר × מקצוע)",)
    ),
    Concept(
        "pairs that cannot be told",
        _tier("cannot_tell"),
        (
            "#? אי אפשר לדעת (בית ספר × מקצוע)",
            "; ב־# אי אפשר לדעת",
            "; # cannot be told apart",
        ),
    ),
    Concept(
        "pairs likely at target",
        _tier("probably_at_target"),
        ("#▲ כנראה ביעד או מעליו (בית ספר × מקצוע)",),
    ),
    Concept(
        "pairs surely at target",
        _tier("surely_at_target"),
        ("#▲▲ ביעד או מעליו בוודאות (בית ספר × מקצוע)",),
    ),
    Concept(
        "pairs not measured",
        _tier("not_measured"),
        ("#– לא נמדד (בית ספר × מקצוע)", "ו־# לא נמדדו"),
    ),
    Concept(
        "pairs that cannot be told, of all",
        _unsure_of_all,
        ("ב־# מתוך # צירופים של בית ספר ומקצוע אי אפשר",),
    ),
    Concept(
        "pairs of the worst subject",
        _worst,
        ("רובם במתמטיקה (#", "רובם באנגלית (#", "רובם בעברית (#", "רובם במדעים (#"),
    ),
    Concept(
        "eligible schools without",
        _unmet,
        ("צורך שלא נענה: # בתי ספר זכאים", "Unmet need: # schools"),
    ),
    Concept(
        "things not measured at all",
        _never,
        ("דברים שהתוכנית הייתה צריכה לדעת (#)", "# things that the plan would need"),
        is_always_told=False,
    ),
    Concept(
        "envelopes that are assumed", _assumed_envelopes, ("₪): # מן הכסף ממסגרות תקציב שהן הנחה",)
    ),
    Concept("costs that are assumed", _assumed_costs, ("שהן הנחה, # לפי עלויות שהן הנחה",)),
    Concept(
        "worth that rests on assumption",
        _evidence("assumed"),
        ("מן הערך הצפוי # נשען על השפעות שהן הנחה", "of the expected worth # rests on"),
    ),
    Concept(
        "worth that rests on literature",
        _evidence("literature"),
        ("שהן הנחה, # על ספרות ממקומות אחרים", "נשען על ספרות על מענה מסוג זה #"),
    ),
    Concept(
        "worth that rests on the city's pupils",
        _evidence("own_a", "own_b", "own_c", "own_d"),
        (
            "ממקומות אחרים ו־# על תלמידי העיר",
            "elsewhere and # on the city's own pupils",
            "נשענת התועלת הצפויה תלמידי העיר #",
        ),
    ),
    Concept(
        "progress of the weak",
        _band("weak"),
        ("השליש החלש # # עד #", "לתלמיד מהשליש החלש: # חודשים (# עד #)"),
    ),
    Concept("progress of the middle", _band("middle"), ("השליש הבינוני # # עד #",)),
    Concept(
        "progress of the strong",
        _band("strong"),
        ("השליש החזק # # עד #", "לתלמיד מהשליש החזק: # חודשים (# עד #)"),
    ),
    Concept(
        "expected benefit",
        _benefit,
        (
            "התועלת הצפויה היא # # עד # חודשי תלמיד",
            "# חודשי למידה בשנה, סך כל המשתתפים (# עד #;",
        ),
    ),
    Concept("times of the plan", _times("plan"), ("מן התוכנית # ₪, פי # מתלמיד בדרגת צורך",)),
    Concept("times of all money", _times("total"), ('עם כספי המשרד והגפ"ן: # ₪, פי #',)),
    Concept(
        "money of firm lines",
        _money_of_firmness("firm"),
        ("# מן הכסף לבתי הספר הוא בשורות יציבות",),
    ),
    Concept("money of coin flips", _money_of_firmness("coin_flip"), ("ב־# ההכרעה יכלה להתהפך",)),
    Concept("changes of the neediest tier", _more_and_less, ("הפרש (₪) א – גבוה מאוד # # #",)),
    Concept(
        "money without a measure",
        _uncounted,
        ("מה מביאים # מן הכסף: אין מדד", "בלי מדד: # מן הכסף"),
    ),
    Concept("benefit of the objective", _plan_benefit, (", # חודשי תלמיד, שוקלת",)),
    Concept("money for excellence", _excellence, ("למצוינות? # ₪ מתקציב הרשות, # ממנו",)),
    Concept(
        "money for excellence of all channels",
        _excellence_of_all,
        ("ממנו; מכל ערוצי המימון יחד # ₪, # מהם", "של מצוינות; מכל הערוצים יחד # ₪ (#)"),
    ),
    Concept("Gefen of schools", _channel("gefen_school"), ('גפ"ן בית ספרי: # ₪',)),
    Concept("money of the Ministry", _channel("ministry_other"), ("משרד החינוך (אחר): # ₪",)),
    Concept("money of partners", _channel("partner_ngo"), ("עמותות שותפות: # ₪",)),
    Concept("money of Mifal HaPais", _channel("mifal_hapais"), ("מפעל הפיס: # ₪",)),
    Concept("money of parents", _channel("parents"), ("תשלומי הורים: # ₪",)),
    Concept(
        "money of city services",
        _sum("mart_city_service", "cost_agorot"),
        ("שירותי העיר כולה, # ₪", "מתחרים עליהם: # ₪"),
    ),
    Concept("firm lines", _stability("firm"), ("שיקולים נוספים: # מן השורות הממומנות יציבות",)),
    Concept("contested lines", _stability("contested"), ("יציבות, # שנויות במחלוקת",)),
    Concept("coin-flip lines", _stability("coin_flip"), ("במחלוקת ו־# הן כהטלת מטבע",)),
    Concept("envied lines", _certificate("envied_lines", whole), ("חסר. כאן # שורות",)),
    Concept("envied money", _certificate("envy_agorot", nis), ("שורות ב־# ₪, לעומת",)),
    Concept(
        "bound of the certificate",
        _certificate("optimality_gap_agorot", nis),
        ("אחוז, ששוויים לכל היותר # ₪", "אחוז, ערך של לכל היותר # ₪"),
    ),
    Concept(
        "need-weighted gap",
        _remaining,
        ("הפער המשוקלל בצורך, # (נקודות), צפויים להישאר #", "# לפני התוכנית, ו־# אחריה"),
    ),
    Concept("draws", _draws, ("מתוך # הגרלות משותפות, ב־# יש",)),
    Concept(
        "checks",
        lambda t: (whole(t["mart_data_quality"].height),),
        ("נבדקו # בדיקות איכות", "מתוך # בדיקות."),
    ),
    Concept("warnings", _failed("WARN"), ("חוסמים ו־# אזהרות",)),
    Concept("failed checks", _failed("ERROR"), ("בדיקות איכות: # כשלים חוסמים",)),
    Concept("local estimates", _estimated, ("# מתוך # השורות נשענות גם על אומדן מקומי",)),
    Concept(
        "responses without a local estimate",
        _without_local,
        ("חסרה ב־# מתוך # המענים שהשפעתם רשומה", "absent for # of # responses"),
    ),
    Concept(
        "lines of the work plan",
        lambda t: (whole(t["mart_work_plan"].height),),
        ("תוכנית העבודה (שורות: #)",),
    ),
    Concept("phenomena", _phenomena, ("נמצאו # תופעות",)),
)
