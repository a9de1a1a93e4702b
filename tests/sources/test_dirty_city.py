"""All 38 kinds of defects, each found as its manifest says; and no false alarm on the clean city (R23, R25)."""

import polars as pl
import pytest

from models.synthetic_city import generate, soil
from pipelines.checks import engine
from pipelines.city import load_city
from pipelines.demo_city import write_city
from pipelines.sources.check import rehearse

ERROR_RECALL, WARN_RECALL, FALSE_ALARMS = 1.0, 0.95, 0.01
# Told by other tests: two loads one after another, and an exported workbook.
ELSEWHERE = {"sequence": "tests/sources/test_load.py", "export": "tests/publish/test_publish.py"}


@pytest.fixture(scope="module")
def cities(tmp_path_factory):
    """The clean and the dirty city, as they lie on disk, and the dirty one's manifest."""
    root = tmp_path_factory.mktemp("cities")
    clean = generate(seed=1)
    dirty = soil(clean)
    for name, city in (("clean", clean), ("dirty", dirty)):
        write_city(city, root / name / "demo_city")
    return root, dirty.truth["defects"]


@pytest.fixture(scope="module")
def rehearsed(cities):
    """Both cities read, staged and checked; every failing key is listed, not only ten."""
    root, _ = cities
    shown, engine.KEYS_SHOWN = engine.KEYS_SHOWN, 1_000_000
    try:
        yield {name: rehearse(load_city(root / name / "demo_city")) for name in ("clean", "dirty")}
    finally:
        engine.KEYS_SHOWN = shown


def failing(done):
    """`table.check_id` → its failing keys, of the checks that fail."""
    return {
        f"{name}.{result.check.id}": set(result.failing_keys)
        for name, result in done.results
        if not result.is_passed
    }


def is_found(row, done, failed):
    """Whether one line of the manifest came out as it says."""
    match row["kind"]:
        case "quarantine":
            where = pl.col("file_name") == row["file_name"]
            if row["file_row"] is not None:
                where &= pl.col("file_row") == row["file_row"]
            held = done.table("SELECT * FROM core.core_quarantine").filter(where)
            return row["expected"] in set(held["reason_code"])
        case "repair":
            held = done.table("SELECT * FROM core.core_repair").filter(
                pl.col("file_name") == row["file_name"]
            )
            return row["expected"] in set(held["repair_code"])
        case "check":
            keys = failed.get(row["expected"])
            return keys is not None and (row["key"] is None or row["key"] in keys)
        case "unreadable":
            error = done.unreadable.get(row["source_id"])
            return error is not None and row["file_name"] in error.en
    return None


def test_every_defect_is_found(cities, rehearsed):
    manifest = cities[1]
    failed = failing(rehearsed["dirty"])
    missed = []
    counts = {"ERROR": [0, 0], "WARN": [0, 0]}
    for row in manifest.iter_rows(named=True):
        if row["kind"] in ELSEWHERE or row["kind"] == "equal":
            continue
        found = is_found(row, rehearsed["dirty"], failed)
        assert found is not None, f"no such kind of outcome: {row}"
        if row["severity"] in counts:
            counts[row["severity"]][0] += found
            counts[row["severity"]][1] += 1
        if not found:
            missed.append({k: row[k] for k in ("defect_id", "kind", "file_name", "file_row", "expected", "key")})  # fmt: skip
    assert counts["ERROR"][0] >= ERROR_RECALL * counts["ERROR"][1], missed
    assert counts["WARN"][0] >= WARN_RECALL * counts["WARN"][1], missed
    assert not missed, missed
    assert manifest["defect_id"].n_unique() == 38


def test_no_row_is_lost(rehearsed):
    for done in rehearsed.values():
        files = done.table("SELECT * FROM core.core_source_file")
        assert (files["rows_in"] == files["rows_staged"] + files["rows_quarantined"]).all()
        rows = done.table("SELECT * FROM core.core_reconciliation").filter(
            pl.col("reconciliation_id").str.starts_with("rows.")
        )
        assert (rows["expected_value"] == rows["observed_value"]).all()


def test_only_the_faulty_rows_are_set_aside(cities, rehearsed):
    """A row in quarantine that no defect explains is a false alarm."""
    manifest = cities[1]
    files = set(manifest.filter(pl.col("kind").is_in(["quarantine", "check", "repair"]))["file_name"])  # fmt: skip
    held = rehearsed["dirty"].table("SELECT DISTINCT file_name, file_row, reason_code FROM core.core_quarantine")  # fmt: skip
    clean = rehearsed["clean"].table("SELECT DISTINCT file_name, reason_code FROM core.core_quarantine")  # fmt: skip
    unexplained = held.filter(~pl.col("file_name").is_in(list(files))).join(
        clean, on=["file_name", "reason_code"], how="anti"
    )
    assert unexplained.is_empty(), unexplained


def test_the_clean_city_raises_no_false_alarm(rehearsed):
    """What is true of the clean city may be told: a low response rate, a refused consent."""
    done = rehearsed["clean"]
    assert not done.unreadable
    results = [(f"{name}.{result.check.id}", result) for name, result in done.results]
    errors = [name for name, result in results if not result.is_passed and result.check.severity == "ERROR"]  # fmt: skip
    assert errors == []
    true_findings = {"core_climate.response_rate", "core_climate.small_n"}
    warnings = [name for name, result in results if not result.is_passed and name not in true_findings]  # fmt: skip
    assert len(warnings) <= FALSE_ALARMS * len(results), warnings
    set_aside = done.table("SELECT reason_code FROM core.core_quarantine")
    assert set(set_aside["reason_code"]) <= {"no_consent"}


def test_what_was_repaired_equals_the_clean_twin(cities, rehearsed):
    """Rows that could be read are staged as in the clean city, whatever the file looked like."""
    repaired = cities[1].filter(pl.col("kind") == "equal")
    assert repaired.height >= 8
    for row in repaired.iter_rows(named=True):
        where = f"WHERE school_year = {row['key']}" if row["key"] else ""
        clean, dirty = (rehearsed[name].table(f"SELECT * FROM {row['expected']} {where}") for name in ("clean", "dirty"))  # fmt: skip
        strange = dirty.join(clean, on=dirty.columns, how="anti", nulls_equal=True)
        assert strange.is_empty(), (row["defect_id"], strange)
        named = row["file_name"]
        aside = rehearsed["dirty"].table(
            f"SELECT count(DISTINCT file_row) FROM core.core_quarantine WHERE file_name = '{named}' AND reason_code <> 'total_row'"
        )
        lost = aside.item() if row["expected"].startswith("staging") else 0
        assert dirty.height + lost == clean.height > 0, row["defect_id"]
