"""What a folder of files leads to, up to staging: the way `make check` goes, for sources alone."""

import io
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import polars as pl
import xlsxwriter
import yaml

from pipelines.settings.city import CityError, load_sources
from pipelines.settings.fields import dictionary
from pipelines.sources.files import read_source
from pipelines.sources.load import build_raw, raw_name, record_load
from pipelines.sources.order import held_against, in_order
from pipelines.sources.references import city_references
from pipelines.sources.whole_files import findings, record_findings
from pipelines.warehouse.database import LAYERS, qualified, swap
from pipelines.warehouse.sql_tables import sql_tables, write_sql

MOMENT = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Found:
    """Staged rows by source, what was set aside, what was repaired, refused, odd as a whole."""

    staged: dict[str, pl.DataFrame]
    aside: pl.DataFrame
    repairs: pl.DataFrame
    refused: dict[str, CityError]
    odd: list

    def column(self, source_id, name):
        return self.staged[source_id][name].to_list()

    def why(self, source_id):
        """Row and reason of each row of a source that was set aside."""
        own = self.aside.filter(pl.col("source_id") == source_id)
        return set(own.select("file_row", "reason_code").iter_rows())


def look(folder):
    """Read, load and stage every source of a folder, each behind those it is held against."""
    city = load_sources(folder)
    connection = duckdb.connect(config={"threads": 1})
    for layer in LAYERS:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
    known, staged, refused, odd = city_references(city), {}, {}, []
    tables = {sql.table.name: sql for sql in sql_tables()}
    for source_id in (name for name in in_order(held_against()) if name in city.city.sources):
        try:
            reading = read_source(city, source_id, city.city.school_years.all())
        except CityError as error:
            refused[source_id] = error
            continue
        found = findings(connection, city, source_id, reading)
        build_raw(connection, source_id, reading, None)
        swap(connection, raw_name(source_id))
        record_load(connection, source_id, reading, known, is_whole=True, moment=MOMENT)
        record_findings(connection, source_id, reading, found)
        odd += found
    for source_id in set(city.city.sources) - set(refused):
        table = dictionary().contract(source_id)
        write_sql(tables[table.name])(connection, qualified(table))
        order = ", ".join(table.key)
        staged[source_id] = connection.sql(
            f"SELECT * FROM {qualified(table)} ORDER BY {order}"
        ).pl()
    aside, repairs = (
        connection.sql(f"SELECT * FROM raw.{name}").pl()
        if connection.sql(
            f"SELECT count(*) FROM information_schema.tables WHERE table_name = '{name}'"
        ).fetchall()[0][0]
        else pl.DataFrame(schema=["source_id", "file_row", "reason_code"])
        for name in ("raw_quarantine", "raw_repair")
    )
    connection.close()
    return Found(staged, aside, repairs, refused, odd)


# ---- folders of our own making -----------------------------------------------------------------

SCHOOLS = ("900001", "900002", "900003", "012345")
MEANS = {
    "semel_mosad": "סמל מוסד",
    "school_year": "שנה",
    "grade": "שכבה",
    "subject": "מקצוע",
    "score_mean": "ממוצע",
    "tested_pupils": "נבחנים",
}
MEANS_HEADER = tuple(MEANS.values())
PUPILS = {
    "pupil_hash": "ת.ז.",
    "school_year": "שנה",
    "semel_mosad": "סמל",
    "grade": "שכבה",
    "class_id": "כיתה",
    "sex": "מין",
    "birth_year": "שנת לידה",
    "nurture_decile": "עשירון",
    "is_sen_integration": "שילוב",
    "is_gifted": "מחונן",
    "is_amirim": "אמירים",
}
REGISTER = {
    "semel_mosad": "סמל מוסד",
    "school_year": "שנת לימודים",
    "school_name_he": "שם בית הספר",
    "supervision_stream": "פיקוח",
    "legal_status": "מעמד משפטי",
    "education_stage": "שלב חינוך",
    "education_type": "סוג חינוך",
    "pupils": "תלמידים",
}


def folder_of(place, files, **sources):
    """Write a city folder: files (name → bytes or text) and its mappings beside the register's."""
    (place / "files").mkdir(parents=True, exist_ok=True)
    register = [
        (code, year, f"בית ספר {code}", "ממלכתי", "רשמי", "יסודי", "רגיל", 300)
        for code in SCHOOLS
        for year in (2025, 2026)
    ]
    held = {"schools.csv": csv_of(tuple(REGISTER.values()), *register), **files}
    for name, content in held.items():
        data = content.encode("utf-8") if isinstance(content, str) else content
        (place / "files" / name).write_bytes(data)
    settings = {
        "city": {"id": "wild", "name_he": "עיר", "name_en": "Town", "is_synthetic": True},
        "scope": {
            "name": "all",
            "education_stages": ["elementary"],
            "education_types": ["regular"],
            "legal_statuses": ["official", "recognised_unofficial"],
        },
        "school_years": {"first": 2025, "last": 2026, "reference": 2026},
        "subjects": ["hebrew", "math", "english", "science"],
        "scales": {
            "INT": {
                "kind": "declared",
                "mean": 71,
                "sd": 14,
                "min": 0,
                "max": 100,
                "source": "x",
                "reason": "y",
            }
        },
        "roots": ["files"],
        "sources": {
            "register__schools": {"file": "schools.csv", "format": "csv", "columns": REGISTER},
            **sources,
        },
    }
    text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, width=10_000)
    (place / "city.yaml").write_text(text, encoding="utf-8")
    return place


def means(file, **options):
    """Return the mapping of a file of school means."""
    form = "xlsx" if file.endswith("xlsx") else "csv"
    columns = {"columns": MEANS, "constants": {"scale_id": "INT"}}
    return {"tests__school_means": {"file": file, "format": form, **columns, **options}}


def csv_of(*rows, delimiter=","):
    return (
        "\n".join(delimiter.join("" if v is None else str(v) for v in row) for row in rows) + "\n"
    )


def xlsx_of(*sheets, then=None, **options):
    """Return a workbook; a sheet is its rows, or its name and rows, a tuple a formula and result.

    `then` is called with the book before it is closed.
    """
    kept = io.BytesIO()
    with xlsxwriter.Workbook(kept, {"in_memory": True, **options}) as book:
        for number, sheet in enumerate(sheets, start=1):
            name, rows = sheet if isinstance(sheet, tuple) else (f"גיליון{number}", sheet)
            page = book.add_worksheet(name)
            for row, values in enumerate(rows):
                for column, value in enumerate(values):
                    if isinstance(value, tuple):
                        page.write_formula(row, column, value[0], None, value[1])
                    elif value is not None:
                        page.write(row, column, value)
        if then:
            then(book)
    return kept.getvalue()


def edited(workbook, part, pattern, new):
    """Return a workbook with a part of it replaced, as another programme would have written it."""
    kept = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(kept, "w") as made:
        for item in old.namelist():
            text = old.read(item)
            if item == part:
                changed = re.sub(pattern, new, text.decode()).encode()
                assert changed != text
                text = changed
            made.writestr(item, text, zipfile.ZIP_DEFLATED)
    return kept.getvalue()
