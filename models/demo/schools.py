"""Schools of the city: the school table of a profile, its areas, its enrolment, its register."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from models.demo import spec
from models.demo.profiles import Profile
from models.demo.streams import Streams

STREAMS_HE = {
    spec.STATE: "ממלכתי",
    spec.RELIGIOUS: "ממלכתי דתי",
    spec.UNOFFICIAL: "חרדי",
}
REGISTER_HEADERS = {
    "semel_mosad": "סמל מוסד",
    "school_year": "שנת לימודים",
    "school_name_he": "שם בית הספר",
    "supervision_he": "פיקוח",
    "legal_status_he": "מעמד משפטי",
    "stage_he": "שלב חינוך",
    "type_he": "סוג חינוך",
    "pupils": "תלמידים",
    "classes": "כיתות",
    "nurture": "מדד טיפוח",
    "stat_area": "אזור סטטיסטי",
    "choice_cluster": "אשכול בחירה",
    "uniqueness_cluster": "אשכול ייחודיות",
    "self_managed_he": "ניהול עצמי",
    "opened_on": "תאריך פתיחה",
    "closed_on": "תאריך סגירה",
    "location_east_m": "קואורדינטת מזרח",
    "location_north_m": "קואורדינטת צפון",
}


def school_table(profile: Profile, areas: pl.DataFrame, streams: Streams) -> pl.DataFrame:
    """Return one row per school of the profile, in the order of the codes.

    Args:
        profile: which schools exist and how often the table is repeated.
        areas: `stat_area`, `ses_value_cbs` of the city's areas.
        streams: random streams; copies after the first are jittered.

    Returns:
        `school` (index), `label`, `copy`, `semel_mosad`, `semel_mosad_old` (the code merged into
        it, or null), `school_name_he`, `stream`, `pupils` (last year), `nurture`, `immigrant_pct`,
        `sen_pct`, `cause` (planted, or null), `programmes`, `stat_area`, `choice_cluster`,
        `uniqueness_cluster`, `location_east_m`, `location_north_m` (metres on a made-up grid).
    """
    rng = streams("schools")
    causes = {cause.label: cause.cause_id for cause in spec.CAUSES if profile.has_causes}
    rows: list[dict[str, object]] = []
    for copy in range(profile.copies):
        for position, school in enumerate(spec.SCHOOLS):
            jitter = rng.uniform(-1, 1, 4) if copy else np.zeros(4)
            if school.label not in profile.labels:
                continue
            name = f"{spec.NAME_PREFIX[school.stream]} {spec.NAME_PLANTS[position]} "
            name += spec.NAME_ENDINGS[position % len(spec.NAME_ENDINGS)]
            number = copy * len(spec.SCHOOLS) + position
            merged = school.label == spec.MERGED_SCHOOL
            rows.append(
                {
                    "school": len(rows),
                    "label": school.label,
                    "copy": copy,
                    "semel_mosad": str(spec.FIRST_CODE + number),
                    "semel_mosad_old": str(spec.FIRST_MERGED_CODE + copy) if merged else None,
                    "school_name_he": f"{name} {copy + 1}" if copy else name,
                    "stream": school.stream,
                    "pupils": round(school.pupils * (1 + 0.05 * jitter[0])),
                    "nurture": round(school.nurture + 0.3 * jitter[1], 1),
                    "immigrant_pct": school.immigrant_pct * (1 + 0.1 * jitter[2]),
                    "sen_pct": school.sen_pct * (1 + 0.1 * jitter[3]),
                    "cause": causes.get(school.label),
                    "programmes": list(school.programmes),
                    "choice_cluster": spec.CHOICE_CLUSTERS[position % len(spec.CHOICE_CLUSTERS)],
                    "uniqueness_cluster": spec.UNIQUENESS_CLUSTERS[
                        position % len(spec.UNIQUENESS_CLUSTERS)
                    ],
                }
            )
    table = pl.DataFrame(rows, schema_overrides={"semel_mosad_old": pl.String, "cause": pl.String})
    table = table.with_columns(stat_area=pl.Series(_areas_of(table["nurture"], areas, streams)))
    return table.with_columns(_places(table["stat_area"], areas, streams))


def stat_areas(profile: Profile, streams: Streams) -> pl.DataFrame:
    """Return the city's statistical areas (contract of `context__stat_areas`)."""
    rng = streams("stat_areas")
    n = spec.STAT_AREAS * profile.copies
    weakest, strongest = spec.AREA_CLUSTERS
    cluster = np.sort(weakest + np.arange(n) % (strongest - weakest + 1))
    value = (cluster - 5) * 0.35 + rng.uniform(-0.15, 0.15, n)
    return pl.DataFrame(
        {
            "locality_name": [spec.LOCALITY] * n,
            "stat_area": [str(101 + i) for i in range(n)],
            "population": rng.integers(3_000, 9_000, n),
            "ses_value_cbs": value.round(3),
            "ses_cluster_cbs": cluster,
        }
    )


