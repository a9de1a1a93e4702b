"""The town's files as other offices keep them: the first day up to `make check`."""

import pytest

from pipelines.commands.check import main as check
from pipelines.commands.new_city import main as new_city
from pipelines.settings.city import load_city
from tests.cities.habits import write_one_workbook, write_semicolons
from tests.cities.test_five_schools import ANSWERS, MOST_OPEN


@pytest.mark.parametrize("write", [write_semicolons, write_one_workbook])
def test_other_habits_ask_no_more_and_pass_the_check(write, tmp_path, capsys):
    folder = tmp_path / "givat_alonim"
    write(folder / "files", tmp_path / "aside", 2025, 2026)
    assert new_city([str(folder)]) in (0, 1)
    said = capsys.readouterr().out
    asked = int(said.split(" question(s)")[0].rpartition("\n")[2])
    assert asked <= MOST_OPEN, said
    new_city([str(folder), "--answers", str(ANSWERS)])
    city = load_city(folder).city
    assert {"register__schools", "tests__school_means", "programmes__delivery"} <= set(city.sources)
    assert {"finance__budget_lines", "finance__school_money"} <= set(city.sources)
    assert all(len(mappings) == 2 for mappings in city.sources.values())
    assert city.subjects == ("english", "hebrew", "math")
    assert check([str(folder)]) == 0, capsys.readouterr().out
