"""A large CSV is read in blocks as a small one is read whole: the same rows, counts and reasons."""

import shutil
from datetime import datetime
from functools import partial

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.demo.write import write_city
from pipelines.settings.city import CityError, load_city
from pipelines.settings.fields import ROW, dictionary
from pipelines.settings.mapping import SourceMapping
from pipelines.sources import blocks, files, tabular
from pipelines.sources.blocks import Blocks, NotPlainError
from pipelines.sources.files import read_source
from pipelines.sources.load import (
    RawRows,
    build_raw,
    keep_superseded,
    raw_name,
    record_load,
    refuse_older,
)
from pipelines.sources.references import city_references
from pipelines.sources.tabular import read_content
from pipelines.sources.whole_files import findings, record_findings
from pipelines.warehouse.database import LAYERS, qualified, swap
from pipelines.warehouse.sql_tables import sql_tables, write_sql
from tests.demo.defects import soil
from tests.examples import examples
from tests.made import made

MOMENT = datetime(2026, 3, 2)
SHARED = ("raw_file", "raw_quarantine", "raw_repair", "raw_presence", "raw_file_finding")
VERSIONS = "SELECT * EXCLUDE (loaded_at, superseded_at) FROM raw.raw_file_version"


def mapping(**options):
    return SourceMapping(**{"file": "f", "format": "csv", "columns": {"sex": "a"}} | options)


def in_blocks(path, size, **options):
    """Rows and broken rows of a file, read in blocks."""
    read = list(Blocks(path, mapping(**options), size))
    assert [block.is_last for block in read] == [False] * (len(read) - 1) + [True]
    return (
        pl.concat([block.rows for block in read]),
        sorted(row for block in read for row in block.broken),
        len(read),
    )


@pytest.fixture
def few_lines(monkeypatch):
    """A record takes few lines, so that small files have many blocks."""
    for module in (blocks, tabular):
        monkeypatch.setattr(module, "MOST_LINES", 4)


FIELD = st.sampled_from(
    ["1", "87.5", "אב", "", " ", 'חמ"ד', '"אב, גד"', '"שתי\nשורות"', '"', "ד'", "'x'", "\u200f7"]
)
LINE = st.one_of(
    st.lists(FIELD, min_size=3, max_size=3),
    st.lists(FIELD, min_size=3, max_size=3),
    st.lists(FIELD, min_size=3, max_size=3),
    st.lists(FIELD, min_size=1, max_size=5),
).map(",".join)
PLAIN = st.lists(st.sampled_from(["1", "22", "x", "אב", ""]), min_size=3, max_size=3).map(",".join)


@settings(deadline=None, max_examples=examples(300))
@given(
    lines=st.lists(st.one_of(PLAIN, PLAIN, PLAIN, LINE), min_size=1, max_size=40),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.sampled_from(["", "\n", "\n\n", "\x1a"]),
    mark=st.sampled_from(["", "\ufeff"]),
    size=st.integers(1, 120),
    few=st.integers(1, 60),
)
def test_any_text_is_split_the_same(tmp_path_factory, lines, end, last, mark, size, few):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    text = mark + end.join(["a,b,c", *lines]) + last.replace("\n", end)
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        for module in (blocks, tabular):
            patch.setattr(module, "MOST_LINES", 4)
        patch.setattr(blocks, "_FEW", few)
        try:
            rows, broken, _ = in_blocks(path, size)
        except NotPlainError:
            return  # it is read whole
        whole = read_content(path.read_bytes(), mapping())
    assert rows.equals(whole.rows.select(rows.columns))
    assert tuple(broken) == whole.broken


@pytest.mark.parametrize(
    ("encoding", "spoilt"),
    [
        ("auto", b"\xe0"),
        ("auto", b"\xff\xfe"),
        ("auto", b"\x00"),
        ("cp1255", b""),
        ("cp1255", b"\x00"),
    ],
)
def test_bytes_of_another_encoding_stay_alone(tmp_path, few_lines, spoilt, encoding):
    codec = "utf-8" if encoding == "auto" else encoding
    lines = [f"{number},שם,ד'".encode(codec) for number in range(60)]
    lines[40] += spoilt
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b,c\n" + b"\n".join(lines))
    whole = read_content(path.read_bytes(), mapping(encoding=encoding))
    rows, broken, count = in_blocks(path, 100, encoding=encoding)
    assert count >= 5
    assert rows.equals(whole.rows)
    assert tuple(broken) == whole.broken


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n" + "1,'x,y',3\n" * 50,  # apostrophes around fields
        "a,b,c\n" + "1,2,3,\n" * 50,  # a delimiter too many in each line
        "a,b,c\n" + "1,2,3\n" * 40 + "1,2\n" * 10,  # empty last fields left out
        "a,b,c\n" + "1,×\u00a0×\u2018,3\n" * 50,  # encoded twice
        "a,b,c\n",
        "",
    ],
)
def test_what_only_the_whole_file_tells_is_not_read_in_blocks(tmp_path, few_lines, text):
    path = tmp_path / "f.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NotPlainError):
        in_blocks(path, 60)


def test_most_of_a_file_is_split_at_once(tmp_path, few_lines, monkeypatch):
    """Lines by themselves are split only in the blocks that have something odd."""
    by_line, asked = Blocks._by_line, []
    monkeypatch.setattr(Blocks, "_by_line", lambda *given: asked.append(1) or by_line(*given))
    path = tmp_path / "f.csv"
    lines = [f"{number},אב,3" for number in range(2000)]
    lines[700] = '7,"א, ב",3'
    path.write_text("a,b,c\n" + "\n".join(lines), encoding="utf-8")
    assert in_blocks(path, 1000)[0].height == 2000
    assert len(asked) == 1


