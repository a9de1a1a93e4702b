"""The dirty city: the clean one with 38 kinds of defects, and what must happen to each.

Every defect is a small edit of one file, in years and files apart from one another so that none
hides another. The manifest says where it is and what must come of it; a row that a reader can
repair equals its clean twin afterwards (`equal`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import polars as pl

from models.demo import spec
from models.demo.city import SyntheticCity
from models.demo.layout import Layout

NAMES = ("יוסי כהן", "תמר לוי")
PHONE, IDENTITY = "050-7654321", "990054321"
_HEBREW_DATES = {"2018-09-01": 'כ"א באלול תשע"ח', "2021-09-01": 'כ"ד באלול תשפ"א'}
_EXCEL_DAY_ZERO = date(1899, 12, 30)
_MISSING = {"kind": "quarantine", "expected": "missing"}
MANIFEST = {
    "defect_id": pl.String,
    "kind": pl.String,
    "source_id": pl.String,
    "file_name": pl.String,
    "file_row": pl.Int32,
    "column_name": pl.String,
    "expected": pl.String,
    "key": pl.String,
    "severity": pl.String,
    "note": pl.String,
}


def code_of(label: str) -> str:
    """Return the institution code of a school of the table, such as "S06"."""
    labels = [school.label for school in spec.SCHOOLS]
    return str(spec.FIRST_CODE + labels.index(label))


def soil(city: SyntheticCity) -> SyntheticCity:
    """Return the city with every defect of the catalogue, and `truth["defects"]`, its manifest.

    Manifest columns: `defect_id` (D1…D38), `kind`, `source_id`, `file_name`, `file_row`,
    `column_name`, `expected`, `key`, `severity`, `note`. Kinds: `quarantine` (expected = reason
    code; one line per row), `repair` (repair code; `key` = rows repaired, `file_row` the first),
    `check` (table.check_id, failing for `key`), `unreadable`, `value` (what the value is read as),
    `equal` (expected = table whose rows of the year `key` equal the clean ones, but for rows set
    aside), `sequence` (needs two loads) and `export`. `knock_on` is what follows from a defect
    elsewhere and may be reported: a reason code, or a check and a pattern of its keys; `note` says
    why. `severity` is that of the check which reports it; empty where nothing is reported, since
    the row was read as it was meant or is kept out by design.

    Raises:
        ValueError: if the city is not the clean city over five years.

    Source: the generator specification, section 9.
    """
    if city.profile != "clean" or len(city.years) < 5:
        raise ValueError("defects are made in the clean city over five school years")
    dirt = _Dirt(city)
    for part in (_registers, _tests, _wellbeing, _money, _voices, _layouts):
        part(dirt)
    truth = city.truth | {
        "defects": pl.DataFrame(dirt.manifest, schema=MANIFEST, orient="row"),
        "planted_identifiers": pl.DataFrame({"text": [*NAMES, PHONE, IDENTITY]}),
    }
    return replace(
        city,
        profile="dirty",
        files=dirt.files,
        truth=truth,
        expected=city.expected | dirt.expected,
        layouts=dirt.layouts,
        absent=tuple(dirt.absent),
    )


@dataclass
class _Dirt:
    """The files while they are soiled."""

    city: SyntheticCity
    files: dict[str, pl.DataFrame] = field(default_factory=dict)
    manifest: list[tuple] = field(default_factory=list)
    expected: dict[str, int] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = {name: frame.cast(pl.String) for name, frame in self.city.files.items()}
        self.y = [str(year) for year in self.city.years[-5:]]

    def note(
        self,
        defect: str,
        kind: str,
        source: str,
        file: str,
        expected: str | None,
        *,
        key: str | None = None,
        index: int | None = None,
        column: str | None = None,
        severity: str | None = "ERROR",
        note: str = "",
    ) -> None:
        """Write one line of the manifest; `index` counts data rows from 0."""
        first = self.layouts.get(file, Layout()).header_row + 1
        row = None if index is None else index + first
        self.manifest.append(
            (defect, kind, source, file, row, column, expected, key, severity, note)
        )

    def knock_on(
        self, defect: str, source: str, file: str, expected: str, key: str | None, why: str
    ) -> None:
        """Write what follows from a defect elsewhere; `key` is a pattern of keys of the check."""
        self.note(defect, "knock_on", source, file, expected, key=key, severity=None, note=why)

    def put(self, file: str, index: int, column: str, value: str | None) -> None:
        """Set one value."""
        frame = self.files[file].clone()
        frame[index, column] = value
        self.files[file] = frame

    def plant(self, value: str | None, file: str, index: int, column: str, **said: Any) -> None:
        """Set one value and write the manifest's line about it (`said`: as `note`)."""
        self.put(file, index, column, value)
        self.note(file=file, index=index, column=column, **said)

    def change(self, file: str, column: str, value: pl.Expr, where: pl.Expr) -> None:
        """Set a column's values where a condition holds."""
        changed = pl.when(where).then(value.cast(pl.String)).otherwise(pl.col(column))
        self.files[file] = self.files[file].with_columns(changed.alias(column))

    def find(self, file: str, **values: str) -> int:
        """Return the first row with these values."""
        frame = self.files[file]
        matches = pl.all_horizontal([pl.col(name) == value for name, value in values.items()])
        return frame.with_row_index().filter(matches)["index"][0]

    def rows(self, file: str, where: pl.Expr) -> list[int]:
        """Return the rows where a condition holds."""
        return self.files[file].with_row_index().filter(where)["index"].to_list()

    def add(self, file: str, **values: str | None) -> int:
        """Append a row (absent columns empty) and return its index."""
        frame = self.files[file]
        row = pl.DataFrame(
            [{name: values.get(name) for name in frame.columns}], schema=frame.schema
        )
        self.files[file] = pl.concat([frame, row])
        return frame.height

    def copy(self, file: str, index: int, **values: str | None) -> int:
        """Append a copy of a row with other values."""
        return self.add(file, **(self.files[file].row(index, named=True) | values))


