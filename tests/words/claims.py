"""Sentences that count or are sure: what each of them says of which table.

A sentence that defines a word says nothing of the data; it is listed as such and holds always.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from pipelines.publish import words
from pipelines.settings.fields import dictionary

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Claim:
    """A sentence by its pattern, and whether it is true of the tables."""

    pattern: re.Pattern[str]
    holds: Callable[[Tables, re.Match[str]], bool]


def _claim(pattern: str, holds: Callable[[Tables, re.Match[str]], bool]) -> Claim:
    return Claim(re.compile(pattern), holds)


def _defined(pattern: str) -> Claim:
    return _claim(pattern, lambda tables, match: True)


def _surely(tables: Tables) -> pl.DataFrame:
    return tables["mart_gap_school"].filter(pl.col("subject") != "all", gap_tier="surely_below")


def _named(text: str) -> list[str]:
    """The subjects that a text names."""
    return [key for key, name in dictionary().labels["subject"].items() if name in text]


def _most(tables: Tables, match: re.Match[str]) -> bool:
    """More than half of the pairs surely below are in the subject named."""
    surely, named = _surely(tables), _named(match[1])
    own = surely.filter(pl.col("subject").is_in(named)).height
    return len(named) == 1 and own == int(match[2]) and 2 * own > surely.height


def _more_than_elsewhere(tables: Tables, match: re.Match[str]) -> bool:
    """No subject has more such pairs than those named, which have the number and are not most."""
    counts = dict(_surely(tables)["subject"].value_counts().iter_rows())
    named, many = _named(match[1]), int(match[2])
    is_top = set(named) == {name for name, count in counts.items() if count == max(counts.values())}
    is_most = len(named) == 1 and 2 * many > sum(counts.values())
    return is_top and max(counts.values()) == many and not is_most


def _tier_is(tier: str) -> Callable[[Tables, re.Match[str]], bool]:
    def holds(tables: Tables, match: re.Match[str]) -> bool:
        rows = tables["mart_gap_school"].filter(pl.col("subject") != "all", gap_tier=tier)
        return rows.height == int(match[1].replace(",", ""))

    return holds


def _has_tier(tier: str) -> Callable[[Tables, re.Match[str]], bool]:
    """The tier is in some table of gaps, with the probability that the word means."""

    def holds(tables: Tables, match: re.Match[str]) -> bool:
        found = [
            tables[name].filter(pl.col("gap_tier") == tier)
            for name in ("mart_gap_school", "mart_gap_area")
        ]
        below = [frame["p_below_target"].drop_nulls() for frame in found]
        least = {
            "surely_below": lambda p: (p >= 0.95).all(),
            "surely_at_target": lambda p: (p <= 0.05).all(),
        }
        return any(frame.height for frame in found) and all(least[tier](p) for p in below)

    return holds


def _firm(tables: Tables, match: re.Match[str]) -> bool:
    rows = tables["mart_allocation_stability"].filter(stability="firm")
    share = pl.max_horizontal(pl.col("selection_share"), 1 - pl.col("selection_share"))
    return rows.height > 0 and bool((rows.select(share).to_series() >= 0.9 - 1e-9).all())


def _between(tables: Tables, match: re.Match[str]) -> bool:
    """Some pair is of the one class, and may as well be of the other."""
    code = {name: key for key, name in dictionary().labels["stability"].items()}
    rows = tables["mart_allocation_stability"].filter(
        stability=code[match[1]], other_stability=code[match[2]]
    )
    return not rows.is_empty()


def _lines(stability: str) -> Callable[[Tables, re.Match[str]], bool]:
    def holds(tables: Tables, match: re.Match[str]) -> bool:
        lines = tables["mart_allocation"].join(
            tables["mart_allocation_stability"], on=["semel_mosad", "response_id"]
        )
        return lines.filter(stability=stability).height == int(match[1])

    return holds


def _nobody_marked(tables: Tables, match: re.Match[str]) -> bool:
    marked = tables["mart_test_participation"]
    last = marked.filter(pl.col("school_year") == pl.col("school_year").max())
    return not last.filter(pl.col("is_untested_high") | pl.col("is_adapted_high")).height


def _no_contradiction(tables: Tables, match: re.Match[str]) -> bool:
    return tables["mart_contradiction"].is_empty()


def _no_role(tables: Tables, match: re.Match[str]) -> bool:
    return not tables["mart_rating_role"]["is_rated_differently"].any()


def _without_outcome(tables: Tables, match: re.Match[str]) -> bool:
    need = tables["mart_need_index"].filter(pl.col("outcome_need").is_null())
    return sorted(match[1].removeprefix("־").split(", ")) == sorted(need["school_name_he"])


def _some_without_outcome(tables: Tables, match: re.Match[str]) -> bool:
    """The row that names such schools counts them."""
    told = tables["mart_not_measured"].filter(item_id="schools_without_outcome")
    count = tables["mart_need_index"]["outcome_need"].null_count()
    is_counted = match[1] is None or int(match[1]) == count
    return told["schools_not_measured"].to_list() == [count] and is_counted


def _neediest_first(tables: Tables, match: re.Match[str]) -> bool:
    """The quarter called neediest is the one with the greatest need for its pupils."""
    rows = tables["mart_audit_group"].filter(view="plan", audit_dimension="need_quartile")
    dense = rows.with_columns(mean=pl.col("need_share_pct") / pl.col("pupils_share_pct"))
    return rows.is_empty() or dense.sort("mean")["audit_group"][-1] == "1"


def _broken(tables: Tables, match: re.Match[str]) -> bool:
    rows = tables["mart_chain"].filter("has_gap", pl.col("chain_link") != "whole")
    surely = tables["mart_gap_school"].filter(subject="all", gap_tier="surely_below")
    return rows.height == int(match[1]) and set(rows["semel_mosad"]) <= set(surely["semel_mosad"])


def _rule_holds(tables: Tables, match: re.Match[str]) -> bool:
    """A sentence of the plan's rules is one of them, re-reckoned and met."""
    rules = tables["mart_allocation_rule"]
    own = [
        is_met
        for rule, is_met in rules.select("rule_he", "is_satisfied").iter_rows()
        if match.string.rstrip(".;: ").startswith(rule.rstrip("."))
    ]
    return bool(own) and all(own)


