"""A city's policy lies over what holds in every city: merged, and each part told apart."""

import os
import re
import shutil
from pathlib import Path

import pytest

from pipelines.commands.policy import main
from pipelines.settings.city import load_city
from pipelines.settings.policy_defaults import DEFAULTS, whole_policy
from pipelines.settings.scenario_files import load_scenarios
from pipelines.settings.yaml_files import CityError, read_yaml
from tests.runs import PROJECT

PLAIN = Path(__file__).with_name("plain_city")
PUBLIC = PROJECT / "data_raw" / "ashkelon_public"
OURS = "unit: pupil SD, source: council, reason: ours"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(PLAIN, tmp_path / "plain_city")
    return tmp_path / "plain_city"


@pytest.fixture
def defaults(tmp_path, monkeypatch):
    """A copy of the defaults that a test may change."""
    copy = tmp_path / DEFAULTS.name
    shutil.copy(DEFAULTS, copy)
    monkeypatch.setattr("pipelines.settings.policy_defaults.DEFAULTS", copy)
    return copy


def edit(path, old, new):
    """Write one edit and return the line where it begins."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old} must stand in {path.name} once"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def append(folder, text):
    """Write lines at the end of the policy and return the line where they begin."""
    path = folder / "policy.yaml"
    held = path.read_text(encoding="utf-8")
    path.write_text(held + text, encoding="utf-8")
    return held.count("\n") + 1


def refused(folder):
    with pytest.raises(CityError) as caught:
        load_city(folder)
    assert len(re.findall("[א-ת]", caught.value.he)) > 10
    return caught.value


# ---- merging ----------------------------------------------------------------------------------


def test_every_decision_that_the_city_leaves_out_is_the_default(folder):
    everywhere = read_yaml(DEFAULTS)["everywhere"]
    stated = read_yaml(folder / "policy.yaml")
    policy = load_city(folder).policy.model_dump(mode="json")
    left_out = everywhere.keys() - stated.keys()
    assert left_out >= {"account", "diagnose", "effects", "fairness", "response_map"}
    compared = 0
    for section in left_out:
        for name, part in everywhere[section].items():
            if isinstance(part, dict) and "value" in part:
                assert policy[section][name] == part, (section, name)
                compared += 1
    assert compared > 40


def test_a_mapping_is_merged_by_key_and_a_parameter_is_replaced_whole(folder):
    before = load_city(folder).policy
    append(folder, f"effects:\n  class_sd: {{value: 0.2, {OURS}}}\n")
    after = load_city(folder).policy
    assert (after.effects.class_sd.value, after.effects.class_sd.reason) == (0.2, "ours")
    unchanged = before.effects.model_copy(update={"class_sd": after.effects.class_sd})
    assert after == before.model_copy(update={"effects": unchanged})


def test_a_parameter_takes_nothing_from_the_default_it_replaces(folder):
    line = append(folder, "effects:\n  class_sd: {value: 0.2, unit: pupil SD, reason: ours}\n")
    said = refused(folder)
    assert re.search(rf"line {line + 1}, column \d+: effects.class_sd.source: Field", said.en)


def test_a_list_is_replaced_whole(folder):
    assert load_city(folder).policy.effects.groups == ("decile_8_10",)
    append(folder, "effects: {groups: [girls, boys]}\n")
    assert load_city(folder).policy.effects.groups == ("girls", "boys")


def test_an_entry_of_a_catalogue_holds_where_the_city_names_it(folder):
    assert load_city(folder).policy.causes == {}
    append(
        folder,
        "causes:\n  class_size: {}\n"
        "  absence: {responses: [tutoring], expected: {mean: 0.5, sd: 0.2}, source: s,"
        " reason: r}\n",
    )
    causes = load_city(folder).policy.causes
    listed = read_yaml(DEFAULTS)["where_named"]["causes"]
    assert list(causes) == ["class_size", "absence"]
    assert causes["class_size"].model_dump(mode="json", exclude_unset=True) == listed["class_size"]
    assert causes["absence"].responses == ("tutoring",)
    assert causes["absence"].expected.mean == 0.5
    assert causes["absence"].measure == listed["absence"]["measure"]


def test_what_is_expected_of_a_cause_is_no_default(folder):
    """An expectation is an assumption about a place; who wants one states it with its source."""
    listed = read_yaml(DEFAULTS)["where_named"]["causes"]
    assert [name for name, cause in listed.items() if "expected" in cause] == []
    append(folder, "causes:\n  absence: {source: s, reason: r}\n")
    assert "expected" in refused(folder).en


def test_a_response_of_the_catalogue_is_not_allocated_for_nothing(folder):
    entry = "  hosen: {goal: g02}\n"
    edit(folder / "policy.yaml", "responses:\n", f"responses:\n{entry}")
    assert not load_city(folder).policy.responses["hosen"].is_allocated
    edit(folder / "policy.yaml", entry, "  hosen: {goal: g02, is_allocated: true}\n")
    said = refused(folder)
    assert "responses.hosen" in said.en
    assert "needs a cost" in said.en


def test_what_holds_of_any_entry_gives_way_to_the_city(folder):
    discount = read_yaml(DEFAULTS)["where_named"]["responses"]["*"]["transport_discount"]
    own = "    transport_discount: {value: 0.6, unit: share, source: assumed, reason: shrinks}\n"
    assert load_city(folder).policy.responses["tutoring"].transport_discount.reason == "shrinks"
    edit(folder / "policy.yaml", own, "")
    responses = load_city(folder).policy.responses
    assert list(responses) == ["tutoring"]
    assert responses["tutoring"].transport_discount.model_dump() == discount


@pytest.mark.parametrize("section", ["effects", "response_map.pooling"])
def test_an_empty_section_replaces_nothing_silently(folder, section):
    *above, last = section.split(".")
    text = "".join(f"{name}:\n" for name in above) + "  " * len(above) + f"{last}: {{}}\n"
    line = append(folder, text) + len(above)
    said = refused(folder)
    assert f"{folder / 'policy.yaml'}: line {line}: {section} is empty" in said.en


def test_a_section_without_a_value_is_refused_by_the_reader(folder):
    line = append(folder, "effects:\n")
    assert f"line {line}, column 1: 'effects' has no value" in refused(folder).en


def test_a_scenario_is_merged_over_the_whole(folder):
    edit(
        folder / "policy.yaml",
        "need_offset: {value: 0.1, unit: share, source: council, reason: a small weight for all}\n",
        "",
    )
    edit(folder / "scenarios" / "less_money.yaml", "changes:\n", "changes:\n  need_offset: 0.2\n")
    (scenario,) = load_scenarios(load_city(folder))
    assert scenario.policy.need_offset.value == 0.2
    assert scenario.policy.need_offset.unit == "share"
    changed = {change.parameter_id: change.base_value for change in scenario.changes}
    assert changed["policy.need_offset"] == "0.1"


# ---- errors name the file and the line --------------------------------------------------------


def test_an_error_of_the_city_has_its_line_in_the_city(folder):
    line = append(folder, f"effects:\n  class_sd: {{value: -1, {OURS}}}\n") + 1
    said = refused(folder)
    assert f"{folder / 'policy.yaml'}: 1 field(s)" in said.en
    assert re.search(rf"\n  line {line}, column \d+: effects.class_sd.value: ", said.en)
    assert f"effects.class_sd.value (שורה {line}, עמודה" in said.he


def test_an_error_of_the_defaults_has_its_line_there(folder, defaults):
    line = edit(defaults, "class_sd: {value: 0.13,", "class_sd: {value: -1,")
    said = refused(folder)
    assert re.search(rf"\n  {defaults}: line {line}, column \d+: effects.class_sd.value: ", said.en)
    assert f"{defaults}: effects.class_sd.value (שורה {line}, עמודה" in said.he


def test_an_error_of_a_catalogue_has_its_line_there(folder, defaults):
    line = edit(defaults, "measure: late_start_sd", "measure: late_start")
    load_city(folder)
    append(folder, "causes: {late_start: {}}\n")
    assert re.search(
        rf"{defaults}: line {line}, column \d+: causes.late_start.m", refused(folder).en
    )


def test_errors_of_both_files_are_told_at_once(folder, defaults):
    there = edit(defaults, "class_sd: {value: 0.13,", "class_sd: {value: -1,")
    here = append(folder, "surprise: 1\n")
    said = refused(folder).en
    assert "2 field(s)" in said
    assert re.search(rf"{defaults}: line {there}, column \d+: effects.class_sd.value", said)
    assert re.search(rf"\n  line {here}, column \d+: surprise: ", said)


def test_what_is_missing_is_looked_for_in_the_city(folder):
    line = edit(folder / "policy.yaml", "    goal: g02\n", "") - 5
    assert re.search(rf"\n  line {line}, column \d+: responses.tutoring.goal: ", refused(folder).en)


# ---- the whole, printed -----------------------------------------------------------------------


@pytest.mark.parametrize("source", [PLAIN, PUBLIC, "small_city"])
def test_what_is_printed_is_the_same_policy(source, request, tmp_path, capsys):
    source = request.getfixturevalue(source) if isinstance(source, str) else source
    assert main([str(source)]) == 0
    for text in (capsys.readouterr().out, whole_policy(source / "policy.yaml").text()):
        shutil.copy(source / "city.yaml", tmp_path)
        (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
        again = load_city(tmp_path).policy
        # As text, since equal mappings may differ in the order of their keys.
        assert again.model_dump_json() == load_city(source).policy.model_dump_json()
        assert whole_policy(tmp_path / "policy.yaml").raw == read_yaml(tmp_path / "policy.yaml")


def test_beside_each_decision_stands_where_it_comes_from(folder, capsys):
    line = append(folder, f"effects:\n  class_sd: {{value: 0.2, {OURS}}}\n") + 1
    assert main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    path = os.path.relpath(folder / "policy.yaml")
    said = {text.split(":")[0].strip(): text.split("  # ")[-1] for text in lines}
    assert said["class_sd"] == f"{path}:{line}"
    assert said["class_pupils"] == "default"
    assert said["equity_gamma"] == f"{path}:2"
    assert all("  # " in text for text in lines if not text.endswith(":"))


@pytest.mark.parametrize(
    "text",
    ["yes", "1:30", "0o17", "0123", "it's", "a: b  # c", "", "א\u200fב", "2026-01-01", "null"],
)
def test_a_text_stays_that_text(folder, text):
    quoted = text.replace("'", "''")
    edit(folder / "policy.yaml", "source: operator", f"source: '{quoted}'")
    whole = whole_policy(folder / "policy.yaml")
    (folder / "policy.yaml").write_text(whole.text(), encoding="utf-8")
    assert whole_policy(folder / "policy.yaml").raw == whole.raw


def test_a_city_that_is_not_valid_is_not_printed(folder, capsys):
    append(folder, "effects: {}\n")
    assert main([str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "effects is empty" in said.err