def _registers(d: _Dirt) -> None:
    y0, y1, y2, y3, y4 = d.y
    semel, name, nurture, pupils = "סמל מוסד", "שם בית הספר", "מדד טיפוח", "תלמידים"
    schools = "register__schools"

    file = f"schools_{y4}.xlsx"
    at = d.find(file, **{semel: code_of("S01")})
    d.put(file, at, pupils, str(int(d.files[file][at, pupils]) - 1))
    d.note(
        "D1",
        "check",
        schools,
        file,
        "core_reconciliation.counts_agree",
        key="pupils.state",
        index=at,
    )
    for key in ("pupils.official", "pupils.all"):
        d.note("D1", "check", schools, file, "core_reconciliation.counts_agree", key=key, index=at)
    d.knock_on(
        "D1",
        schools,
        file,
        "core_participation.within_school",
        f"{code_of('S01')}/{y4}/*",
        "a response for the whole school now has one participant more than the school has pupils",
    )
    d.expected["schools.official"] = len(spec.SCHOOLS)
    d.note("D2", "check", schools, file, "core_reconciliation.counts_agree", key="schools.official")
    at = d.find(file, **{semel: code_of("S02")})
    d.put(file, at, name, '=HYPERLINK("https://example.org","יסודי")')
    d.note("D38", "export", schools, file, None, index=at, column="school_name_he")

    file = f"schools_{y3}.xlsx"
    at = d.find(file, **{semel: code_of("R02")})
    other = d.copy(file, at, **{name: f"\u200f{d.files[file][at, name]}  (שם קודם) "})
    d.note("D3", "quarantine", schools, file, "duplicate_key", index=other)
    at = d.find(file, **{semel: code_of("S15")})
    d.put(file, at, "פיקוח", "ממלכתי דתי")
    d.note(
        "D37",
        "check",
        schools,
        file,
        "core_school_change.register_change",
        key=f"{code_of('S15')}/{y3}/stream",
        index=at,
        severity="WARN",
    )
    d.knock_on(
        "D37",
        schools,
        file,
        "core_school_change.register_change",
        f"{code_of('S15')}/{y4}/stream",
        "the school is back in its stream a year later",
    )
    for label, column, day, kind in (
        ("U07", "תאריך פתיחה", f"{int(y3) - 1}-11-10", "opened_mid_year"),
        ("U01", "תאריך סגירה", f"{y3}-03-31", "closed_mid_year"),
    ):
        at = d.find(file, **{semel: code_of(label)})
        d.put(file, at, column, day)
        d.note(
            "D37",
            "check",
            schools,
            file,
            "core_school_change.register_change",
            key=f"{code_of(label)}/{y3}/{kind}",
            index=at,
            severity="WARN",
        )

    file = f"schools_{y2}.xlsx"
    d.files[file] = d.files[file].with_columns(pl.col(semel).cast(pl.Float64))
    d.note(
        "D4",
        "equal",
        schools,
        file,
        "staging.stg_register__schools",
        key=y2,
        severity=None,
        note="codes are numbers in Excel",
    )
    # A former code of S08 that begins with a zero, which a spreadsheet dropped.
    d.add("merges.csv", semel_mosad_old="090012", semel_mosad=code_of("S08"), school_year=y1)
    file = f"parents_payments_{y3}.csv"
    rows = d.rows(file, pl.col("semel_mosad") == code_of("S08"))
    d.change(file, "semel_mosad", pl.lit("90012"), pl.col("semel_mosad") == code_of("S08"))
    d.note(
        "D4",
        "repair",
        "finance__parents_payments",
        file,
        "code_repaired",
        index=rows[0],
        key=str(len(rows)),
        column="semel_mosad",
        severity="WARN",
    )
    d.note(
        "D4",
        "equal",
        "finance__parents_payments",
        file,
        "core.core_parents_payment",
        key=y3,
        severity=None,
    )

    file = f"schools_{y0}.xlsx"
    d.change(file, nurture, 11 - pl.col(nurture).cast(pl.Float64), pl.lit(value=True))
    d.note("D6", "check", schools, file, "core_direction.direction", key=f"nurture_index/{y0}")
    d.note(
        "D6",
        "check",
        schools,
        file,
        "core_direction.direction",
        key=f"nurture_vs_area_cluster/{y0}",
    )
    d.knock_on(
        "D6",
        schools,
        file,
        "core_participation.eligibility",
        f"*/{y0}/*",
        "a reversed nurture index makes schools ineligible",
    )
    file = f"schools_{y1}.xlsx"
    areas = d.files["stat_areas.csv"]
    cluster = dict(areas.select("stat_area", "ses_cluster_cbs").iter_rows())
    d.change(file, nurture, pl.col("אזור סטטיסטי").replace_strict(cluster), pl.lit(value=True))
    d.note(
        "D7",
        "check",
        schools,
        file,
        "core_direction.direction",
        key=f"nurture_vs_area_cluster/{y1}",
    )
    d.knock_on(
        "D7",
        schools,
        file,
        "core_direction.direction",
        f"nurture_index/{y1}",
        "the cluster runs against the scores as well",
    )
    d.knock_on(
        "D7",
        schools,
        file,
        "core_participation.eligibility",
        f"*/{y1}/*",
        "a cluster read as a nurture index makes schools ineligible",
    )

    file = f"pupils_{y3}.csv"
    at = d.find(file, semel_mosad=code_of("S03"))
    other = d.copy(file, at, semel_mosad=code_of("S04"))
    for index in (at, other):
        d.note("D12", "quarantine", "register__pupils", file, "duplicate_key", index=index)
    file = f"pupils_{y2}.csv"
    for index, column, value in ((10, "grade", "9"), (20, "birth_year", "1995")):
        d.plant(
            value,
            file,
            index,
            column,
            defect="D13",
            kind="quarantine",
            source="register__pupils",
            expected="implausible",
            severity="WARN",
        )


