"""city.yaml and policy.yaml: what is wrong is said with its path, before any asset runs."""

import shutil

import pytest
import yaml

from pipelines.settings.city import CityError, load_city


@pytest.fixture
def city(small_city, tmp_path):
    folder = tmp_path / "demo_city"
    folder.mkdir()
    for name in ("city.yaml", "policy.yaml"):
        shutil.copy(small_city / name, folder)
    return folder


def change(folder, name, path, value):
    raw = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    node = raw
    for part in path[:-1]:
        node = node.setdefault(part, {})
    node[path[-1]] = value
    (folder / name).write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")


def test_both_shipped_policies_are_valid(small_city):
    from tests.runs import PROJECT

    for folder in (small_city, PROJECT / "data_raw" / "ashkelon_public"):
        parameters = load_city(folder).parameters()
        assert all(row["source"] for row in parameters)
        assert len({row["parameter_id"] for row in parameters}) == len(parameters)


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [
        ("policy.yaml", ("equity_gamma", "value"), -1, "equity_gamma.value"),
        (
            "policy.yaml",
            ("responses", "milat", "goal"),
            "g99",
            "milat.goal: no such goal: g99",
        ),
        ("policy.yaml", ("responses", "milat", "funding"), {"municipal_own": 0.5}, "must sum to 1"),
        (
            "policy.yaml",
            ("need", "indicators", "gap_math", "weight_pct", "value"),
            21,
            "must sum to 100",
        ),
        (
            "policy.yaml",
            ("rules", "must_drop"),
            [{"response": "xyz", "source": "s", "reason": "r"}],
            "no such response: xyz",
        ),
        (
            "policy.yaml",
            ("overlaps", "core_subjects", "responses"),
            ["milat", "xyz"],
            "overlaps.core_subjects.responses: no such response: xyz",
        ),
        (
            "policy.yaml",
            ("overlaps", "core_subjects", "responses"),
            ["milat", "posh", "posh"],
            "'posh' is in overlaps.core_subjects already",
        ),
        (
            "policy.yaml",
            ("overlaps", "core_subjects", "counted_share", "value"),
            1.2,
            "overlaps.core_subjects.counted_share",
        ),
        ("policy.yaml", ("surprise",), 1, "surprise"),
        ("city.yaml", ("sources", "register__schools", "columns", "colour"), "צבע", "colour"),
        (
            "city.yaml",
            ("sources", "climate__facets", "columns"),
            {"semel_mosad": "a"},
            "columns the contract needs",
        ),
        (
            "city.yaml",
            ("sources", "nonsense"),
            {"file": "a", "format": "csv", "columns": {}},
            "unknown source",
        ),
        ("city.yaml", ("school_years", "reference"), 2030, "first ≤ reference ≤ last"),
    ],
)
def test_an_invalid_file_names_the_field(city, name, path, value, said):
    change(city, name, path, value)
    with pytest.raises(CityError, match=name) as caught:
        load_city(city)
    assert said in caught.value.en
    assert any("א" <= letter <= "ת" for letter in caught.value.he)


def test_broken_yaml_names_line_and_column(city):
    (city / "policy.yaml").write_text("a: [1,\nb: 2", encoding="utf-8")
    with pytest.raises(CityError, match=r"policy.yaml: not valid YAML at line \d"):
        load_city(city)


def test_a_missing_file_says_what_a_city_is(tmp_path):
    with pytest.raises(CityError, match="a city is a folder"):
        load_city(tmp_path)
