"""Contents over time: a reload changes nothing, a correction supersedes, older is refused."""

import shutil
from datetime import datetime

import duckdb
import polars as pl
import pytest

from pipelines.settings.city import CityError, load_city
from pipelines.sources.files import read_source
from pipelines.sources.history import as_of, versions
from pipelines.sources.load import build_raw, keep_superseded, raw_name, record_load, refuse_older
from pipelines.sources.quarantine import References
from pipelines.warehouse.database import LAYERS, swap

SOURCE, FILE = "climate__facets", "climate_2026.csv"
MONDAY, TUESDAY, WEDNESDAY = (datetime(2026, 3, day) for day in (2, 3, 4))


@pytest.fixture
def folder(small_city, tmp_path):
    place = tmp_path / "demo_city"
    shutil.copytree(small_city, place, ignore=shutil.ignore_patterns("truth"))
    return place


@pytest.fixture
def connection():
    held = duckdb.connect()
    for layer in LAYERS:
        held.execute(f"CREATE SCHEMA {layer}")
    yield held
    held.close()


def load(connection, folder, moment, source=SOURCE, years=None):
    city = load_city(folder)
    every = city.city.school_years.all()
    reading = read_source(city, source, years or every)
    refuse_older(connection, city, source, reading)
    build_raw(connection, source, reading, years)
    keep_superseded(connection, source, reading)
    swap(connection, raw_name(source))
    return record_load(
        connection, source, reading, References(), is_whole=years is None, moment=moment
    )


def rows(connection, source=SOURCE):
    return connection.sql(f"SELECT * FROM {raw_name(source)} ORDER BY file_name, file_row").pl()


def edit(folder, old, new, name=FILE):
    path = folder / "files" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_reload_changes_nothing(connection, folder):
    load(connection, folder, MONDAY)
    first, known = rows(connection), versions(connection, SOURCE)
    load(connection, folder, TUESDAY)
    assert rows(connection).equals(first)
    assert versions(connection, SOURCE).equals(known)
    assert known["superseded_at"].null_count() == known.height == 5


def test_a_correction_supersedes_and_the_past_can_be_asked_for(connection, folder):
    first_row = (folder / "files" / FILE).read_text(encoding="utf-8").splitlines()[1]
    load(connection, folder, MONDAY)
    before = rows(connection)
    edit(folder, first_row, first_row.replace("relations", "colour"))
    assert load(connection, folder, TUESDAY) == 1
    edit(folder, "colour", "safety_x")
    assert load(connection, folder, WEDNESDAY) == 1
    found = versions(connection, SOURCE).filter(pl.col("file_name") == FILE)
    assert found["superseded_at"].to_list() == [TUESDAY, WEDNESDAY, None]
    assert as_of(connection, SOURCE, MONDAY).equals(before)
    on_tuesday = as_of(connection, SOURCE, datetime(2026, 3, 3, 12))
    assert on_tuesday.filter(pl.col("facet") == "colour").height == 1
    assert on_tuesday.height == before.height
    assert as_of(connection, SOURCE, WEDNESDAY).equals(rows(connection))
    assert as_of(connection, SOURCE, datetime(2026, 3, 1)).is_empty()


def test_a_corrected_file_clears_its_quarantine(connection, folder):
    row = (folder / "files" / FILE).read_text(encoding="utf-8").splitlines()[3]
    bad = ",".join([*row.split(",")[:3], "nonsense", *row.split(",")[4:]])
    edit(folder, row, bad)
    assert load(connection, folder, MONDAY) == 1
    found = connection.sql(
        "SELECT file_name, file_row, column_name, reason_code, masked_value, reason_he FROM"
        " raw.raw_quarantine"
    ).fetchall()
    assert found[0][:5] == (FILE, 4, "facet", "not_allowed", "nonsense")
    edit(folder, bad, row)
    assert load(connection, folder, TUESDAY) == 0
    assert connection.sql("SELECT count(*) FROM raw.raw_quarantine").fetchall() == [(0,)]