def _tests(d: _Dirt) -> None:
    y0, y1, y2, y3, y4 = d.y
    source = "tests__pupil_scores"
    internal = pl.col("test_source") == "internal"

    file = f"pupil_scores_{y0}.csv"
    absent = pl.col("score").is_null()
    # Zero is possible in the internal tests only; on the external scale it is no score at all.
    for index in d.rows(file, absent & ~internal):
        d.note(
            "D8",
            "quarantine",
            source,
            file,
            "outside_scale",
            index=index,
            column="score",
            severity="WARN",
        )
    d.change(file, "is_tested", pl.lit("true"), absent)
    d.change(file, "score", pl.lit("0"), absent)
    d.note("D8", "check", source, file, "core_score_spike.zero_spike", key=f"INT/{y0}")
    for check, key in (
        ("core_scale_year.scale_break", f"internal/INT/{y1}"),
        ("core_school_drift.mean_drift", f"*/{y1}"),
    ):
        d.knock_on(
            "D8",
            source,
            file,
            check,
            key,
            "the zeros pull down the mean that the next year is held against",
        )

    file = f"pupil_scores_{y1}.csv"
    rows = (
        d.files[file].with_row_index().filter(internal & (pl.col("is_tested") == "true"))["index"]
    )
    for index, value in zip(rows[[5, 50, 500]], ("140", "-5", "0.71"), strict=True):
        d.plant(
            value,
            file,
            index,
            "score",
            defect="D9",
            kind="quarantine",
            source=source,
            expected="outside_scale",
            severity="WARN",
        )

    file = f"pupil_scores_{y2}.csv"
    here = (pl.col("semel_mosad") == code_of("S06")) & internal
    points = pl.col("score").cast(pl.Float64)
    weak = here & (points.rank() < 0.3 * points.count()).over(
        "semel_mosad", "grade", "subject", "test_source"
    )
    flagged = d.files[file].select(weak.fill_null(value=False).alias("weak"))["weak"]
    d.change(file, "is_tested", pl.lit("false"), pl.lit(flagged))
    d.change(file, "score", pl.lit(None, pl.String), pl.lit(flagged))
    seen = d.files[file].filter(here).filter(pl.col("grade") == "4")["subject"].unique().sort()
    d.note(
        "D11",
        "check",
        source,
        file,
        "core_school_subject_year.tested_share",
        key=f"{code_of('S06')}/{seen[0]}/4/{y2}/INT/all",
        severity="WARN",
    )
    d.knock_on(
        "D11",
        source,
        file,
        "core_school_subject_year.tested_share",
        f"{code_of('S06')}/*/{y2}/INT/*",
        "the weak are missing in every class of the school; in the larger ones it is sure",
    )
    d.knock_on(
        "D11",
        source,
        file,
        "core_test_selection.weak_tested",
        f"{code_of('S06')}/{y2}/internal/*",
        "they are weak by their other results too",
    )

    file = f"pupil_scores_{y3}.csv"
    rows = (
        d.files[file].with_row_index().filter(internal & (pl.col("is_tested") == "true"))["index"]
    )
    at = rows[7]
    other = d.copy(file, at, score="33.0")
    for index in (at, other):
        d.note("D12", "quarantine", source, file, "duplicate_key", index=index)

    file = f"pupil_scores_{y4}.csv"
    d.change(file, "scale_id", pl.lit("L1"), ~internal)
    d.note(
        "D10",
        "check",
        source,
        file,
        "core_scale_year.scale_break",
        key=f"external/L1/{y4}",
        severity="WARN",
    )
    risen = (points + 14).clip(upper_bound=100)
    d.change(
        file,
        "score",
        risen,
        internal & (pl.col("semel_mosad") == code_of("S12")) & pl.col("score").is_not_null(),
    )
    d.note(
        "D32",
        "check",
        source,
        file,
        "core_school_drift.mean_drift",
        key=f"{code_of('S12')}/{y4}",
        severity="WARN",
    )
    d.files[file] = d.files[file].filter(pl.col("semel_mosad") != code_of("U05"))
    d.note(
        "D36",
        "check",
        source,
        file,
        "core_coverage.undeclared_silence",
        key=f"{source}/{y4}/{code_of('U05')}",
    )