# ---- cities -----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["clean", "soiled"])
def city_folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "demo_city"
    city = made(1, "small") if request.param == "clean" else soil(made(1))
    write_city(city, folder)
    return folder


def pupil_sources(city):
    """Mapped CSV sources about single children."""
    return [
        source_id
        for source_id, mappings in city.city.sources.items()
        if "pupil_hash" in dictionary().contract(source_id).contract
        and all(mapping.format == "csv" for mapping in mappings)
    ]


def with_option(city, is_in_blocks):
    sources = {
        source_id: tuple(m.model_copy(update={"in_blocks": is_in_blocks}) for m in mappings)
        for source_id, mappings in city.city.sources.items()
    }
    return city.model_copy(update={"city": city.city.model_copy(update={"sources": sources})})


def load(connection, city, source_id, years=None, moment=MOMENT):
    """Load a source as a run does, and stage it."""
    every = city.city.school_years.all()
    store = RawRows(connection, source_id)
    reading = read_source(city, source_id, years or every, store=store)
    refuse_older(connection, city, source_id, reading)
    found = findings(connection, city, source_id, reading)
    build_raw(connection, source_id, reading, years)
    keep_superseded(connection, source_id, reading)
    swap(connection, raw_name(source_id))
    record_findings(connection, source_id, reading, found)
    record_load(
        connection,
        source_id,
        reading,
        city_references(city),
        is_whole=years is None,
        moment=moment,
    )
    [sql] = [sql for sql in sql_tables() if sql.table.name == f"stg_{source_id}"]
    write_sql(sql)(connection, qualified(sql.table))
    return reading


def warehouse_of(city, *more):
    """Registers, all sources about pupils, and what they leave, by table."""
    connection = duckdb.connect()
    for layer in LAYERS:
        connection.execute(f"CREATE SCHEMA {layer}")
    refused = {}
    for source_id in ("register__schools", "register__merges", *pupil_sources(city), *more):
        try:
            load(connection, city, source_id)
        except CityError as error:
            refused[source_id] = str(error)
    return connection, refused


def tables_of(connection):
    names = connection.sql(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN"
        " ('raw', 'staging', 'history')"
    ).fetchall()
    found = {
        f"{layer}.{name}": connection.sql(f"SELECT * FROM {layer}.{name}").pl()
        for layer, name in names
        if name != "raw_file_version"
    }
    found["versions"] = connection.sql(VERSIONS).pl()
    return {name: frame.sort(frame.columns) for name, frame in found.items()}


@pytest.fixture(scope="module")
def both(city_folder):
    """The city's warehouse read whole and read in blocks."""
    city = load_city(city_folder)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "Blocks", partial(Blocks, size=100_000))
        for is_in_blocks in (False, True):
            made.append(warehouse_of(with_option(city, is_in_blocks)))
    yield made
    for connection, _ in made:
        connection.close()


def test_every_row_count_and_reason_is_the_same(both):
    (whole, refused), (blocked, also_refused) = both
    assert also_refused == refused
    wanted, found = tables_of(whole), tables_of(blocked)
    assert found.keys() == wanted.keys()
    for name, frame in wanted.items():
        assert found[name].equals(frame.select(found[name].columns)), name
    assert wanted["raw.raw_tests__pupil_scores"].height > 5000


@pytest.mark.parametrize(
    "city_folder", ["clean", pytest.param("soiled", marks=pytest.mark.slow)], indirect=True
)
def test_files_were_really_read_in_blocks(city_folder, monkeypatch):
    read, city = [], with_option(load_city(city_folder), True)
    monkeypatch.setattr(files, "Blocks", partial(Blocks, size=20_000))
    split = Blocks._at_once
    monkeypatch.setattr(Blocks, "_at_once", lambda *given: read.append(1) or split(*given))
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA raw")
    reading = read_source(
        city,
        "tests__pupil_scores",
        city.city.school_years.all(),
        store=RawRows(connection, "tests__pupil_scores"),
    )
    assert reading.rows.is_empty()
    assert reading.store is not None
    assert len(read) > 3 * len(city.city.school_years.all())


@pytest.mark.parametrize(
    "city_folder", ["clean", pytest.param("soiled", marks=pytest.mark.slow)], indirect=True
)
def test_a_corrected_file_and_a_refreshed_year(city_folder, tmp_path, monkeypatch):
    """History, versions and the rows of other years are kept as when files are read whole."""
    monkeypatch.setattr(files, "Blocks", partial(Blocks, size=20_000))
    source_id, found = "tests__pupil_scores", []
    for is_in_blocks in (False, True):
        folder = tmp_path / str(is_in_blocks) / "demo_city"
        shutil.copytree(city_folder, folder)
        city = with_option(load_city(folder), is_in_blocks)
        connection, _ = warehouse_of(city)
        path = folder / "files" / "pupil_scores_2026.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([*lines[:-40], lines[-1] * 2]), encoding="utf-8")
        load(connection, city, source_id, (2026,), datetime(2026, 3, 3))
        found.append(tables_of(connection))
        connection.close()
    whole, blocked = found
    for name, frame in whole.items():
        assert blocked[name].equals(frame.select(blocked[name].columns)), name
    assert whole[f"history.raw_{source_id}"].height > 1000
    assert ROW in whole[f"raw.raw_{source_id}"].columns
