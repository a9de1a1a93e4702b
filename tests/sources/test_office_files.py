"""Sources and columns of files of many offices, and the doubt about files of none."""

import pytest

from pipelines.sources.header_words import header_score, is_aside, meant_words, speaks_of, stem
from pipelines.sources.propose import proposals
from tests.sources.office_files import FILES, FOREIGN, write


def best_of(path):
    return max(proposals(path), key=lambda one: one.candidates[0].score, default=None)


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return [(best_of(path), office) for path, office in write(folder, FILES)]


def test_every_source_is_found_without_doubt(looked_at):
    for found, office in looked_at:
        assert found.source_id == office.source_id, office.title
        assert not found.is_doubtful, office.title


def test_nearly_every_column_is_found_and_none_is_taken_for_another(looked_at):
    missed, wrong = [], []
    for found, office in looked_at:
        taken = {header: name for name, header in found.mapping["columns"].items()}
        missed += [header for header, name in office.truth.items() if header not in taken]
        wrong += [one for one in taken.items() if office.truth.get(one[0]) != one[1]]
    assert len(wrong) <= 2, wrong
    assert len(missed) <= 4, missed


def test_a_file_of_no_source_is_doubted(tmp_path):
    for path, office in write(tmp_path, FOREIGN):
        found = best_of(path)
        assert found is None or found.is_doubtful, office.title


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('סמל בי"ס', "סמל מוסד"),
        ("מס' תלמידים", "כמות הלומדים"),
        ('ת"ז תלמיד', "תעודת זהות התלמידה"),
        ("שם הישוב", "שם יישוב"),
        ('שנה"ל', "שנת לימודים"),
        ("שם התכנית", "שם תוכנית"),
    ],
)
def test_words_are_read_as_they_are_meant(one, other):
    assert set(meant_words(one)) == set(meant_words(other))


def test_stems_keep_two_letters():
    assert stem("כיתות") == stem("כיתה")
    assert stem("ים") == "ימ"
    assert len(stem("ות")) == 2


def test_a_short_form_is_any_word_that_it_begins():
    assert header_score("stat_area", "אזור סטט'")[0] > 0.9
    assert header_score("pupils", "מס' תל'")[0] > 0.85
    assert header_score("score_sd", 'ס"ת')[0] >= 0.7


def test_a_share_is_no_count_and_a_day_no_number():
    count, share = (header_score("tested_pupils", header)[0] for header in ("נבחנים", "% נבחנים"))
    assert share < count / 1.5
    assert header_score("started_on", "מועד התחלה")[0] > 0.9
    assert header_score("score", "תאריך ציון")[0] < 0.5


def test_what_no_source_asks_for_speaks_for_none():
    assert is_aside("טלפון בית הספר")
    assert is_aside("שם ביה״ס")
    assert not is_aside("מדד טיפוח")


def test_a_title_names_its_source():
    assert speaks_of("attendance__exits", 'תלמידים גורעים תשפ"ו')
    assert speaks_of("finance__parents_payments", "כספי הורים לפי תוכנית")
    assert not speaks_of("attendance__exits", "סקר אקלים")
