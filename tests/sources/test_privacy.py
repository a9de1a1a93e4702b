"""No identifier is admitted: not into DuckDB, check results, errors, logs or marts (R110)."""

import contextlib
import hashlib
import hmac
import io
import os
import re
import shutil
import sqlite3
import zipfile
from unittest.mock import patch

import duckdb
import polars as pl
import pytest
import yaml

from pipelines.commands import what_if
from pipelines.rehearsal import rehearse
from pipelines.settings.city import CityError, load_city
from pipelines.settings.fields import NO_FAULT, dictionary
from pipelines.sources.admission import hash_ids
from pipelines.sources.files import read_source, source_files
from tests.runs import make_place, run_of
from tests.sources.tables import frame_of, write

# Invented: ids of the synthetic range, a phone of no exchange, common names together.
PLANTED = re.compile(
    r"(?<![\d.])0?990.?077.?777(?!\d)|(?<![\d.])0?50.?7654321(?!\d)|planted@|יוסי כהן|נועה לוי|איתן"
    r" (?:כהן|•)"
)
# One of these, which are found quickly, is in all that is planted.
PART_OF_NUMBER = re.compile("990.?077.?777")
PARTS = ("7654321", "planted@", "יוסי כהן", "נועה לוי", "איתן")
TEXTS = (
    "990077777",
    "תלמיד בשם יוסי כהן, 050-7654321",
    "זלמן.planted@example.org",
    "ת.ז. 0990077777, נועה לוי +972 (0)50 7654321",
    "איתן כהן 990 077 777, 050–7654321",
)
# Into a column of numbers, days or flags; and into a name of a thing, which may be a person's.
NUMBERS = ("יוסי כהן 050-7654321", "990077777x", "נועה לוי", "0507654321")
PUBLIC = ("990077777", "זלמן.planted@example.org")
# Texts whose masking costs no row of the city.
FREE = {
    "excerpt_he",
    "card_reason",
    "comment_he",
    "answer_he",
    "rationale",
    "provider",
    "target_group",
    "response_aliases",
    "criterion_owner",
    "asset_name_he",
}


def dump(connection):
    """Every text of every table of a DuckDB connection, as one string per table."""
    for layer, name in connection.sql(
        "SELECT schema_name, table_name FROM duckdb_tables()"
    ).fetchall():
        frame = connection.sql(f'SELECT * FROM {layer}."{name}"').pl()
        yield f"{layer}.{name}", frame.cast(pl.String).write_csv()


def texts_for(item):
    """What is planted into a column."""
    if item.type != "VARCHAR":
        return NUMBERS
    return PUBLIC if "_name" in item.name or item.name == "provider" else TEXTS


def files_of(folder):
    """Each file that a city reads: its path, its mapping, its content as texts."""
    city = load_city(folder)
    for source_id, mappings in city.city.sources.items():
        for path, _, number in source_files(city, source_id, city.city.school_years.all()):
            yield path, mappings[number], frame_of(path)


@pytest.fixture(scope="module")
def planted(small_city, tmp_path_factory):
    """The small city, every identifier added in every column of every file that is not hashed."""
    folder = tmp_path_factory.mktemp("planted") / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    fields, places = dictionary().fields, set()
    for path, mapping, frame in files_of(folder):
        rows = list(frame.iter_rows(named=True)) or [dict.fromkeys(frame.columns, "1")]
        added = []
        for name, header in mapping.columns.items():
            if fields[name].door == "hash":
                continue
            for text in texts_for(fields[name]):
                added.append(rows[len(added) % len(rows)] | {header: text})
                places.add((path.name, name))
        rows = pl.concat([frame, pl.DataFrame(added, schema=frame.schema)])
        write(rows.with_columns(pl.lit("x").alias("יוסי כהן 050-7654321")), path)
    return folder, places