def test_a_content_that_was_superseded_is_refused_until_accepted(connection, folder):
    original = (folder / "files" / FILE).read_bytes()
    load(connection, folder, MONDAY)
    edit(folder, ",", ",", FILE)
    (folder / "files" / FILE).write_bytes(original + b"\n")
    load(connection, folder, TUESDAY)
    loaded = rows(connection)
    (folder / "files" / FILE).write_bytes(original)
    with pytest.raises(CityError, match=rf"{FILE}.*older version.*accept_older") as caught:
        load(connection, folder, WEDNESDAY)
    assert any("א" <= letter <= "ת" for letter in caught.value.he)
    assert rows(connection).equals(loaded)
    digest = versions(connection, SOURCE).filter(pl.col("file_name") == FILE)["file_hash"][0]
    yaml = folder / "city.yaml"
    text = yaml.read_text(encoding="utf-8")
    yaml.write_text(
        text.replace(
            "  climate__facets:\n", f"  climate__facets:\n    accept_older: ['{digest}']\n"
        ),
        encoding="utf-8",
    )
    load(connection, folder, WEDNESDAY)
    assert (
        versions(connection, SOURCE)
        .filter(pl.col("superseded_at").is_null())["file_hash"]
        .to_list()
        .count(digest)
        == 1
    )


def test_a_file_that_ends_earlier_is_refused(connection, folder):
    load(connection, folder, MONDAY, "tests__pupil_scores")
    path = folder / "files" / "pupil_scores_2026.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("2026-0", "2025-0"), encoding="utf-8")
    with pytest.raises(
        CityError, match=r"pupil_scores_2026.csv.*ends on 2025-\d\d-\d\d.*reaches 2026"
    ):
        load(connection, folder, TUESDAY, "tests__pupil_scores")


def scores_by_pattern(folder):
    yaml = folder / "city.yaml"
    text = yaml.read_text(encoding="utf-8")
    yaml.write_text(
        text.replace("pupil_scores_{school_year}.csv", "'pupil_scores_{school_year}*.csv'"),
        encoding="utf-8",
    )
    return folder / "files" / "pupil_scores_2026.csv"


@pytest.mark.parametrize("beside", [True, False])
def test_an_older_content_is_refused_under_another_name_too(connection, folder, beside):
    path = scores_by_pattern(folder)
    load(connection, folder, MONDAY, "tests__pupil_scores")
    held = rows(connection, "tests__pupil_scores")
    older = path.read_text(encoding="utf-8").replace("2026-0", "2025-0")
    path.with_name("pupil_scores_2026_old.csv").write_text(older, encoding="utf-8")
    if not beside:
        path.unlink()
    with pytest.raises(
        CityError,
        match=(
            r"pupil_scores_2026_old.csv.*ends on 2025-\d\d-\d\d for school year 2026.*reaches 2026"
        ),
    ) as caught:
        load(connection, folder, TUESDAY, "tests__pupil_scores")
    assert "בשנת הלימודים 2026" in caught.value.he
    assert rows(connection, "tests__pupil_scores").equals(held)


def test_a_replaced_content_is_refused_under_another_name_too(connection, folder):
    """Also where a source has no dates."""
    part = pattern(folder)
    original = part.read_bytes()
    load(connection, folder, MONDAY)
    part.write_bytes(original + b"\n")
    load(connection, folder, TUESDAY)
    part.with_name("climate_old_2026.csv").write_bytes(original)
    with pytest.raises(CityError, match=r"climate_old_2026.csv.*older version"):
        load(connection, folder, WEDNESDAY)