def _wellbeing(d: _Dirt) -> None:
    _, y1, y2, y3, y4 = d.y
    file = f"informal_{y1}.csv"
    d.change(file, "semel_mosad", pl.col("semel_mosad") + ".0", pl.int_range(pl.len()) < 20)
    d.note(
        "D4",
        "repair",
        "informal__participation",
        file,
        "code_repaired",
        index=0,
        key="20",
        column="semel_mosad",
        severity="WARN",
    )
    d.note(
        "D4",
        "equal",
        "informal__participation",
        file,
        "staging.stg_informal__participation",
        key=y1,
        severity=None,
    )

    file = f"attendance_{y3}.csv"
    d.change(
        file,
        "semel_mosad",
        pl.lit(str(spec.FIRST_MERGED_CODE)),
        pl.col("semel_mosad") == code_of("R12"),
    )
    d.note(
        "D5",
        "equal",
        "attendance__pupil_years",
        file,
        "core.core_attendance",
        key=y3,
        severity=None,
    )
    file = f"parents_payments_{y1}.csv"
    d.plant(
        "900777",
        file,
        3,
        "semel_mosad",
        defect="D5",
        kind="quarantine",
        source="finance__parents_payments",
        expected="unknown_reference",
        severity="WARN",
    )

    file = f"climate_{y2}.csv"
    eligible, at = pl.col("eligible_pupils").cast(pl.Float64), pl.col("semel_mosad")
    low, tiny = code_of("S05"), code_of("S17")
    d.change(file, "respondents", (eligible * 0.31).round().cast(pl.Int64), at == low)
    # Four pupils of one class answered: its other classes have no row.
    first = d.files[file].filter(at == tiny)["grade"].min()
    d.files[file] = d.files[file].filter((at != tiny) | (pl.col("grade") == first))
    d.change(file, "respondents", pl.lit("4"), at == tiny)
    for facet in d.files[file]["facet"].unique().sort():
        for code, check in ((low, "response_rate"), (tiny, "response_rate"), (tiny, "small_n")):
            d.note(
                "D23",
                "check",
                "climate__facets",
                file,
                f"core_climate.{check}",
                key=f"{code}/{y2}/{facet}",
                severity="WARN",
            )

    file = f"exits_{y2}.csv"
    later = d.files[f"pupils_{y3}.csv"].select("pupil_id", elsewhere="semel_mosad")
    left = d.files[file].with_row_index().join(later, on="pupil_id")
    moved = left.filter(
        (pl.col("destination") == "other_stream") & (pl.col("elsewhere") != pl.col("semel_mosad"))
    )
    at = moved.sort("index")["index"][0]
    d.put(file, at, "destination", "unknown")
    d.note(
        "D24",
        "check",
        "attendance__exits",
        file,
        "core_dropout_claim.transfers_counted",
        key=f"{d.files[file][at, 'semel_mosad']}/{y2}",
        index=at,
    )

    file = f"attendance_{y4}.csv"
    for index, value, reason in ((15, "230", "implausible"), (25, "-3", "out_of_range")):
        d.plant(
            value,
            file,
            index,
            "absence_days",
            defect="D25",
            kind="quarantine",
            source="attendance__pupil_years",
            expected=reason,
            severity="WARN",
        )

    file = f"climate_{y4}.csv"
    del d.files[file]
    d.absent.append(file)
    d.note(
        "D30",
        "check",
        "climate__facets",
        file,
        "core_source_year.freshness",
        key=f"climate__facets/{y3}",
        severity="WARN",
    )
    d.note(
        "D30",
        "sequence",
        "voice__excerpts",
        "excerpts.csv",
        "refused",
        column="collected_on",
        note="a file older than what is loaded is refused",
    )
    d.note(
        "D35",
        "sequence",
        "climate__facets",
        f"climate_{y3}.csv",
        "unchanged",
        severity=None,
        note="the same file again changes nothing",
    )

    file = f"informal_{y2}.csv"
    d.files[file] = d.files[file].with_columns(remarks=pl.lit("כן"))
    d.note(
        "D31",
        "check",
        "informal__participation",
        file,
        "core_source_file.schema_drift",
        key=f"informal__participation/{file}",
        severity="WARN",
    )
    file = "ladders.csv"
    d.files[file] = d.files[file].rename({"ladder_rung": "rung"})
    d.note("D31", "unreadable", "voice__ladders", file, None, column="ladder_rung", note="renamed")
    file = f"school_bands_{y2}.csv"
    d.files[file] = d.files[file].drop("band")
    d.note("D31", "unreadable", "tests__school_bands", file, None, column="band", note="removed")


