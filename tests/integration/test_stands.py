"""What has not changed is left as it stands, and a run that computes all anew makes the same."""

import json

import pytest

from pipelines.warehouse.database import Warehouse
from tests.integration.conftest import hashes


def stamps(place):
    """Return what each table of a place's warehouse holds, and what it was made of."""
    rows = Warehouse(path=str(place.workspace().warehouse_path)).read(
        "SELECT * FROM audit.table_stamp"
    )
    return {name: (content, json.loads(said)["made_of"]) for name, content, said in rows.rows()}


@pytest.mark.slow
def test_one_changed_file_makes_again_what_is_made_from_it(place):
    before = stamps(place)
    path = place.raw / "files" / "ratings.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",not_effective,", ",fairly_effective,", 1), encoding="utf-8")
    assert place.call().returncode == 0
    after, made = stamps(place), hashes(place)
    changed = {name for name in after if before[name][0] != after[name][0]}
    assert {"raw_voice__ratings", "stg_voice__ratings", "mart_rating"} <= changed
    assert not changed & {"raw_tests__pupil_scores", "core_scale", "mart_need_index"}
    for name in ("raw_tests__pupil_scores", "stg_tests__pupil_scores", "mart_need_index"):
        assert before[name] == after[name]
    assert place.call("--force").returncode == 0
    assert hashes(place) == made