def _under_cap(tables: Tables, match: re.Match[str]) -> bool:
    cap = int(match[1].replace(",", "")) * 100
    # What stands beside it is per pupil in whole agorot.
    return bool((tables["mart_allocation_school"]["per_pupil_agorot"] <= cap).all())


def _firm_money(tables: Tables, match: re.Match[str]) -> bool:
    """The share of the schools' money in lines called firm."""
    pair = ["semel_mosad", "response_id"]
    lines = tables["mart_allocation"].join(tables["mart_allocation_stability"], on=pair)
    firm = lines.filter(pl.col("selection_share") >= 0.9)["cost_agorot"].sum()
    return match[1] == words.percent(100 * firm / lines["cost_agorot"].sum())


def _surely_needy_fall(tables: Tables, match: re.Match[str]) -> bool:
    """Schools that are told to be surely needy are so, and get less than last year."""
    rows = tables["mart_needy_fall"]
    falls = rows.filter(pl.col("amount_agorot") < pl.col("last_year_agorot"))
    return 0 < rows.height == falls.filter(pl.col("p_need_tier") >= 0.95).height


CLAIMS = (
    _claim(r"^אף בית ספר אינו מקבל יותר מ־([\d,]+) ₪ לתלמיד", _under_cap),
    _claim(r"^אף בית ספר אינו מקבל פחות מ־", _rule_holds),
    _claim(r", רובם ב([^(]+) \((\d+)", _most),
    _claim(r", יותר מכול ב([^(]+) \((\d+)", _more_than_elsewhere),
    _claim(r"(\d[\d,]*)▼▼ מתחת ליעד בוודאות", _tier_is("surely_below")),
    _claim(r"(\d[\d,]*)▲▲ ביעד או מעליו בוודאות", _tier_is("surely_at_target")),
    _claim(r", (\d[\d,]*) מתחת ליעד בוודאות \(95% ומעלה\)", _tier_is("surely_below")),
    _claim(r"^▼▼ מתחת ליעד בוודאות$", _has_tier("surely_below")),
    _claim(r"^▲▲ ביעד או מעליו בוודאות$", _has_tier("surely_at_target")),
    _claim(r"היכן השרשרת נקטעת בבתי ספר שמתחת ליעד בוודאות \((\d+)\)", _broken),
    _claim(r"לא נמדדה אף תוצאה ב([^:]+):", _without_outcome),
    _claim(r"שלא נמדדה בהם אף תוצאה(?: \((\d+) מתוך)?", _some_without_outcome),
    _claim(r"(\d+) מן השורות הממומנות יציבות", _lines("firm")),
    _claim(r"([\d.]+%) מן הכסף לבתי הספר הוא בשורות יציבות", _firm_money),
    _claim(r"[●◐○] (יציב|שנוי במחלוקת|הטלת מטבע) או (יציב|שנוי במחלוקת|הטלת מטבע)$", _between),
    _claim(r"^● יציב", _firm),
    _claim(r"^בתי ספר נזקקים בוודאות שמקבלים פחות$", _surely_needy_fall),
    _claim(r"לא סומן אף בית ספר", _nobody_marked),
    _claim(r"אינה סותרת אף הצעה", _no_contradiction),
    _claim(r"אף תפקיד מן המוצגים", _no_role),
    _claim(
        r"(רבע|הרבע|לרבע|מן|אצל|הספר|רבעי הצורך).*הנזק(?:ק|קים) ביותר|1 \(הנזקק ביותר\)"
        r"|^הנזקק ביותר$",
        _neediest_first,
    ),
    _defined(r"חלש מדומיו בוודאות|חזק מדומיו בוודאות"),
    _defined(
        r"^(?:בתי ספר מתחת ליעד בוודאות|בוודאות|הרבע הנזקק ביותר|יציב|כולם|יציבות(?: מה היה.*)?)$"
    ),
    _defined(r"^- אף בית ספר"),  # a rule that a scenario cannot keep, named in its conflict
    _defined(r"^(?:רוב|אף אחד|חרטה מרבית)$|^אף מספר בדף הזה"),
    _defined(r"מבין מי שנמדדו|הסתברות של 95% ומעלה|^▼▼ .* – לא נמדד$|^● יציב · "),
    _defined(r"עד כמה (?:ההחלטה|היא) יציבה|מהם בהחלטה יציבה|החלטות שאינן יציבות|יציבותן של שורות"),
    _defined(
        r"אינם של אף בית ספר|אף מערך כאן|נשפטו לפי כולן|מכולם|נכללים ב.כולם|כולם דירגו|זהים בכולם"
    ),
    _defined(
        r"בין כולן צפויות|אילו נבחנו כולם|מגפ\"ן באף|שאף מדד אינו|אינם ניתנים לאף|ניתן לאף בית"
    ),
    _defined(r"אינם באף אחד|אף אחד מהם אינו אפס|אינם נספרים באף|מה שאף מדד"),
    _defined(r"^יציבות ההקצאה$"),  # the title of a table
    _defined(r"אינו נמוך בוודאות מ|היו מותאמים בוודאות|לא נבחנו בוודאות"),
)
