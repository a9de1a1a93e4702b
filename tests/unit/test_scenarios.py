"""Scenario files: overlays of the policy's decisions, and what makes one invalid (R98)."""

import shutil

import pytest

from pipelines.settings.city import CityError, load_city
from pipelines.settings.scenario_files import load_scenarios
from tests.runs import PROJECT

HEAD = "name_he: שם\nname_en: Name\nreason: why\nchanges:\n"


@pytest.fixture
def folder(small_city, tmp_path):
    for name in ("city.yaml", "policy.yaml"):
        shutil.copy(small_city / name, tmp_path)
    (tmp_path / "scenarios").mkdir()
    return tmp_path


def load(folder, text=None, name="other"):
    if text is not None:
        (folder / "scenarios" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_scenarios(load_city(folder))


def test_a_city_needs_no_scenarios(folder):
    assert load(folder) == ()


def test_the_shipped_scenarios_are_valid(folder):
    shutil.copytree(
        PROJECT / "pipelines/demo/scenarios",
        folder / "scenarios",
        dirs_exist_ok=True,
    )
    scenarios = load(folder)
    assert [s.scenario_id for s in scenarios] == sorted(s.scenario_id for s in scenarios)
    assert 3 <= len(scenarios) <= 5
    assert all(s.changes for s in scenarios)


def test_only_what_it_names_is_changed(folder):
    (found,) = load(
        folder,
        HEAD + "  equity_gamma: 2\n  rules:\n    excellence_min: {value: 12}\n   "
        " every_school_served:\n",
    )
    base = load_city(folder).policy
    assert found.policy.equity_gamma.value == 2
    assert found.policy.equity_gamma.unit == base.equity_gamma.unit
    assert (found.policy.equity_gamma.source, found.policy.equity_gamma.reason) == (
        "scenario other",
        "why",
    )
    assert found.policy.rules.every_school_served is None
    assert found.policy.rules.capacity == base.rules.capacity
    assert found.policy.rules.excellence_max == base.rules.excellence_max
    assert found.policy.need == base.need
    said = {c.parameter_id: (c.base_value, c.scenario_value) for c in found.changes}
    assert said == {
        "policy.equity_gamma": ("1", "2"),
        "policy.rules.every_school_served": ("True", None),
        "policy.rules.excellence_min": ("8", "12"),
    }


def test_a_list_replaces_the_list(folder):
    drop = "[{response: rvadim, source: s, reason: r}]"
    (found,) = load(folder, HEAD + f"  rules: {{must_drop: {drop}}}\n")
    assert [item.response for item in found.policy.rules.must_drop] == ["rvadim"]


def test_a_budget_that_no_policy_has_needs_its_unit(folder):
    with pytest.raises(CityError, match=r"line 7, column \d+: .*ministry_other\.budget\.unit"):
        load(folder, HEAD + "  channels:\n    ministry_other:\n      budget: {value: 5}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + "  equity_gamma: 1\n  need: {order_p: 1}\n",
            ["line 6", "changes.need", "is no decision"],
        ),
        (HEAD + "  responses: {}\n", ["changes.responses", "is no decision"]),
        (HEAD + "  diagnose: {}\n", ["changes.diagnose", "is no decision"]),
        (
            HEAD + "  gamma: 1\n",
            ["line 5", "changes.gamma", "no part of the policy", "equity_gamma"],
        ),
        (
            HEAD + "  equity_gamma: -1\n",
            ["line 5", "changes.equity_gamma.value", "greater than or equal to 0"],
        ),
        (
            HEAD + "  rules:\n    excellence_min: 120\n",
            ["line 6", "changes.rules.excellence_min.value"],
        ),
        (
            HEAD + "  rules:\n    must_drop: [{response: xyz, source: s, reason: r}]\n",
            ["rules.must_drop", "no such response: xyz"],
        ),
        (
            HEAD + "  rules:\n    school_cap: 5\n",
            ["line 6", "changes.rules.school_cap", "not permitted"],
        ),
        (HEAD + "  equity_gamma:\n", ["changes.equity_gamma", "Field required"]),
        ("name_he: שם\nreason: why\nchanges: {equity_gamma: 1}\n", ["name_en", "Field required"]),
        ("name_he: שם\nname_en: N\nreason: why\nchanges: {}\n", ["line 4", "changes"]),
        ("changes: [1,\nb: 2", ["not valid YAML at line"]),
    ],
)
def test_an_invalid_scenario_names_file_field_and_line(folder, text, said):
    with pytest.raises(CityError, match=r"scenarios/other\.yaml") as caught:
        load(folder, text)
    for words in said:
        assert words in caught.value.en, caught.value.en
    assert any("א" <= letter <= "ת" for letter in caught.value.he)


@pytest.mark.parametrize("name", ["base", "two words", "תרחיש"])
def test_the_name_of_the_file_is_the_id(folder, name):
    with pytest.raises(CityError, match="the scenario's id"):
        load(folder, HEAD + "  equity_gamma: 2\n", name)
