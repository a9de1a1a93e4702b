"""The lists of schools and responses in a browser: sort, filter and search, and without scripts."""

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(published, browser):
    def open_(name, **options):
        page = browser.new_page(viewport={"width": 1280, "height": 800}, **options)
        page.faults = []
        page.on("console", lambda said: page.faults.append(said.text))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto((published.current / "committee" / name).resolve().as_uri())
        return page

    return open_


def names(page):
    return page.eval_on_selector_all(
        "table.list tbody tr",
        "rows => rows.filter(row => !row.hidden).map(row => row.dataset.name)",
    )


def values(page, key):
    return page.eval_on_selector_all(
        "table.list tbody tr", f"rows => rows.map(row => row.dataset.{key})"
    )


def test_a_list_is_sorted_by_mouse_and_by_keyboard(opened):
    page = opened("schools.html")
    by_name = names(page)
    page.get_by_role("button", name="בתוכנית").click()
    money = [int(value) for value in values(page, "money")]
    assert money == sorted(money, reverse=True)
    assert names(page) != by_name
    page.get_by_role("button", name="בית ספר").focus()
    page.keyboard.press("Enter")
    assert names(page) == by_name
    page.get_by_role("button", name="השינוי").press("Space")
    change = [int(value) for value in values(page, "change") if value]
    assert change == sorted(change, reverse=True)
    head = page.locator('th[data-sort="change"]')
    assert head.get_attribute("aria-sort") == "descending"
    assert page.faults == []


def test_a_list_is_filtered_and_searched(opened):
    page = opened("schools.html")
    every = names(page)
    page.get_by_label("חיפוש").fill(every[0])
    assert names(page) == [every[0]]
    assert f"מוצגים 1 מתוך {len(every)}" in page.inner_text("form.controls")
    page.get_by_label("חיפוש").fill("")
    tier = values(page, "tier")[0]
    page.get_by_label("דרגת צורך").select_option(tier)
    assert len(names(page)) == values(page, "tier").count(tier) < len(every)
    page.get_by_label("דרגת צורך").select_option("")
    assert names(page) == every
    assert page.faults == []


def test_responses_are_sorted_and_filtered_too(opened):
    page = opened("responses.html")
    every = names(page)
    page.get_by_role("button", name="בתוכנית").click()
    money = [int(value) for value in values(page, "money") if value]
    assert money == sorted(money, reverse=True)
    assert values(page, "money")[-1] == ""  # what is not planned comes last
    page.get_by_label("סוג").select_option("under_achievers")
    assert 0 < len(names(page)) < len(every)
    assert page.faults == []


def test_without_scripts_the_table_stands(opened):
    page = opened("schools.html", java_script_enabled=False)
    assert page.locator("table.list tbody tr").count() >= 6
    assert page.locator("form.controls").is_hidden()
    assert page.locator("table.list th button").count() == 0
