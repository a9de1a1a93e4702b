"""Voices: how the committee rates responses, excerpts from talks, forms, and what schools do well.

All sentences are invented; they name no person, no school and no place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.committee import member_name
from models.demo.streams import Streams

_RATIONALES = {
    "not_effective": ("לא ראינו שינוי בכיתות", "ההיענות נמוכה והתוצאה לא מורגשת"),
    "fairly_effective": ("עוזר לחלק מהתלמידים", "יש תועלת, אך נדרשת התאמה לבית הספר"),
    "very_effective": ("הילדים וההורים מרוצים מאוד", "מורגש שיפור אצל רוב המשתתפים"),
}
_RESTS_ON = ("experience", "observation", "feedback", "measurement", None)
_RESTS_ON_SHARE = (0.35, 0.25, 0.2, 0.15, 0.05)
_SOURCES = ("interview", "survey", "discussion_group")
_VOICES = ("מורה", "הורה", "תלמיד", "מנהלת בית ספר", "יועצת חינוכית")
_SENTENCES = {  # theme: (said of a weak school, said of a strong one)
    "achievement": (
        "חלק גדול מהכיתה לא שולט בחומר של השנה שעברה",
        "התלמידים מגיעים מוכנים והציונים עולים",
    ),
    "immigrant_language": (
        "ילדים חדשים בארץ יושבים בשיעור ולא מבינים את ההוראות",
        "העולים החדשים משתלבים מהר וקוראים היטב",
    ),
    "climate": (
        "בהפסקות יש מריבות וילדים חוששים לצאת לחצר",
        "ילדים מרגישים בטוחים ונעים להם לבוא לבית הספר",
    ),
    "absence": (
        "יש ילדים שנעדרים ימים רבים ואיש לא מברר מדוע",
        "כמעט אין היעדרויות, וכשיש מתקשרים הביתה באותו יום",
    ),
    "home_internet": (
        "בבתים רבים אין חיבור תקין ואי אפשר להשלים משימות",
        "לכל הילדים יש חיבור טוב בבית",
    ),
    "parents_cost": (
        "התשלומים מכבידים על ההורים ויש מי שמוותר על פעילות",
        "ההורים מרוצים ממה שמקבלים תמורת התשלום",
    ),
    "staff_stability": (
        "המחנכות מתחלפות באמצע השנה וקשה לבנות קשר",
        "הצוות יציב ומכיר כל ילד",
    ),
    "belonging": (
        "יש ילדים שאינם מוצאים את מקומם בכיתה",
        "כל ילד מרגיש שייך ויש לו תפקיד",
    ),
}
_SILENT_THEMES = ("parents_cost", "staff_stability", "belonging")  # no hard data speak of them

_COMMENTS = ("חסרה עזרה בשיעורי הבית", "הכיתה גדולה מדי", "כדאי להתחיל מוקדם יותר", "")
_PRACTICES = (  # field, what
    ("learning_gap", "שיחה אישית של המחנכת עם כל תלמיד פעם בחודש"),
    ("learning_gap", "קבוצות קריאה קטנות בתחילת היום"),
    ("excellence", "פרויקט חקר לכל מי שרוצה, לא רק למאותרים"),
    ("leadership", "תלמידים בוגרים מלווים את ילדי כיתה א"),
    ("social_involvement", "הורים מלמדים מלאכה פעם בשבוע"),
)


def ratings_file(last_year: int, streams: Streams) -> pl.DataFrame:
    """Return every member's rating of every funded response.

    Returns:
        `participant`, `role`, `response_id`, `goal_id`, `rating` (not_effective,
        fairly_effective, very_effective), `rests_on` (type of evidence; empty where a member did
        not say), `rated_on` (two sittings in May), `rationale`. What members perceive is the effect
        and much liking; two responses are planted: liked without effect, disliked though effective.
    """
    rng, basis = streams("ratings"), streams("ratings_evidence")
    members = np.arange(len(spec.ROLES))
    leaning = rng.normal(0, spec.RATING_MEMBER_SD, len(members))
    frames = []
    for response in spec.RESPONSES:
        liking = rng.normal(0, spec.RATING_LIKING_SD)
        own = rng.normal(0, spec.RATING_MEMBER_SD, len(members))
        shuffled = rng.permutation(members)
        words = rng.integers(0, 2, len(members))
        if response.response_id not in spec.RATED:
            continue
        if response.response_id in spec.PLANTED_RATINGS:
            counts = spec.PLANTED_RATINGS[response.response_id]
            level = np.repeat(np.arange(len(counts)), counts)[shuffled]
        else:
            seen = 0.6 + spec.RATING_SLOPE * np.mean(response.effects) + liking + leaning + own
            level = np.clip(np.rint(seen), 0, 2).astype(int)
        ratings = np.array(spec.RATING_LEVELS)[level]
        frames.append(
            pl.DataFrame(
                {
                    "participant": [member_name(int(member)) for member in members],
                    "role": spec.ROLES,
                    "response_id": [response.response_id] * len(members),
                    "goal_id": [response.goal_id] * len(members),
                    "rating": ratings,
                    "rests_on": [
                        _RESTS_ON[n]
                        for n in basis.choice(len(_RESTS_ON), len(members), p=_RESTS_ON_SHARE)
                    ],
                    "rated_on": [
                        date(last_year, 5, 12 + 14 * (member % 2)) for member in members.tolist()
                    ],
                    "rationale": [
                        _RATIONALES[rating][word]
                        for rating, word in zip(ratings, words, strict=True)
                    ],
                }
            )
        )
    return pl.concat(frames).sort("participant", "response_id")


def hard_signs(
    described: pl.DataFrame, need: pl.DataFrame, attendance: pl.DataFrame, climate: pl.DataFrame
) -> pl.DataFrame:
    """Return on which themes the hard data of the last year call a school weak.

    Returns:
        `semel_mosad`, `theme`, `is_weak` (worse than the median school).
    """
    by_school = described.group_by("semel_mosad").agg(
        immigrant_language=pl.col("is_immigrant").mean(),
        home_internet=-pl.col("has_internet").mean(),
    )
    values = (
        by_school.join(
            need.select("semel_mosad", achievement="need_sd"), on="semel_mosad", how="left"
        )
        .join(
            climate.group_by("semel_mosad").agg(climate=-pl.col("agree_pct").mean()),
            on="semel_mosad",
            how="left",
        )
        .join(
            attendance.group_by("semel_mosad").agg(absence=pl.col("absence_days").mean()),
            on="semel_mosad",
            how="left",
        )
        .sort("semel_mosad")
    )
    themes = [theme for theme in _SENTENCES if theme not in _SILENT_THEMES]
    return (
        values.with_columns(pl.col(theme) > pl.col(theme).median() for theme in themes)
        .unpivot(themes, index="semel_mosad", variable_name="theme", value_name="is_weak")
        .sort("semel_mosad", "theme")
    )


def excerpts(
    signs: pl.DataFrame, last_year: int, streams: Streams
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return coded excerpts, and for each how it stands to the hard data.

    Args:
        signs: result of `hard_signs`.
        last_year: the school year of the talks.
        streams: random streams.

    Returns:
        excerpts: `excerpt_id`, `semel_mosad`, `school_year`, `collected_on`, `qual_source`,
            `role`, `theme`, `sentiment` (positive or negative), `excerpt_he`, `has_consent`.
        truth: `excerpt_id`, `stance` (agree, contradict, silent).
    """
    rng = streams("excerpts")
    codes = signs["semel_mosad"].unique(maintain_order=True).to_list()
    is_weak = {(code, theme): weak for code, theme, weak in signs.iter_rows()}
    spoken = [theme for theme in _SENTENCES if theme not in _SILENT_THEMES]
    n = round(spec.EXCERPTS_PER_SCHOOL * len(codes))
    counts = [round(share * n) for share in list(spec.STANCES.values())[:-1]]
    stances = rng.permutation(np.repeat(list(spec.STANCES), [*counts, n - sum(counts)]))
    consent = rng.permutation(n) >= round(spec.WITHOUT_CONSENT * n)
    rows = []
    for number, stance in enumerate(stances):
        code = codes[number % len(codes)]
        themes = _SILENT_THEMES if stance == "silent" else spoken
        theme = themes[rng.integers(len(themes))]
        weak = is_weak.get((code, theme), bool(rng.integers(2)))
        says_weak = weak != (stance == "contradict")
        rows.append(
            {
                "excerpt_id": f"e{number + 1:04d}",
                "semel_mosad": code,
                "school_year": last_year,
                "month": int(rng.integers(1, 7)),
                "day": int(rng.integers(1, 29)),
                "qual_source": _SOURCES[rng.integers(len(_SOURCES))],
                "role": _VOICES[rng.integers(len(_VOICES))],
                "theme": theme,
                "sentiment": "negative" if says_weak else "positive",
                "excerpt_he": _SENTENCES[theme][0 if says_weak else 1],
                "has_consent": bool(consent[number]),
                "stance": str(stance),
            }
        )
    frame = pl.DataFrame(rows).with_columns(
        pl.date("school_year", "month", "day").alias("collected_on")
    )
    return (
        frame.select(
            "excerpt_id",
            "semel_mosad",
            "school_year",
            "collected_on",
            "qual_source",
            "role",
            "theme",
            "sentiment",
            "excerpt_he",
            "has_consent",
        ),
        frame.select("excerpt_id", "stance"),
    )


