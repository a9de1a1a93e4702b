"""From a column of a mart to the sources that it is computed from."""

import pytest

from pipelines.definitions import STEPS
from pipelines.settings.fields import dictionary
from pipelines.warehouse.lineage import sources_behind

# By hand, from the SQL and the steps between.
BEHIND = {
    ("mart_school_money", "gefen_agorot"): {"finance__school_money"},
    ("mart_climate", "agree_pct"): {"climate__facets"},
    ("mart_line_tracking", "spent_agorot"): {"finance__ledger"},
    ("mart_need_index", "pupils"): {"register__schools", "register__forecast"},
    ("mart_need_index", "last_registered_pupils"): {"register__schools"},
    ("mart_response_map", "participants"): {"programmes__delivery"},
}


@pytest.mark.parametrize("cell", BEHIND, ids=".".join)
def test_a_column_comes_from_its_sources(cell):
    assert set(sources_behind(*cell, STEPS)) == BEHIND[cell]


def test_a_gap_comes_from_tests_and_the_register_and_not_from_attendance():
    found = set(sources_behind("mart_gap_school", "gap_sd", STEPS))
    assert {"tests__pupil_scores", "register__pupils"} <= found
    assert not {"attendance__pupil_years", "climate__facets", "voice__cards"} & found


def test_without_a_column_all_that_a_table_is_made_of_counts():
    whole = set(sources_behind("mart_school_money", "", STEPS))
    assert set(sources_behind("mart_school_money", "gefen_agorot", STEPS)) < whole


def test_every_source_has_an_owner_and_every_owner_a_source():
    words = dictionary()
    assert all(words.source_owner(source_id) for source_id in words.sources)
    assert {source_id.partition("__")[0] for source_id in words.sources} == set(words.owners)
