"""What is new since the release before: alerts, decisions, answers, work, goals, money (R103)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from pipelines.publish.words import day, integer, label, nis
from pipelines.settings.fields import dictionary

NEWS = "mart_news"
_READ = (
    "mart_alert",
    "mart_decision_log",
    "mart_confirmation",
    "mart_line_tracking",
    "mart_goal",
    "mart_plan_line",
)
Tables = Mapping[str, pl.DataFrame]
Row = tuple[str, str, str]


def news(tables: Tables, before: Path | None) -> pl.DataFrame:
    """Return `mart_news`: a sentence for each thing that is new, in both languages.

    Args:
        tables: the marts of this release, as analysts may see them.
        before: folder of the release before; without one, or with one of an older version that
            lacks a table, nothing is new, as nobody was told anything to compare with.
    """
    places = {name: before / "analyst" / f"{name}.parquet" for name in _READ} if before else {}
    rows: list[Row] = []
    if places and all(path.is_file() for path in places.values()):
        was = {name: pl.read_parquet(path) for name, path in places.items()}
        names = {
            **dict(tables["mart_response"].select("response_id", "response_name_he").iter_rows()),
            **dict(tables["mart_need_index"].select("semel_mosad", "school_name_he").iter_rows()),
        }
        for part in (_plan, _alerts, _decisions, _answers, _work, _goals):
            rows.extend(part(tables, was, names))
    return pl.DataFrame(
        [(number, *row) for number, row in enumerate(rows, start=1)],
        schema={
            "news_order": pl.Int32,
            "news_kind": pl.String,
            "news_he": pl.String,
            "news_en": pl.String,
        },
        orient="row",
    )


def _plan(now: Tables, was: Tables, _: Mapping[str, str]) -> Iterator[Row]:
    """Yield the plan's money, where it is another sum."""
    new, old = (int(tables["mart_plan_line"]["cost_agorot"].sum()) for tables in (now, was))
    if new != old:
        yield (
            "plan",
            f"סכום התוכנית: {nis(new)} ₪ (היה {nis(old)} ₪).",
            f"The plan's sum: {nis(new)} NIS (it was {nis(old)}).",
        )


def _alerts(now: Tables, was: Tables, _: Mapping[str, str]) -> Iterator[Row]:
    """Yield alerts that were not there, and those that are no more."""
    for kind, here, there in (("alert", now, was), ("alert_gone", was, now)):
        rows = here["mart_alert"].join(there["mart_alert"], on="alert_id", how="anti")
        for row in rows.sort("alert_kind", "alert_id").iter_rows(named=True):
            yield kind, row["alert_he"], row["alert_en"]


def _decisions(now: Tables, was: Tables, _: Mapping[str, str]) -> Iterator[Row]:
    """Yield decisions that were not in the log."""
    rows = now["mart_decision_log"].join(was["mart_decision_log"], on="decision_id", how="anti")
    for row in rows.sort("decided_on", "decision_id").iter_rows(named=True):
        he, en = label("decision_kind", row["decision_kind"]), row["decision_kind"]
        is_plan = row["decision_kind"] == "scenario"
        about = row["decision_value"] if is_plan else row["response_id"] or row["decision_object"]
        yield (
            "decision",
            f"{he}, {day(row['decided_on'])}: {row['decision_reason']}",
            f"Decision {row['decision_id']}, {row['decided_on']}: "
            f"{' '.join(filter(None, (en, about)))}.",
        )


def _answers(now: Tables, was: Tables, names: Mapping[str, str]) -> Iterator[Row]:
    """Yield answers about money that came, or became others."""
    key = list(dictionary().tables["mart_confirmation"].key)
    answered = now["mart_confirmation"].filter(pl.col("confirmation_word").is_not_null())
    same = [*key, "confirmation_word", "confirmed_agorot", "confirmed_on"]
    rows = answered.join(was["mart_confirmation"], on=same, how="anti", nulls_equal=True)
    for row in rows.sort(key).iter_rows(named=True):
        word_he = label("confirmation_word", row["confirmation_word"])
        channel_he = label("funding_channel", row["funding_channel"])
        where_he = names.get(row["semel_mosad"], row["semel_mosad"] or "העיר כולה")
        asked = nis(row["asked_agorot"])
        yield (
            "answer",
            f"{names[row['response_id']]}, {where_he}, {channel_he}: {word_he} (נדרש {asked} ₪).",
            f"{row['response_id']}, {row['semel_mosad'] or 'the city'}, {row['funding_channel']}:"
            f" {row['confirmation_word']} (asked: {asked} NIS).",
        )


def _work(now: Tables, was: Tables, _: Mapping[str, str]) -> Iterator[Row]:
    """Yield how many lines of the work plan came to another status."""
    key, status = "plan_row_id", "work_status"
    rows = now["mart_line_tracking"].drop_nulls(status)
    rows = rows.join(was["mart_line_tracking"], on=[key, status], how="anti")
    for value, count in rows.group_by(status).len().sort(status).iter_rows():
        yield (
            "work",
            f"שורות בתוכנית העבודה במצב חדש – {label(status, value)}: {integer(count)}.",
            f"Lines of the work plan newly {value}: {count}.",
        )


def _goals(now: Tables, was: Tables, _: Mapping[str, str]) -> Iterator[Row]:
    """Yield how many goals came to a result."""
    rows = now["mart_goal"].filter(pl.col("goal_result").is_in(["met", "not_met", "unclear"]))
    rows = rows.join(was["mart_goal"], on=["goal_row_id", "goal_result"], how="anti")
    for value, count in rows.group_by("goal_result").len().sort("goal_result").iter_rows():
        yield (
            "goal",
            f"יעדים עם תוצאה חדשה – {label('goal_result', value)}: {integer(count)}.",
            f"Goals newly {value}: {count}.",
        )
