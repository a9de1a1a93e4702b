"""A programme of the town's own, which no catalogue has, comes into the policy.

That it is in the plan: `test_guide.py`.
"""

import shutil
from pathlib import Path

import pytest
import yaml

from pipelines.commands.check import main as check
from pipelines.commands.new_city import main as new_city
from pipelines.settings.city import CityError, load_city
from tests.cities.first_day import FILLED_IN, answer, fill_in
from tests.cities.five_schools import write_year


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "givat_alonim"
    for year in (2025, 2026):
        write_year(folder / "files", year)
    assert answer(folder, "new=orchestra") == 1  # something is left to the city
    return folder


@pytest.fixture
def folder(drafted, tmp_path):
    return Path(shutil.copytree(drafted, tmp_path / "givat_alonim"))


def test_what_is_open_is_refused_with_its_lines(folder, capsys):
    with pytest.raises(CityError) as refused:
        load_city(folder)
    text = (folder / "policy.yaml").read_text(encoding="utf-8").splitlines()
    for key in (*FILLED_IN, "served_share"):
        line = next(at for at, said in enumerate(text, 1) if said.startswith(f"    {key}: "))
        assert f"responses.orchestra.{key}" in refused.value.en
        assert f"(line {line})" in refused.value.en
        assert f"(שורה {line})" in refused.value.he
        assert "#" in text[line - 1]  # what may stand there is said beside it
    assert check([str(folder)]) != 0
    assert "טרם הוכרע" in capsys.readouterr().out


def test_the_draft_holds_what_the_files_say(folder):
    fill_in(folder)
    policy = load_city(folder).policy
    held = policy.responses["orchestra"]
    assert held.name_he == "תזמורת עירונית"
    assert held.unit_cost.value == pytest.approx(40_000 / 22, abs=80)  # 20 to 23 play, 40,000 NIS
    assert "תקציב תוכניות" in held.funding_source
    assert held.effects == {}
    budget = policy.channels["municipal_own"].budget.value
    without = folder.parent / "without"
    shutil.copytree(folder / "files", without / "files")
    assert answer(without, "none") == 0
    assert budget - load_city(without).policy.channels["municipal_own"].budget.value == 24_000


def test_a_policy_of_people_is_told_what_it_lacks(folder, capsys):
    text = (folder / "policy.yaml").read_text(encoding="utf-8")
    before, _, after = text.partition("  orchestra:\n")
    after = after[after.index("\n\n") :]
    (folder / "policy.yaml").write_text(before + after, encoding="utf-8")
    assert new_city([str(folder)]) == 1
    said = capsys.readouterr().out
    assert "policy.yaml lacks the programme orchestra" in said
    assert "    goal: '?'" in said


@pytest.mark.parametrize("reply", ["new=Orchestra", "new=milat", "new=1x"])
def test_an_id_that_cannot_be_is_refused(reply, tmp_path, capsys):
    folder = tmp_path / "givat_alonim"
    write_year(folder / "files", 2026)
    assert answer(folder, reply) == 2
    assert "cannot be the id of a new programme" in capsys.readouterr().out


def test_without_an_id_its_letters_make_one(tmp_path):
    folder = tmp_path / "givat_alonim"
    write_year(folder / "files", 2026)
    assert answer(folder, "new") == 1
    held = yaml.safe_load((folder / "city.yaml").read_text(encoding="utf-8"))
    values = held["sources"]["programmes__delivery"]["values"]["response_id"]
    assert values["תזמורת עירונית"] == "tzmvrt_ayrvnyt"