def test_parts_of_one_year_load_together_and_each_can_be_corrected(connection, folder):
    """One part ends in winter, one in spring: neither is older than the other."""
    path = scores_by_pattern(folder)
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    days = sorted({line.split(",")[7] for line in lines})
    assert len(days) > 1
    winter = path.with_name("pupil_scores_2026_winter.csv")
    for place, part in (
        (winter, [row for row in lines if row.split(",")[7] < days[-1]]),
        (path, [row for row in lines if row.split(",")[7] == days[-1]]),
    ):
        place.write_text("\n".join([head, *part]) + "\n", encoding="utf-8")
    load(connection, folder, MONDAY, "tests__pupil_scores")
    held = rows(connection, "tests__pupil_scores")
    assert {winter.name, path.name} <= set(held["file_name"])
    edit(folder, "\n", "\n\n", winter.name)
    load(connection, folder, TUESDAY, "tests__pupil_scores")
    assert rows(connection, "tests__pupil_scores").height == held.height


def test_one_year_alone_leaves_the_others(connection, folder):
    load(connection, folder, MONDAY)
    whole = rows(connection)
    files = connection.sql("SELECT * FROM raw.raw_file ORDER BY ALL").fetchall()
    load(connection, folder, TUESDAY, years=(2024,))
    assert rows(connection).equals(whole)
    assert connection.sql("SELECT * FROM raw.raw_file ORDER BY ALL").fetchall() == files


def pattern(folder):
    """Let the climate files be whatever matches a pattern, with a part of the last year apart."""
    yaml = folder / "city.yaml"
    text = yaml.read_text(encoding="utf-8")
    yaml.write_text(
        text.replace("climate_{school_year}.csv", "'climate*_{school_year}.csv'"), encoding="utf-8"
    )
    head, *lines = (folder / "files" / FILE).read_text(encoding="utf-8").splitlines()
    for name, part in ((FILE, lines[::2]), (f"climate_b_{FILE[-8:-4]}.csv", lines[1::2])):
        (folder / "files" / name).write_text("\n".join([head, *part]) + "\n", encoding="utf-8")
    return folder / "files" / "climate_b_2026.csv"


@pytest.mark.parametrize("years", [None, (2026,)])
@pytest.mark.parametrize("becomes", ["removed", "renamed"])
def test_a_file_that_vanished_is_superseded_and_remembered(connection, folder, becomes, years):
    part = pattern(folder)
    load(connection, folder, MONDAY)
    before, files = rows(connection), connection.sql("SELECT * FROM raw.raw_file").pl()
    if becomes == "removed":
        part.unlink()
    else:
        part.rename(part.with_name("climate_c_2026.csv"))
    load(connection, folder, TUESDAY, years=years)
    held = rows(connection)
    gone = before.filter(pl.col("file_name") == part.name)
    assert gone.height > 10
    assert part.name not in set(held["file_name"])
    assert held.height == before.height - (gone.height if becomes == "removed" else 0)
    known = versions(connection, SOURCE).filter(pl.col("file_name") == part.name)
    assert known["superseded_at"].to_list() == [TUESDAY]
    assert as_of(connection, SOURCE, MONDAY).equals(before)
    assert as_of(connection, SOURCE, TUESDAY).equals(held)
    assert set(connection.sql("SELECT file_name FROM raw.raw_file").pl()["file_name"]) == set(
        held["file_name"]
    )
    # And back again: the content is loaded a second time, and counted once.
    part.write_bytes(
        (part if part.exists() else part.with_name("climate_c_2026.csv")).read_bytes()
        if becomes == "renamed"
        else _csv(folder, gone)
    )
    part.with_name("climate_c_2026.csv").unlink(missing_ok=True)
    load(connection, folder, WEDNESDAY, years=years)
    assert as_of(connection, SOURCE, WEDNESDAY).equals(rows(connection))
    assert as_of(connection, SOURCE, MONDAY).equals(before)
    assert connection.sql("SELECT * FROM raw.raw_file").pl().height == files.height