def test_identifiers_planted_in_every_source_are_nowhere(planted):
    folder, places = planted
    fields = dictionary().fields
    city = load_city(folder)
    mapped = {
        name for mappings in city.city.sources.values() for m in mappings for name in m.columns
    }
    assert {name for _, name in places} == {name for name in mapped if fields[name].door != "hash"}
    assert {file.split(".")[-1] for file, _ in places} == {"csv", "xlsx"}
    done = rehearse(city)
    assert not done.unreadable
    said = " ".join(str(result) for _, result in done.results)
    held = {**dict(dump(done.connection)), "results": said}
    found = {(name, token) for name, text in held.items() for token in PLANTED.findall(text)}
    assert found == set()
    # Of a number, a day or a flag that cannot be read nothing is shown.
    shown = done.table(
        "SELECT column_name, masked_value FROM core.core_quarantine WHERE reason_code = 'bad_type'"
    )
    assert {fields[name].type != "VARCHAR" for name in shown["column_name"]} == {True}
    assert set(shown["masked_value"]) == {"•••"}
    repaired = done.table(
        "SELECT DISTINCT file_name, column_name FROM core.core_repair WHERE repair_code ="
        " 'personal_masked'"
    )
    assert set(repaired.iter_rows()) == places
    failed = [r for name, r in done.results if name == "core_repair" and r.check.id == "personal"]
    assert not failed[0].is_passed
    assert failed[0].check.severity == "ERROR"
    done.connection.close()


def leaks(place, said):
    """Where an identifier is, in all that a run wrote and said."""
    held = list(written(place))
    assert len(held) > 5
    texts = [("stdout", said), *((path.name, all_of(path)) for path in held)]
    return {(name, token) for name, text in texts for token in found_in(text)}


def found_in(text):
    """What is planted and stands in a text; it is looked for where a part of it does."""
    if PART_OF_NUMBER.search(text) or any(part in text for part in PARTS):
        return PLANTED.findall(text)
    return []


def test_a_run_that_is_stopped_by_its_checks_shows_no_identifier(planted, tmp_path, capfd):
    """Whatever it says, to whichever stream, by Python or not."""
    place = make_place(tmp_path, planted[0])
    done, beside = place.call(), capfd.readouterr()
    assert done.returncode != 0
    assert "as a whole they cannot be right" in done.stdout
    assert leaks(place, done.stdout + done.stderr + beside.out + beside.err) == set()


@pytest.fixture(scope="module")
def published_with_bad_rows(small_city, tmp_path_factory):
    """A run over a few identifiers in each file, so few that no check stops it."""
    folder = tmp_path_factory.mktemp("bad_rows") / "demo_city"
    shutil.copytree(small_city, folder, ignore=shutil.ignore_patterns("truth"))
    fields, texts, numbers = dictionary().fields, 0, {}
    for path, mapping, frame in files_of(folder):
        spared, row = frame.height // 25, 0
        for name, header in mapping.columns.items():
            item = fields[name]
            if item.door == "hash" or (item.type == "VARCHAR" and name not in FREE):
                continue
            if item.type != "VARCHAR":
                if row >= spared:
                    continue
                frame[row, header], row = NUMBERS[row % 4], row + 1
            elif frame.height:
                frame[frame.height - 1, header] = texts_for(item)[-1]
                texts += 1
        numbers[path.name] = row
        notes = [TEXTS[place % len(TEXTS)] for place in range(frame.height)]
        write(frame.with_columns(pl.Series("הערה", notes, pl.String)), path)  # no mapping names it
    settings = yaml.safe_load((folder / "city.yaml").read_text(encoding="utf-8"))
    text = yaml.safe_dump(settings | {"expected": {}}, allow_unicode=True)
    (folder / "city.yaml").write_text(text, encoding="utf-8")
    for scenario in sorted((folder / "scenarios").glob("*.yaml"))[1:]:
        scenario.unlink()  # they hold no rows: one is enough
    assert texts > 5
    assert sum(numbers.values()) > 100
    run = run_of(folder)
    assert run.code == 0, run.said
    said = io.StringIO()
    with patch.dict(os.environ, run.place.env), contextlib.redirect_stdout(said):
        assert what_if.main([run.place.raw.name, "amirim", "--threshold", "0.8"]) == 0
    return run.place, run.said + said.getvalue(), numbers


def test_a_run_that_publishes_shows_no_identifier(published_with_bad_rows):
    """Warehouse, archives, release, run store, logs, who read what, and what was said."""
    place, said, _ = published_with_bad_rows
    assert leaks(place, said) == set()
    names = {path.suffix for path in written(place)}
    kinds = {".parquet", ".duckdb", ".xlsx", ".html", ".db", ".arrow", ".err", ".out", ".tsv"}
    assert kinds <= names