def _areas_of(nurture: pl.Series, areas: pl.DataFrame, streams: Streams) -> list[str]:
    # Weak schools lie in weak areas, with as much noise as gives a correlation of about −.7.
    value = nurture.to_numpy()
    spread = value.std() * spec.AREA_NOISE
    noisy = value + streams("school_areas").normal(0, spread, len(value))
    rank = np.empty(len(value), dtype=int)
    rank[np.argsort(-noisy, kind="stable")] = np.arange(len(value))
    codes = areas.sort("ses_value_cbs")["stat_area"].to_list()
    return [codes[i * len(codes) // len(value)] for i in rank]


def _places(stat_area: pl.Series, areas: pl.DataFrame, streams: Streams) -> list[pl.Series]:
    """Return where each school stands: somewhere in its area, a cell of a made-up grid."""
    number = {code: index for index, code in enumerate(areas["stat_area"])}
    cell = np.array([number[code] for code in stat_area])
    corner = np.stack([cell % spec.AREA_COLUMNS, cell // spec.AREA_COLUMNS]) * spec.AREA_WIDTH_M
    place = corner + streams("school_places").uniform(0, spec.AREA_WIDTH_M, corner.shape)
    east, north = np.rint(spec.GRID_ORIGIN_M + place)
    return [pl.Series("location_east_m", east), pl.Series("location_north_m", north)]


def enrolment(schools: pl.DataFrame, years: Sequence[int], streams: Streams) -> np.ndarray:
    """Return pupils per school × year × grade (index 0 = grade 1); zero before a school opens.

    The last year equals the table; earlier years shrink by the yearly growth, with noise.
    """
    last = years[-1]
    back = last - np.array(years)
    rng = streams("enrolment")
    noise = rng.uniform(-spec.ENROLMENT_NOISE, spec.ENROLMENT_NOISE, (len(schools), len(years)))
    noise[:, -1] = 0
    final = schools["pupils"].to_numpy()
    totals = np.rint(final[:, None] * (1 - spec.YEARLY_GROWTH) ** back * (1 + noise)).astype(int)
    opened_late = (schools["label"] == spec.NEW_SCHOOL).to_numpy()
    totals[np.ix_(opened_late, back > spec.OPENING_LAG)] = 0
    return largest_remainder(totals, np.array(spec.GRADE_SHARES))


def largest_remainder(totals: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Split whole `totals` by `shares` (last axis added) so that the parts sum to the totals."""
    quota = totals[..., None] * shares
    parts = np.floor(quota + 1e-9).astype(int)
    left = totals - parts.sum(-1)
    rank = np.argsort(np.argsort(-(quota - parts), axis=-1, kind="stable"), axis=-1, kind="stable")
    return parts + (rank < left[..., None])


def register_file(schools: pl.DataFrame, described: pl.DataFrame, last_year: int) -> pl.DataFrame:
    """Return one year's school register as a municipality keeps it, with Hebrew headers.

    The new school opens with its first school year; a code that is merged closes after its last
    one.
    """
    counts = (
        described.group_by("school", "semel_mosad", "school_year", "grade")
        .agg(pl.len().alias("pupils"), pl.col("decile").sum(), pl.col("classes").first())
        .group_by("school", "semel_mosad", "school_year")
        .agg(pl.col("pupils", "decile", "classes").sum())
        .with_columns(nurture=(pl.col("decile") / pl.col("pupils")).round(1))
    )
    is_official = pl.col("stream") != spec.UNOFFICIAL
    old = pl.col("semel_mosad") != pl.col("current_code")
    year = pl.col("school_year")
    opens = (pl.col("label") == spec.NEW_SCHOOL) & (year == last_year - spec.OPENING_LAG)
    closes = old & (year == last_year - spec.MERGER_LAG - 1)
    return (
        counts.join(
            schools.select(
                "school",
                "label",
                "school_name_he",
                "stream",
                "stat_area",
                "choice_cluster",
                "uniqueness_cluster",
                "location_east_m",
                "location_north_m",
                current_code="semel_mosad",
            ),
            on="school",
        )
        .with_columns(
            school_name_he=pl.when(old)
            .then(pl.col("school_name_he") + " (שלוחה)")
            .otherwise("school_name_he"),
            supervision_he=pl.col("stream").replace_strict(STREAMS_HE),
            legal_status_he=pl.when(is_official)
            .then(pl.lit("רשמי"))
            .otherwise(pl.lit("מוכר שאינו רשמי")),
            stage_he=pl.lit("יסודי"),
            type_he=pl.lit("רגיל"),
            self_managed_he=pl.when(is_official).then(pl.lit("כן")).otherwise(pl.lit("לא")),
            opened_on=pl.when(opens).then(pl.format("{}-09-01", year - 1)),
            closed_on=pl.when(closes).then(pl.format("{}-08-31", year)),
        )
        .sort("semel_mosad")
        .select(pl.col(name).alias(header) for name, header in REGISTER_HEADERS.items())
    )


def merges_file(schools: pl.DataFrame, last_year: int) -> pl.DataFrame:
    """Return the institution codes merged into others (contract of `register__merges`)."""
    return schools.filter(pl.col("semel_mosad_old").is_not_null()).select(
        "semel_mosad_old",
        "semel_mosad",
        school_year=pl.lit(last_year - spec.MERGER_LAG, pl.Int64),
    )