def _money(d: _Dirt) -> None:
    _, y1, y2, y3, y4 = d.y
    delivery = "programmes__delivery"
    file = f"delivery_{y4}.csv"
    d.add(
        file,
        semel_mosad=code_of("S15"),
        school_year=y4,
        response_id="milat",
        participants="5",
        dose="1.0",
        assignment_mechanism="need_based",
    )
    d.note("D17", "check", delivery, file, "core_reconciliation.counts_agree", key="served.milat")
    file = f"delivery_{y3}.csv"
    d.add(
        file,
        semel_mosad=code_of("S04"),
        school_year=y3,
        response_id="milat",
        participants="5",
        dose="1.0",
        assignment_mechanism="need_based",
    )
    d.note(
        "D18",
        "check",
        delivery,
        file,
        "core_participation.eligibility",
        key=f"{code_of('S04')}/{y3}/milat",
    )
    file = f"delivery_{y2}.csv"
    at = d.find(file, semel_mosad=code_of("S07"), response_id="amirim")
    d.put(file, at, "participants", "5000")
    d.note(
        "D19",
        "check",
        delivery,
        file,
        "core_participation.within_school",
        key=f"{code_of('S07')}/{y2}/amirim",
    )
    d.knock_on(
        "D19",
        delivery,
        file,
        "core_participation.list_agrees",
        f"{code_of('S07')}/{y2}/amirim",
        "nor are so many pupils on the school's list",
    )
    file = f"participation_{y1}.csv"
    row = d.files[file].row(4, named=True)
    d.knock_on(
        "D33",
        delivery,
        file,
        "core_participation.list_agrees",
        f"{row['semel_mosad']}/{y1}/{row['response_id']}",
        "the pupil set aside is missing on the list",
    )
    d.plant(
        "תכנית שאיש אינו מכיר",
        file,
        4,
        "response_id",
        defect="D33",
        kind="quarantine",
        source="programmes__participation",
        expected="unknown_reference",
        severity="WARN",
    )

    budget = "finance__budget_lines"
    file = f"budget_{y2}.csv"
    d.plant(None, file, 2, "funding_channel", defect="D20", source=budget, **_MISSING)
    at = d.find(
        file, response_id="amirim", funding_channel="gefen_school", semel_mosad=code_of("S09")
    )
    twin = d.find(
        file, response_id="amirim", funding_channel="municipal_own", semel_mosad=code_of("S09")
    )
    for column in ("plan_nis", "actual_nis"):
        d.put(file, twin, column, d.files[file][at, column])
    for index, channel in ((at, "gefen_school"), (twin, "municipal_own")):
        d.note(
            "D20",
            "check",
            budget,
            file,
            "core_budget_line.double_counted",
            key=f"{code_of('S09')}/{y2}/amirim/{channel}",
            index=index,
        )
    file = f"budget_{y3}.csv"
    at = d.find(file, response_id="tikshuv", semel_mosad=code_of("S03"))
    d.put(file, at, "year_type", "שנה קלנדרית")
    d.note(
        "D21",
        "check",
        budget,
        file,
        "core_budget_line.year_type",
        key=f"{code_of('S03')}/{y3}/tikshuv/{d.files[file][at, 'funding_channel']}",
        index=at,
        severity="WARN",
    )
    d.knock_on(
        "D21",
        budget,
        file,
        "core_budget_line.year_type",
        f"{code_of('S03')}/{y4}/tikshuv/*",
        "four months of a calendar year lie in the next school year",
    )
    file = f"budget_{y4}.csv"
    at = d.find(file, response_id="tikshuv", semel_mosad=code_of("S05"))
    d.put(file, at, "actual_nis", f"{4 * float(d.files[file][at, 'plan_nis']):.2f}")
    d.note(
        "D22",
        "check",
        budget,
        file,
        "core_budget_line.overspent",
        key=f"{code_of('S05')}/{y4}/tikshuv/{d.files[file][at, 'funding_channel']}",
        index=at,
        severity="WARN",
    )

    at = d.find(file, response_id="tikshuv", semel_mosad=code_of("S06"))
    d.plant(
        "(1,250.50)",
        file,
        at,
        "actual_nis",
        defect="D16",
        kind="value",
        source=budget,
        expected="-1250.5",
        severity=None,
        note="a refund in parentheses",
    )

    file = f"school_money_{y1}.csv"
    ministry = pl.col("ministry_nis").cast(pl.Decimal(18, 2))
    spell = ("₪ {0:,}", '{0:,} ש"ח', "{1}K", "{2}M")
    spelt = [
        spell[n % 4].format(value, value / 1000, value / 1_000_000)
        for n, value in enumerate(d.files[file].select(ministry)["ministry_nis"])
    ]
    d.files[file] = d.files[file].with_columns(ministry_nis=pl.Series(spelt))
    d.note(
        "D16",
        "equal",
        "finance__school_money",
        file,
        "staging.stg_finance__school_money",
        key=y1,
        severity=None,
    )


