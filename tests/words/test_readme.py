"""Claims that fail are told, with figures, where a reader looks for what does not hold (R124)."""

import re

from tests.runs import PROJECT


def test_every_claim_that_is_expected_to_fail_stands_in_the_readme():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## What does not hold")[2].partition("\nOther limits")[0]
    expected = [
        path
        for path in sorted((PROJECT / "tests").rglob("test_*.py"))
        if re.search(r"pytest\.xfail\(|mark\.xfail", path.read_text(encoding="utf-8"))
        and path.name != "test_readme.py"
    ]
    assert expected
    for path in expected:
        name = str(path.relative_to(PROJECT))
        assert name in section, f"{name} has a claim that fails, and README does not name it"
        told = next(text for text in section.split("\n- ") if name in text)
        assert re.search(r"\.\d\d", told), f"README names {name} without a figure"
