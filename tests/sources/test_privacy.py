"""No identifier gets through the door: not into DuckDB, check results, errors, logs or marts (R110)."""

import re
import shutil
import sqlite3

import duckdb
import polars as pl
import pytest

from pipelines.city import CityError, load_city
from pipelines.fields import dictionary
from pipelines.sources.check import rehearse
from pipelines.sources.files import read_source

# Invented: ids of the synthetic range, a phone of no exchange, common names together.
PLANTED = ("990077777", "050-7777777", "זלמן.planted@example.org", "יוסי כהן")
TEXTS = ("990077777", "תלמיד בשם יוסי כהן, 050-7777777", "זלמן.planted@example.org")


def dump(connection):
    """Every text of every table of a DuckDB connection, as one string per table."""
    for layer, name in connection.sql("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():  # fmt: skip
        frame = connection.sql(f'SELECT * FROM {layer}."{name}"').pl()
        yield f"{layer}.{name}", frame.cast(pl.String).write_csv()


def contract_of(city, path):
    for source_id, mappings in city.city.sources.items():
        for mapping in mappings:
            pattern = re.escape(mapping.file).replace(r"\{school_year\}", r"\d{4}").replace(r"\*", ".*")  # fmt: skip
            if re.fullmatch(pattern, path.name):
                return source_id, mapping
    return None, None


@pytest.fixture(scope="module")
def planted(small_city, tmp_path_factory):
    """The small city with an identifier in every column of every file that is not a plain number."""
    folder = tmp_path_factory.mktemp("planted") / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    city, fields, places = load_city(folder), dictionary().fields, []
    for path in sorted((folder / "files").glob("*.csv")):
        source_id, mapping = contract_of(city, path)
        if source_id is None:
            continue
        frame = pl.read_csv(path, infer_schema=False)
        row = 0
        for name, header in mapping.columns.items():
            item = fields[name]
            if item.door == "hash" or item.type.startswith("DECIMAL") or (item.type != "VARCHAR" and item.max is None):  # fmt: skip
                continue
            named = "_name" in name  # a school may bear a person's name
            for text in TEXTS[:1] + TEXTS[2:] if named else TEXTS:
                if row < frame.height:
                    frame[row, header] = text
                    places.append((path.name, name))
                    row += 1
        frame.write_csv(path)
    return folder, places


def test_identifiers_planted_in_every_source_are_nowhere(planted):
    folder, places = planted
    assert len({file for file, _ in places}) > 40
    done = rehearse(load_city(folder))
    said = " ".join(str(error) for error in done.unreadable.values())
    said += " ".join(str(result) for _, result in done.results)
    held = {**dict(dump(done.connection)), "results and errors": said}
    found = {(name, token) for name, text in held.items() for token in PLANTED if token in text}
    assert found == set()
    assert "•••" in held["raw.raw_quarantine"]
    repaired = done.table("SELECT DISTINCT file_name FROM core.core_repair WHERE repair_code = 'personal_masked'")  # fmt: skip
    assert set(repaired["file_name"]) == {file for file, _ in places}
    failed = [r for name, r in done.results if name == "core_repair" and r.check.id == "personal"]
    assert not failed[0].is_passed
    assert failed[0].check.severity == "ERROR"
    done.connection.close()


def test_a_file_without_a_header_shows_no_pupil_in_its_error(small_city, tmp_path):
    folder = tmp_path / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    path = folder / "files" / "pupils_2026.csv"
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    lines[0] = lines[0].replace(lines[0].split(",")[3], "יוסי כהן", 1)
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(CityError) as caught:
        read_source(load_city(folder), "register__pupils", (2026,))
    assert lines[0].split(",")[0] not in str(caught.value)
    assert "כהן" not in str(caught.value)


def test_excerpts_without_consent_are_never_stored(small_city):
    text = (small_city / "files" / "excerpts.csv").read_text(encoding="utf-8")
    refused = [line for line in text.splitlines()[1:] if line.endswith(",false")]
    if not refused:
        pytest.skip("the small city has no excerpt without consent")
    reading = read_source(load_city(small_city), "voice__excerpts", (2026,))
    ids = {line.split(",")[0] for line in refused}
    assert not ids & set(reading.rows["excerpt_id"])
    assert set(reading.set_aside["reason_code"]) == {"no_consent"}
    assert reading.set_aside.height == len(refused)
    assert reading.files["rows_in"].sum() == reading.rows.height + len(refused)


def test_no_pupil_id_in_the_warehouse_the_run_store_or_a_release(small_city, published):
    """After a real run: every byte that was written, searched for the ids that came in."""
    ids = set()
    for path in (small_city / "files").glob("pupils_*.csv"):
        ids |= set(pl.read_csv(path, infer_schema=False)["pupil_id"])
    assert len(ids) > 1000
    pattern = re.compile(r"(?<!\d)99\d{7}(?!\d)")
    root = published.marts.parents[1]
    seen = 0
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_relative_to(published.raw):
            continue
        seen += 1
        for token in pattern.findall(text_of(path)):
            assert token not in ids, path
    assert seen > 50


def text_of(path):
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as connection:
            return "\n".join(text for _, text in dump(connection))
    if path.suffix == ".db":
        connection = sqlite3.connect(path)
        try:
            return "\n".join(connection.iterdump())
        finally:
            connection.close()
    if path.suffix == ".parquet":
        return pl.read_parquet(path).cast(pl.String).write_csv()
    return path.read_bytes().decode("utf-8", errors="ignore")
