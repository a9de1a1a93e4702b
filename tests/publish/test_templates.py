"""The templates of the pages: no line that nobody can read."""

from pathlib import Path

from pipelines.publish import pages

WIDEST = 160


def test_no_line_of_a_template_is_longer_than_a_reader_sees():
    templates = sorted(Path(pages.__file__).parent.rglob("*.j2"))
    assert len(templates) >= 10
    long = [
        f"{path.name}:{number}: {len(line)} characters"
        for path in templates
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > WIDEST
    ]
    assert long == []