def _csv(folder, gone):
    """The bytes of a file again, from its raw rows."""
    header = (folder / "files" / FILE).read_text(encoding="utf-8").splitlines()[0]
    return (header + "\n" + gone.select(header.split(",")).write_csv(include_header=False)).encode()


def test_a_row_without_a_year_stays_when_one_year_is_refreshed(connection, folder):
    """A column maps the year, so a row may lack it; it stays in quarantine until corrected."""
    text = (folder / "files" / "climate_2024.csv").read_text(encoding="utf-8")
    edit(
        folder,
        text.splitlines()[2],
        text.splitlines()[2].replace("2024", "", 1),
        "climate_2024.csv",
    )
    assert load(connection, folder, MONDAY) == 1
    whole = rows(connection)
    for years in ((2026,), (2024,)):
        assert load(connection, folder, TUESDAY, years=years) == 1
        assert rows(connection).equals(whole)
    (folder / "files" / "climate_2024.csv").write_text(text, encoding="utf-8")
    assert load(connection, folder, WEDNESDAY, years=(2024,)) == 0
    assert rows(connection)["school_year"].null_count() == 0
    assert rows(connection).height == whole.height


def test_a_withdrawn_consent_takes_the_text_out_of_the_past_too(connection, folder):
    source, name = "voice__excerpts", "excerpts.csv"
    lines = (folder / "files" / name).read_text(encoding="utf-8").splitlines()
    [line, kept] = [line for line in lines if line.endswith(",true")][:2]
    load(connection, folder, MONDAY, source)
    for _ in range(2):  # two older contents hold the text
        edit(
            folder,
            kept,
            kept.replace(",positive,", ",mixed,").replace(",negative,", ",positive,"),
            name,
        )
        kept = (folder / "files" / name).read_text(encoding="utf-8").splitlines()[lines.index(kept)]
        lines = (folder / "files" / name).read_text(encoding="utf-8").splitlines()
        load(connection, folder, TUESDAY, source)
    text = line.split(",")[8]
    said = (
        "SELECT count(*) FROM (SELECT excerpt_he FROM raw.raw_voice__excerpts UNION ALL SELECT"
        " excerpt_he FROM history.raw_voice__excerpts) WHERE excerpt_he = ?"
    )
    others = connection.execute(said.replace("= ?", "<> ?"), [text]).fetchall()[0][0]
    same = sum(text in row for row in lines)
    assert connection.execute(said, [text]).fetchall()[0][0] >= 3
    for row in [row for row in lines if text in row]:
        edit(folder, row, row.removesuffix("true") + "false", name)
    load(connection, folder, WEDNESDAY, source)
    assert connection.execute(said, [text]).fetchall() == [(0,)]
    assert connection.execute(said.replace("= ?", "<> ?"), [text]).fetchall()[0][0] > others * 0.9
    assert text not in as_of(connection, source, MONDAY)["excerpt_he"].to_list()
    assert same >= 1


def test_every_row_is_staged_or_set_aside(connection, folder):
    """Total rows, broken rows and bad values together: nothing is lost (R24)."""
    path = folder / "files" / FILE
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].replace(",", ",nonsense,", 1)
    lines.insert(5, 'סה"כ,,,,,,')
    lines[7] = lines[7] + ",more"
    path.write_text("\n".join(lines), encoding="utf-8")
    load(connection, folder, MONDAY)
    rows_in = dict(connection.sql("SELECT file_name, rows_in FROM raw.raw_file").fetchall())[FILE]
    assert rows_in == len(lines) - 1
    kept = rows(connection).filter(pl.col("file_name") == FILE).height
    aside = connection.sql(
        f"SELECT file_row, reason_code FROM raw.raw_quarantine WHERE file_name = '{FILE}' ORDER"
        " BY 1"
    ).fetchall()
    assert aside == [(3, "broken_row"), (6, "total_row"), (8, "broken_row")]
    assert kept + 3 == rows_in
