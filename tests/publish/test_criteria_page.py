"""The criteria page: what is wrong with each criterion, fairness by group, the schools' methods;
small groups hidden.
"""

import re
from datetime import date

import polars as pl
import pytest

from pipelines.publish.pages.base import ReportContext
from pipelines.publish.pages.criteria import render_criteria
from pipelines.publish.suppression import Thresholds, gate, suppress
from pipelines.warehouse.tables import nothing

CONTEXT = ReportContext("עיר", False, 2026, 2027, "הכול", "נתונים", ())


def table(name, *rows):
    shape = nothing(name)
    return pl.DataFrame(
        [dict.fromkeys(shape.columns) | row for row in rows], schema=shape.schema, orient="row"
    )


CRITERION = {
    "criterion_id": "amirim",
    "criterion_version": 2,
    "criterion_name_he": "איתור לאמירים",
    "criteria_field": "excellence",
    "criterion_scope": "authority",
    "identification_method": "grades",
    "measure_id": "absence_pct",
    "threshold": 12.5,
    "threshold_side": "at_least",
    "criterion_owner": "מחלקת מחוננים",
    "valid_from": date(2024, 9, 1),
    "is_current_version": True,
}
GROUP = {
    "criterion_id": "amirim",
    "criterion_version": 2,
    "pupils": 200,
    "identified_pupils": 20,
    "identified_pct": 10.0,
    "identified_lo_pct": 7.0,
    "identified_hi_pct": 14.0,
    "expected_pupils": 31.5,
    "fairness_ratio": 0.63,
    "fairness_lo": 0.5,
    "fairness_hi": 0.8,
    "is_unfair": True,
}


@pytest.fixture
def tables():
    return {
        "mart_criterion": table(
            "mart_criterion",
            CRITERION,
            CRITERION
            | {
                "criterion_version": 1,
                "valid_to": date(2024, 8, 31),
                "threshold": 17.5,
                "is_current_version": False,
            },
            CRITERION
            | {
                "criterion_id": "sport",
                "criteria_field": "sport",
                "measure_id": None,
                "threshold": None,
                "criterion_owner": None,
            },
        ),
        "mart_criterion_lint": table(
            "mart_criterion_lint",
            {
                "criteria_field": "sport",
                "criterion_id": "sport",
                "criterion_version": 2,
                "finding_code": "no_owner",
                "finding_he": "לקריטריון אין בעלים",
                "finding_en": "x",
            },
        ),
        "mart_criterion_fairness": table(
            "mart_criterion_fairness",
            GROUP | {"group_id": "weak"},
            GROUP
            | {
                "group_id": "new",
                "identified_pupils": 3,
                "identified_pct": 1.5,
                "fairness_ratio": 0.77,
                "is_unfair": False,
            },
        ),
        "mart_group": table(
            "mart_group",
            {"group_id": "weak", "group_name_he": "עשירונים חלשים", "group_dimension": "nurture"},
            {"group_id": "new", "group_name_he": "עולים", "group_dimension": "immigrant"},
        ),
        "mart_identification_method": table(
            "mart_identification_method",
            {
                "semel_mosad": "900001",
                "criteria_field": "art",
                "identification_method": "portfolio",
                "method_entropy": 0.5,
            },
            {
                "semel_mosad": "900002",
                "criteria_field": "art",
                "identification_method": "test",
                "method_entropy": 0.5,
            },
        ),
        "mart_gap_school": table(
            "mart_gap_school",
            {"semel_mosad": "900001", "school_name_he": "אלון"},
            {"semel_mosad": "900002", "school_name_he": "ברוש"},
        ),
    }


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.split("</style>")[1]))


def row_of(html, start):
    return text_of(
        "</style>" + next(row for row in html.split("<tr>") if start in row.split("</th>")[0])
    )


def test_each_criterion_says_what_it_is_and_what_it_lacks(tables):
    html = render_criteria(tables, CONTEXT)
    whole = row_of(html, "מצוינות")
    for words in ("איתור לאמירים", "ציונים", "לפחות 12.5", "מחלקת מחוננים", "1.9.2024", "✓ שלם"):
        assert words in re.sub(r" +", " ", whole)
    assert "לקריטריון אין בעלים" in row_of(html, "ספורט")
    assert "אין קריטריון בתחום זה" in row_of(html, "מעורבות חברתית")


def test_fairness_has_n_interval_ratio_and_flag_and_hides_the_few(tables):
    shown = suppress(tables, "committee", Thresholds(10, 5))
    gate(shown, "committee", Thresholds(10, 5))
    html = render_criteria(shown, CONTEXT)
    weak = row_of(html, "עשירונים חלשים").split()
    for word in ("200", "20", "10%", "7%", "14%", "31.5", "0.63", "0.50", "0.80", "⚑"):
        assert word in weak
    few = row_of(html, "עולים")
    assert "מעט תלמידים" in few
    assert not {"3", "1.5%", "0.77"} & set(few.split())


def test_the_methods_are_a_matrix_with_their_spread(tables):
    html = render_criteria(tables, CONTEXT)
    heads = html.split("בית ספר × שיטת איתור</caption>")[1].split("</thead>")[0]
    assert re.findall(r">([^<]+)</th>", heads) == ["בית ספר", "מבחן", "תיק עבודות"]
    assert re.findall(r"<td>(✓?)</td>", html.split(">אלון<")[1].split("</tr>")[0]) == ["", "✓"]
    assert re.findall(r"<td>(✓?)</td>", html.split(">ברוש<")[1].split("</tr>")[0]) == ["✓", ""]
    assert "0.50" in html
