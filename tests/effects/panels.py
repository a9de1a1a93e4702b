"""Simulated schools by year with a planted effect, and pupils with levels around a start."""

import numpy as np
import polars as pl


def school_cells(
    rng,
    *,
    schools=36,
    treated=10,
    years=6,
    first=3,
    starts=1,
    effect=0.0,
    growth=0.0,
    share=0.22,
    grades=4,
    carried=0.0,
    chosen_by=None,
):
    """Return the cells of one response and subject, one row per school and year.

    Levels are lasting (SD .24), school-year (.06) and school × subject × year (.06) parts and the
    sampling error of `grades` grades of 16-117 pupils, of which `carried` is still there a year
    later. Schools start in one of `starts` years from `first` on. On participants the effect is
    `effect` in the first year and `growth` more in each further one. `chosen_by(lasting, level)`
    ranks schools, lowest first, by the lasting part and the level of the year before `first`.
    """
    lasting = rng.normal(0, 0.24, schools)
    pupils = grades * rng.integers(16, 118, schools)
    year_part, subject_part = rng.normal(0, 0.06, (2, schools, years))
    luck = rng.normal(0, 1, (schools, years))
    for year in range(1, years):
        luck[:, year] = carried * luck[:, year - 1] + np.sqrt(1 - carried**2) * luck[:, year]
    level = lasting[:, None] + year_part + subject_part + luck / np.sqrt(pupils)[:, None]
    order = rng.permutation(schools)
    if chosen_by is not None:
        order = np.argsort(chosen_by(lasting, level[:, first - 1]))
    start = np.full(schools, years + 1)
    start[order[:treated]] = first + np.arange(treated) % starts
    since = np.arange(years) - start[:, None]
    served = np.where(since >= 0, share, 0.0)
    level = level + served * (effect + growth * np.maximum(since, 0)) + rng.normal(0, 0.3, years)
    return pl.DataFrame(
        {
            "semel_mosad": np.repeat([f"9{i:05d}" for i in range(schools)], years),
            "school_year": np.tile(2020 + np.arange(years), schools).astype(np.int32),
            "outcome_sd": level.ravel(),
            "pupils": np.repeat(pupils, years),
            "served_share": served.ravel(),
            "started_year": [None if s > years else 2020 + int(s) for s in np.repeat(start, years)],
        },
        schema_overrides={"started_year": pl.Int32},
    )


def pupil_levels(rng, *, pupils=300, treated_share=0.22, effect=0.0, keep=1.0, chosen_by="lasting"):
    """Return pupils' levels around a start; ability (SD .85) keeps `keep` a year, tests err by .45.

    `chosen_by`: "lasting" ability of the last year with noise, its "luck" alone, or its "level".
    """
    ability = [rng.normal(0, 0.85, pupils)]
    for _ in range(3):
        moved = 0.85 * np.sqrt(1 - keep**2) * rng.normal(0, 1, pupils)
        ability.append(keep * ability[-1] + moved)
    third, second, last, after = (one + rng.normal(0, 0.45, pupils) for one in ability)
    rank = {
        "lasting": ability[2] + rng.normal(0, 0.8, pupils),
        "luck": last - ability[2],
        "level": last,
    }[chosen_by]
    treated = np.zeros(pupils, dtype=bool)
    treated[np.argsort(rank)[: round(pupils * treated_share)]] = True
    return pl.DataFrame(
        {
            "unit_id": np.arange(pupils),
            "is_treated": treated,
            "before_1_sd": last,
            "before_2_sd": second,
            "before_3_sd": third,
            "after_sd": after + effect * treated,
        }
    )
