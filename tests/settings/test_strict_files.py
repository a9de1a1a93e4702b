"""No slip in a file of a city can turn into other money: each is refused where it stands.

A case is one small edit of a valid city. What is refused names the file and the line, in both
languages, and says what to write instead; what is near and right is read.
"""

import ast
import re
import shutil
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel, TypeAdapter

from pipelines.commands.share_by_formula import declared
from pipelines.settings.city import City, load_city
from pipelines.settings.fields import load as load_dictionary
from pipelines.settings.formula import declaration
from pipelines.settings.parameters import Parameter
from pipelines.settings.policy import Policy
from pipelines.settings.scenario_files import load_scenarios, refuse_unknown_schools
from pipelines.settings.yaml_files import CityError

PLAIN = Path(__file__).with_name("plain_city")


def table(name):
    """The rows of a table beside this file; backslashes as in a Python text."""
    lines = PLAIN.with_name(name).read_text(encoding="utf-8").splitlines()[1:]
    unescape = re.compile(r"\\(?:n|t|u[0-9a-f]{4})")
    plain = (
        unescape.sub(lambda found: found[0].encode().decode("unicode_escape"), line)
        for line in (line.replace("\t", "\x00") for line in lines)
    )
    return [line.split("\x00") for line in plain]


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(PLAIN, tmp_path / "plain_city")
    return tmp_path / "plain_city"


def edit(folder, name, old, new):
    """Write one edit and return the line where it begins."""
    text = (folder / name).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old} must stand in {name} once"
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def read(folder):
    return load_scenarios(load_city(folder))


def refused(folder, name, line, parts):
    with pytest.raises(CityError) as caught:
        read(folder)
    en, he = caught.value.en, caught.value.he
    assert str(folder / name) in en
    assert str(folder / name) in he
    assert re.search(rf"\bline {line}\b", en), en
    assert re.search(rf"שורה {line}\b", he), he
    assert len(re.findall("[א-ת]", he)) > 10, he
    for part in parts:
        assert part in en, en


def test_the_plain_city_is_valid(folder):
    (scenario,) = read(folder)
    assert scenario.policy.channels["municipal_own"].budget.value == 8_100_000
    assert scenario.policy.rules.every_school_served is None


REFUSED, ACCEPTED = table("refused.tsv"), table("accepted.tsv")


def test_the_corpus_is_large():
    assert len(REFUSED) >= 80
    assert {name for name, *_ in REFUSED} == {
        "policy.yaml",
        "city.yaml",
        "scenarios/less_money.yaml",
    }


@pytest.mark.parametrize(("name", "old", "new", "below", "said"), REFUSED)
def test_a_slip_is_refused_where_it_stands(folder, name, old, new, below, said):
    refused(folder, name, edit(folder, name, old, new) + int(below), said.split(" | "))


@pytest.mark.parametrize(("name", "old", "new", "where", "value"), ACCEPTED)
def test_what_is_near_a_slip_and_right_is_read(folder, name, old, new, where, value):
    edit(folder, name, old, new)
    (scenario,) = read(folder)
    city = load_city(folder)
    first, *steps = where.split(".")
    held = {"policy": city.policy, "city": city.city, "scenario": scenario}[first]
    for step in steps:
        if isinstance(held, dict):
            held = held[step]
        else:
            held = held[int(step)] if isinstance(held, tuple) else getattr(held, step)
    assert held == ast.literal_eval(value)
    assert type(held) is type(ast.literal_eval(value))


# ---- whole files ------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["cp1255", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["policy.yaml", "city.yaml", "scenarios/less_money.yaml"])
def test_another_encoding_is_named_with_its_line(folder, name, codec):
    text = (folder / name).read_text(encoding="utf-8")
    (folder / name).write_bytes(text.encode(codec))
    first_hebrew = 1 + text[: re.search("[א-ת]", text).start()].count("\n")
    refused(folder, name, first_hebrew if codec == "cp1255" else 1, ["save", "UTF-8"])


@pytest.mark.parametrize(
    "change", [lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\n", b"\r\n")]
)
def test_a_byte_order_mark_and_windows_lines_change_nothing(folder, change):
    before = load_city(folder)
    for name in ("policy.yaml", "city.yaml"):
        (folder / name).write_bytes(change((folder / name).read_bytes()))
    assert load_city(folder) == before


@pytest.mark.parametrize("name", ["policy.yml", "city.yml", "policy.YAML", "scenarios/small.yml"])
def test_a_file_that_would_be_passed_over_is_named(folder, name):
    shutil.copy(folder / "scenarios/less_money.yaml", folder / name)
    refused(folder, name, 1, [f"rename it to {Path(name).stem}.yaml"])


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: 1\0", 1, ""),
        ("[" * 20_000, 1, ""),
        ("a: [1,\nb: 2", 2, "not valid YAML"),
        ("- a\n", 1, "policy.yaml"),
        ("", 1, "policy.yaml"),
        ("--- {a: 1}\n--- {b: 2}\n", 2, "not valid YAML"),
        (
            "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            6,
            "write out what is meant",
        ),
    ],
    ids=["NUL", "nesting", "broken", "list", "empty", "two documents", "billion laughs"],
)
def test_what_is_no_file_of_settings_is_refused(folder, text, line, part):
    (folder / "policy.yaml").write_text(text, encoding="utf-8")
    refused(folder, "policy.yaml", line, [part])