def forms_file(
    members: Sequence[tuple[str, str, str]],
    codes: list[str],
    planning_year: int,
    streams: Streams,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the forms of parents, pupils and representatives, and the need planted first.

    Args:
        members: name, role and group spoken for of those at the table; groups' representatives fill
            in forms too.
        codes: schools of the city.
        planning_year: the cycle.
        streams: random streams.

    Returns:
        forms: contract of `voice__forms`; up to three needs a person, some without consent.
        truth: `need_id`, the one that most people put first.
    """
    rng = streams("forms")
    first = spec.FORM_NEEDS[rng.integers(len(spec.FORM_NEEDS) - 1)]
    odds = np.array([spec.FIRST_NEED_ODDS if need == first else 1.0 for need in spec.FORM_NEEDS])
    odds /= odds.sum()
    speakers = [(name, role, group) for name, role, group in members if group]
    speakers += [
        (f"טופס {role} {number:03d}", role, "")
        for role, count in spec.FORM_FILLERS.items()
        for number in range(count)
    ]
    rows = []
    for name, role, group in speakers:
        agreed = bool(rng.random() >= spec.WITHOUT_CONSENT)
        school = codes[int(rng.integers(len(codes)))]
        day = date(planning_year - 1, int(rng.integers(2, 6)), 3 + int(rng.integers(20)))
        chosen = rng.choice(spec.FORM_NEEDS, rng.integers(1, 4), replace=False, p=odds)
        rows += [
            (
                planning_year,
                day,
                name,
                role,
                group or None,
                school,
                need,
                place + 1,
                _COMMENTS[rng.integers(len(_COMMENTS))] or None,
                agreed,
            )
            for place, need in enumerate(chosen.tolist())
        ]
    names = ["planning_year", "said_on", "participant", "role", "group_id", "semel_mosad"]
    frame = pl.DataFrame(
        rows,
        schema=[*names, "need_id", "need_priority", "comment_he", "has_consent"],
        orient="row",
        infer_schema_length=None,
    )
    return frame, pl.DataFrame({"need_id": [first]})


def practices_file(codes: list[str], last_year: int, streams: Streams) -> pl.DataFrame:
    """Return what schools do that others can come and see (contract of `voice__practices`)."""
    rng = streams("practices")
    rows = [
        (
            date(last_year, 3, 1 + number),
            "מנהלת בית ספר",
            codes[int(rng.integers(len(codes)))],
            field,
            what,
            last_year - int(rng.integers(0, 6)),
        )
        for number, (field, what) in enumerate(_PRACTICES)
    ]
    names = ["said_on", "role", "semel_mosad", "criteria_field", "practice_he"]
    return pl.DataFrame(rows, schema=[*names, "practice_since"], orient="row")