def test_bad_rows_are_set_aside_and_the_rest_goes_on(published_with_bad_rows, published):
    place, _, numbers = published_with_bad_rows
    files, before = (
        pl.read_parquet(run.current / "analyst" / "mart_source_file.parquet")
        for run in (place, published)
    )
    assert (files["rows_in"] == files["rows_staged"] + files["rows_quarantined"]).all()
    own = dict(before.select("file_name", "rows_quarantined").iter_rows())
    aside = dict(files.select("file_name", "rows_quarantined").iter_rows())
    assert aside == {name: own[name] + bad for name, bad in numbers.items()}
    quality = pl.read_parquet(place.current / "analyst" / "mart_data_quality.parquet")
    found = quality.filter(check_id="nothing_set_aside", is_passed=False)
    # What is missing or beyond a quota has checks of its own.
    kept_apart = [*NO_FAULT, "missing", "duplicate_key", "over_quota"]
    reasons = pl.read_parquet(place.current / "analyst" / "mart_quarantine.parquet").filter(
        ~pl.col("reason_code").is_in(kept_apart)
    )
    assert found["failing_rows"].to_list() == [reasons.height]
    assert reasons.height >= sum(numbers.values()) - 5


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


@pytest.mark.parametrize("key", ["0123456789abcdef" * 2, "מפתח סודי אקראי" * 9])
def test_ids_become_the_standard_keyed_hash(monkeypatch, key):
    monkeypatch.setenv("TIKKUN_PUPIL_KEY", key)
    ids = pl.Series(["990000001", "99000000.0", None, "x"])
    wanted = [
        hmac.digest(key.encode(), text, "sha256").hex()[:32]
        for text in (b"990000001", b"099000000", b"x")
    ]
    assert hash_ids(ids, is_synthetic=False).to_list() == [*wanted[:2], None, wanted[2]]


def test_excerpts_without_consent_are_never_stored(small_city):
    text = (small_city / "files" / "excerpts.csv").read_text(encoding="utf-8")
    refused = [line for line in text.splitlines()[1:] if line.endswith(",false")]
    if not refused:
        pytest.skip("the small city has no excerpt without consent")
    reading = read_source(load_city(small_city), "voice__excerpts", (2026,))
    ids = {line.split(",")[0] for line in refused}
    assert not ids & set(reading.rows["excerpt_id"])
    assert set(reading.rejected["reason_code"]) == {"no_consent"}
    assert reading.rejected.height == len(refused)
    assert reading.files["rows_in"].sum() == reading.rows.height + len(refused)


def test_no_pupil_id_in_the_warehouse_the_run_store_or_a_release(small_city, published):
    """After a real run: every byte that was written, searched for the ids that came in."""
    ids = set()
    for path in (small_city / "files").glob("pupils_*.csv"):
        ids |= set(pl.read_csv(path, infer_schema=False)["pupil_id"])
    assert len(ids) > 1000
    pattern = re.compile(r"99\d{7}(?!\d)")
    seen = list(written(published))
    for path in seen:
        text = all_of(path)
        for found in pattern.finditer(text):
            is_within = text[found.start() - 1 : found.start()].isdigit()  # a longer number
            assert is_within or found[0] not in ids, path
    assert len(seen) > 50


def written(place):
    """Every file that runs of a place wrote; of those that hold the same bytes, one."""
    told = set()
    for path in sorted(place.marts.parents[1].rglob("*")):
        if path.is_file() and not path.is_relative_to(place.raw):
            content = (path.suffix, hashlib.sha256(path.read_bytes()).digest())
            if content not in told:
                told.add(content)
                yield path


def all_of(path):
    """What a reader of a file sees, and its bytes as text."""
    text, raw = text_of(path), as_text(path)
    return text if text == raw else text + raw


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
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as book:
            return "\n".join(book.read(name).decode() for name in book.namelist())
    if path.suffix == ".parquet":
        return pl.read_parquet(path).cast(pl.String).write_csv()
    return as_text(path)


def as_text(path):
    return path.read_bytes().decode("utf-8", errors="ignore")