def test_an_alias_stands_for_what_it_names(folder):
    edit(
        folder,
        "policy.yaml",
        "source: operator, reason: staff",
        "source: &who operator, reason: *who",
    )
    (rule,) = load_city(folder).policy.rules.capacity
    assert (rule.source, rule.reason) == ("operator", "operator")


def test_the_dictionary_and_a_declaration_are_read_as_strictly(tmp_path):
    path = tmp_path / "fields.yaml"
    path.write_text("fields: {}\ntables: {}\nfields: {}\n", encoding="utf-8")
    with pytest.raises(CityError, match="line 3, column 1: the key 'fields' stands in line 1"):
        load_dictionary(path)
    path = tmp_path / "formula.yaml"
    text = (
        "base:\n  pot: {channel: municipal_own}\n"
        "  points: [{weights: {pupils: 1}, source: s, reason: r}]\n"
        "  last_year: last\n  guarantee_pct: {value: 0.95, unit: percent, source: s, reason: r}\n"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CityError, match=r"line 5, column 19: base.*value: .*write 95"):
        declared(path)
    path.write_text(text.replace("0.95", "95"), encoding="utf-8")
    assert declared(path)["base"].guarantee_pct.value == 95


# ---- schools -----------------------------------------------------------------------------------


def test_a_school_that_the_register_does_not_have_is_named_with_its_line(folder):
    city = load_city(folder)
    refuse_unknown_schools(city, {"123456", "234567"})
    with pytest.raises(CityError, match=r"policy\.yaml: line 50: rules\.overrides\.0\.schools\.0"):
        refuse_unknown_schools(city, {"123456"})


def test_a_school_of_a_scenario_is_named_in_its_file(folder):
    drop = "must_drop: [{response: tutoring, schools: ['999999'], source: s, reason: r}]"
    line = edit(folder, "scenarios/less_money.yaml", "every_school_served:", drop)
    (scenario,) = read(folder)
    city = load_city(folder).model_copy(update={"policy": scenario.policy})
    with pytest.raises(
        CityError, match=rf"less_money\.yaml: line {line}: .*no school 999999"
    ) as found:
        refuse_unknown_schools(city, {"123456", "234567"})
    assert "אין בית ספר 999999" in found.value.he


# ---- the schema --------------------------------------------------------------------------------


def numbers(schema, place=""):
    """Every number of a JSON schema: where it stands and what bounds it."""
    if isinstance(schema, dict):
        if schema.get("type") in ("number", "integer"):
            yield place, schema
        for key, part in schema.items():
            yield from numbers(part, f"{place}/{key}")
    elif isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from numbers(part, f"{place}/{index}")


@pytest.mark.parametrize("kind", [TypeAdapter(Policy), TypeAdapter(City), declaration])
def test_every_number_of_the_schema_is_bounded(kind):
    found = dict(numbers(kind.json_schema()))
    assert found
    unbounded = [
        place
        for place, schema in found.items()
        if not {"minimum", "exclusiveMinimum"} & set(schema)
        or not {"maximum", "exclusiveMaximum"} & set(schema)
    ]
    assert unbounded == []


def models(kind):
    """All models of a schema, each once."""
    seen, waiting = set(), [kind]
    while waiting:
        part = waiting.pop()
        waiting += [inner for inner in get_args(part) if inner is not Ellipsis]
        if isinstance(part, type) and issubclass(part, BaseModel) and part not in seen:
            seen.add(part)
            waiting += [field.annotation for field in part.model_fields.values()]
    return seen


def test_every_parameter_has_one_unit():
    without = []
    for model in models(Policy):
        if issubclass(model, Parameter):
            continue
        for name, field in model.model_fields.items():
            is_parameter = any(issubclass(m, Parameter) for m in models(field.annotation))
            own = [
                a for a in (field.annotation, *get_args(field.annotation)) if isinstance(a, type)
            ]
            if (
                is_parameter
                and any(issubclass(a, Parameter) for a in own)
                and name not in model.parameter_units()
            ):
                without.append(f"{model.__name__}.{name}")
    assert without == []
