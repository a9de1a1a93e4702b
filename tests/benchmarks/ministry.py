"""The score files of a ministry: a file a year, as its systems export them, in any size.

Everything is synthetic: no real school, pupil or result. Ids have a wrong check digit, so that no
child can have one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import yaml

from models.demo import generate
from models.demo.pupils import check_digit
from pipelines.demo.write import write_city

SUBJECTS = ("hebrew", "math", "english", "science")
SOURCE = "tests__pupil_scores"
GRADES = (5, 6)
_FIRST_BODY, _BODIES, _STEP = 10_000_000, 89_999_999, 38_758_149  # a step without a common factor
_UNTESTED, _RENEWED = 20, 6  # one test in so many is missed; a sixth of the pupils leave each year
_PUPILS_AT_ONCE = 200_000
_HEADER = (
    "pupil_id,school_year,semel_mosad,grade,subject,test_source,scale_id,test_date,is_tested,score,"
    "is_adapted,test_form,link_id\n"
)


def pupil_ids(pupil: np.ndarray) -> np.ndarray:
    """Return nine-digit numbers with a wrong Israeli check digit, one for each pupil number."""
    body = _FIRST_BODY + (pupil.astype(np.int64) * _STEP) % _BODIES
    return body * 10 + (check_digit(body) + 1 + pupil % 9) % 10


def write_ministry(
    folder: Path,
    pupils: int,
    *,
    years: int = 5,
    schools: int | None = None,
    spoilt: int = 100_000,
) -> int:
    """Write a ministry's folder: `city.yaml`, `policy.yaml`, the register of schools, score files.

    A year's file has four subjects of each pupil, one after another, school by school. Among them
    are rows that cannot be staged: a score that is no number or beyond its scale, a school that
    nobody registered, a pupil without id, a row twice with two scores, a field too many.

    Args:
        folder: where it is written; must not exist, or hold a generated city.
        pupils: tested in each year.
        years: school years, the last being 2026.
        schools: how many; one for 400 pupils if not given.
        spoilt: one pupil in so many has a spoilt row of each kind; 0 for none.

    Returns:
        How many rows the score files have.
    """
    write_city(generate(seed=1, profile="small"), folder)
    schools = schools or max(40, pupils // 400)
    codes = np.array([str(code) for code in 100_000 + np.arange(schools)])
    held = range(2027 - years, 2027)
    for path in (folder / "files").iterdir():
        path.unlink()
    _settings(folder, held)
    registered = pl.DataFrame({"semel_mosad": codes}).with_row_index("number")
    number = pl.col("number")
    registered.join(pl.DataFrame({"school_year": list(held)}), how="cross").select(
        "semel_mosad",
        "school_year",
        school_name_he=pl.format("בית ספר {}", number),
        supervision_stream=pl.when(number % 3 == 0)
        .then(pl.lit("state_religious"))
        .otherwise(pl.lit("state")),
        legal_status=pl.lit("official"),
        education_stage=pl.lit("elementary"),
        education_type=pl.lit("regular"),
        pupils=pl.lit(max(1, pupils // schools)),
        classes=pl.lit(max(1, pupils // schools // 28)),
        nurture_index=(1 + 9 * (number * 7919 % 1000) / 1000).round(2),
        stat_area=pl.lit("1"),
        is_self_managed=pl.lit("false"),
        opened_on=pl.lit("1990-09-01"),
    ).write_csv(folder / "files" / "schools.csv")
    return sum(
        _write_year(folder / "files" / f"pupil_scores_{year}.csv", year, pupils, codes, spoilt)
        for year in held
    )


def _settings(folder: Path, held: range) -> None:
    """Map the register of schools and the scores, and nothing else."""
    path = folder / "city.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["expected"] = {}
    settings["school_years"] = {"first": held[0], "last": held[-1], "reference": held[-1]}
    scores = settings["sources"][SOURCE]
    scores.pop("not_reporting", None)
    columns = (
        "semel_mosad school_year school_name_he supervision_stream legal_status education_stage"
        " education_type pupils classes nurture_index stat_area is_self_managed opened_on"
    )
    settings["sources"] = {
        "register__schools": {
            "file": "schools.csv",
            "format": "csv",
            "columns": {name: name for name in columns.split(" ")},
        },
        SOURCE: scores,
    }
    path.write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _write_year(path: Path, year: int, pupils: int, codes: np.ndarray, spoilt: int) -> int:
    rng, written = np.random.default_rng(year), 0
    level = np.random.default_rng(1).normal(71, 6, len(codes))
    entered = (year - 2000) * (pupils // _RENEWED)
    days = [f"{day:02}/05/{year}" for day in (2, 9, 16, 23)]
    with path.open("wb") as file:
        file.write(_HEADER.encode())
        for first in range(0, pupils, _PUPILS_AT_ONCE):
            pupil = np.arange(first, min(first + _PUPILS_AT_ONCE, pupils))
            school = pupil * len(codes) // pupils
            own = level[school] + rng.normal(0, 12, len(pupil))
            rows = np.repeat(np.arange(len(pupil)), len(SUBJECTS))
            score = np.clip(own[rows] + rng.normal(0, 7, len(rows)), 1, 100).round(1)
            tested = rng.integers(0, _UNTESTED, len(rows)) > 0
            number = (entered + pupil)[rows]
            frame = pl.DataFrame(
                {
                    "pupil_id": pupil_ids(entered + pupil)[rows],
                    "school_year": np.full(len(rows), year),
                    "semel_mosad": codes[school][rows],
                    "grade": np.array(GRADES)[number % len(GRADES)],
                    "subject": np.tile(SUBJECTS, len(pupil)),
                    "test_source": "internal",
                    "scale_id": "INT",
                    "test_date": np.tile(days, len(pupil)),
                    "is_tested": np.where(tested, "כן", "לא"),
                    "score": score,
                    "is_adapted": np.where(number % 40 == 0, "כן", "לא"),
                    "test_form": np.where(number % 2 == 0, "א", "ב"),
                    "link_id": "INT",
                }
            ).with_columns(pl.when(pl.Series(tested)).then("score"))
            file.write(frame.write_csv(include_header=False).encode())
            written += len(rows)
            for place in range(0, len(pupil), spoilt) if spoilt else ():
                lines = _spoilt(frame.row(4 * place), str(codes[-1]), year)
                file.write(lines.encode())
                written += lines.count("\n")
    return written


def _spoilt(row: tuple, code: str, year: int) -> str:
    """Return rows that cannot be staged, made from a good one of another grade."""
    good = ["" if value is None else value for value in row]
    good[3], good[8], good[9] = 4, "כן", 50
    bad = [
        {9: "נעדר"},
        {9: 140, 4: "math"},
        {2: "999999", 4: "english"},
        {0: "", 4: "science"},
        {7: f"31/12/{year + 1}", 4: "science"},
        {3: 3, 9: 60},
        {3: 3, 9: 61},
        {2: code, 12: "INT,more"},
    ]
    return "".join(
        ",".join(str(changed.get(place, value)) for place, value in enumerate(good)) + "\n"
        for changed in bad
    )