def _voices(d: _Dirt) -> None:
    file = "excerpts.csv"
    agreed = d.files[file].with_row_index().filter(pl.col("has_consent") == "true")["index"]
    d.put(file, agreed[3], "excerpt_he", f"התלמיד {NAMES[0]} לא מגיע, הטלפון {PHONE}")
    d.put(file, agreed[4], "excerpt_he", f"אמא של {NAMES[1]} ביקשה עזרה")
    d.note(
        "D26",
        "repair",
        "voice__excerpts",
        file,
        "personal_masked",
        index=agreed[3],
        key="2",
        column="excerpt_he",
    )
    for index, left in (
        (agreed[3], "התלמיד ••• לא מגיע, הטלפון •••"),
        (agreed[4], "אמא של ••• ביקשה עזרה"),
    ):
        d.note(
            "D26",
            "value",
            "voice__excerpts",
            file,
            left,
            index=index,
            column="excerpt_he",
            severity=None,
        )
    d.put(file, agreed[5], "has_consent", "לא")
    d.note(
        "D26",
        "quarantine",
        "voice__excerpts",
        file,
        "no_consent",
        index=agreed[5],
        severity=None,
        note="kept out by design",
    )

    file = "cards.csv"
    d.plant(
        f"ראו תיק {IDENTITY}",
        file,
        6,
        "card_reason",
        defect="D27",
        kind="repair",
        source="voice__cards",
        expected="personal_masked",
        key="1",
    )
    d.note(
        "D27",
        "value",
        "voice__cards",
        file,
        "ראו תיק •••",
        index=6,
        column="card_reason",
        severity=None,
    )
    member = d.files[file][0, "participant"]
    held = d.files[file].filter(pl.col("participant") == member)
    front = d.rows(
        file, (pl.col("participant") == member) & (pl.col("card_category") == "indispensable")
    )
    taken = d.files[file][front]["response_id"].to_list()
    others = [name for name in held["response_id"].drop_nulls() if name not in taken]
    added = [d.copy(file, front[0], response_id=name) for name in others[: 6 - len(front)]]
    for index in (*front, *added):
        d.note(
            "D29",
            "quarantine",
            "voice__cards",
            file,
            "over_quota",
            index=index,
            column="card_category",
        )
    d.plant(None, file, 30, "card_reason", defect="D29", source="voice__cards", **_MISSING)

    file = "ratings.csv"
    fair = d.files[file].with_row_index().filter(pl.col("rating") == "fairly_effective")["index"]
    for index, word in zip(fair[:3], ("צהוב", "Yellow", "2"), strict=True):
        d.put(file, index, "rating", word)
    others = [n for n in range(20, 60) if n not in fair[:3]]
    for index, column in zip(others[:2], ("goal_id", "role"), strict=True):
        d.plant(None, file, index, column, defect="D28", source="voice__ratings", **_MISSING)
    d.note("D28", "equal", "voice__ratings", file, "staging.stg_voice__ratings", severity=None)


