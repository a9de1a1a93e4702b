"""What the policy says of needs and topics is checked before anything runs (R119)."""

import copy

import pytest
from pydantic import ValidationError

from pipelines.settings.policy import Policy
from pipelines.settings.policy_defaults import whole_policy
from tests.runs import PROJECT

PUBLIC = whole_policy(PROJECT / "data_raw/ashkelon_public/policy.yaml").raw


def read(change=lambda map_: None):
    raw = copy.deepcopy(PUBLIC)
    change(raw["response_map"])
    return Policy.model_validate(raw).response_map


def test_every_decision_has_a_value_unit_source_and_reason():
    found = read()
    for parameter in (found.significant, found.in_need_below_sd, *dict(found.pooling).values()):
        assert parameter.unit, parameter
        assert parameter.source, parameter
        assert parameter.reason, parameter
    for item in (*found.needs.values(), *(a for _, sides in found.topics for a in sides.values())):
        assert item.source, item
        assert item.reason, item
    assert [topic for topic, _ in found.topics] == [
        "gifted",
        "special_education",
        "language",
        "digital_literacy",
        "other_skills",
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda m: m["needs"]["gap_math"].update(responses=["nosuch"]),
            "gap_math.responses: no such response: nosuch",
        ),
        (lambda m: m["needs"]["gap_math"].update(goal="g99"), "no such goal: g99"),
        (lambda m: m["needs"]["gap_math"].update(group="girls"), "no such group: girls"),
        (lambda m: m["needs"]["gap_math"].pop("subject"), "a gap needs a subject"),
        (
            lambda m: m["needs"]["chronic_absence"].update(measure="climate_safety"),
            "measured by no indicator",
        ),
        (
            lambda m: m["topics"]["language"]["english"].update(responses=["nosuch"]),
            "language.english.responses: no such response",
        ),
        (lambda m: m["topics"].update(sixth={}), "Extra inputs"),
        (lambda m: m["pooling"]["max_schools"].update(value=1), "greater than or equal to 2"),
    ],
)
def test_what_cannot_be_is_named(change, says):
    with pytest.raises(ValidationError, match=says):
        read(change)


def test_a_policy_that_names_none_has_no_needs_and_all_five_topics():
    def name_none(section):
        del section["needs"], section["topics"]

    found = read(name_none)
    assert found.needs == {}
    assert len(dict(found.topics)) == 5