def _layouts(d: _Dirt) -> None:
    _, y1, y2, *_ = d.y
    file = "criteria.csv"
    days = d.files[file]["valid_from"].to_list()
    for index, day in enumerate(days):
        serial = (date.fromisoformat(day) - _EXCEL_DAY_ZERO).days
        year, month, in_month = day.split("-")
        spelt = (_HEBREW_DATES.get(day, day), f"{in_month}/{month}/{year}", str(serial))
        d.put(file, index, "valid_from", spelt[index % 3])
    d.put(file, len(days) - 1, "valid_from", "09/13/2022")
    d.layouts[file] = Layout(encoding="utf-16")
    d.note(
        "D14",
        "quarantine",
        "aim__criteria",
        file,
        "bad_type",
        index=len(days) - 1,
        column="valid_from",
        severity="WARN",
    )
    # Since one day can only be month–day, those of both parts up to 12 may be either.
    unsure = d.rows(file, pl.col("valid_from").str.contains(r"^(0\d|1[0-2])/(0\d|1[0-2])/"))
    d.note(
        "D14",
        "repair",
        "aim__criteria",
        file,
        "day_month_unsure",
        index=unsure[0],
        key=str(len(unsure)),
        column="valid_from",
        severity="WARN",
    )
    d.note("D14", "equal", "aim__criteria", file, "staging.stg_aim__criteria", severity=None)

    d.layouts["assets.csv"] = Layout(encoding="cp1255")
    d.note(
        "D15",
        "equal",
        "assets__inventory",
        "assets.csv",
        "staging.stg_assets__inventory",
        severity=None,
        note="cp1255",
    )
    file = f"parents_payments_{y2}.csv"
    d.layouts[file] = Layout(encoding="utf-8-sig")
    d.note(
        "D15",
        "equal",
        "finance__parents_payments",
        file,
        "staging.stg_finance__parents_payments",
        key=y2,
        severity=None,
        note="byte-order mark",
    )
    file = f"budget_{y1}.csv"
    d.layouts[file] = Layout(header_row=3, has_total=True, delimiter=";")
    d.note(
        "D15",
        "equal",
        "finance__budget_lines",
        file,
        "staging.stg_finance__budget_lines",
        key=y1,
        severity=None,
        note="header in row 3, total row, semicolons",
    )
    d.note(
        "D15",
        "quarantine",
        "finance__budget_lines",
        file,
        "total_row",
        index=d.files[file].height,
        severity=None,
    )
    file = f"schools_{y2}.xlsx"
    d.layouts[file] = Layout(header_row=3, has_total=True)
    d.note(
        "D15",
        "equal",
        "register__schools",
        file,
        "staging.stg_register__schools",
        key=y2,
        severity=None,
        note="merged title, header in row 3, total row",
    )
    d.note(
        "D15",
        "quarantine",
        "register__schools",
        file,
        "total_row",
        index=d.files[file].height,
        severity=None,
    )

    file = f"attendance_{y2}.csv"
    d.layouts[file] = Layout(kept_share=0.6)
    d.note(
        "D34",
        "check",
        "attendance__pupil_years",
        file,
        "core_source_year.volume",
        key=f"attendance__pupil_years/{y2}",
    )
    d.knock_on("D34", "attendance__pupil_years", file, "broken_row", None, "the row at the cut")
    d.knock_on(
        "D34",
        "attendance__pupil_years",
        file,
        "core_coverage.undeclared_silence",
        f"attendance__pupil_years/{y2}/*",
        "schools beyond the cut have no rows",
    )
