"""Build a release for each audience, and audit what was really written."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastexcel
import polars as pl

from pipelines.publish.audiences import (
    Reader,
    check_reader,
    schools_of,
    tables_for,
    tables_for_each,
)
from pipelines.publish.disclosure import Told, left_beside, read, together
from pipelines.publish.drawings import Drawings
from pipelines.publish.marts import (
    write_marts,
)
from pipelines.publish.pages.base import ReportContext
from pipelines.publish.pages.first.schools import render_each_alone
from pipelines.publish.remembered import Remembered
from pipelines.publish.site import OUTSIDE, audit_pages, draw, expect
from pipelines.publish.suppression import (
    PrivacyError,
    Thresholds,
    gate,
    intrude,
    protect_each,
    suppress,
)
from pipelines.publish.told import Written
from pipelines.publish.workbook import (
    COVER,
    WORKBOOK,
    Asked,
    tables_of_book,
    written_beside,
)
from pipelines.settings.audiences import WHOLE, AudienceName, is_open
from pipelines.settings.fields import dictionary
from pipelines.settings.keys import AGOROT, MUNICIPAL
from pipelines.settings.scenario_files import BASE

Tables = Mapping[str, pl.DataFrame]
OWN_PAGE = "index.html"
"""The page of a school that stands alone in the school's folder."""
WITH_PAGE: AudienceName = "principals"
"""Who gets it: whoever answers for the school, and so may read all of it (R76)."""
_CELL = re.compile(r'data-cell="([^"]*)"')


def build_release(
    folder: Path,
    tables: Mapping[str, pl.DataFrame],
    context: ReportContext,
    readers: Sequence[Reader],
    before: Mapping[Thresholds, Sequence[Told]] | None = None,
    safe: set[bytes] | None = None,
    remembered: Remembered | None = None,
) -> None:
    """Write `<folder>/<audience>`: marts, workbook and pages, small cells removed.

    Analysts and the committee get all pages, those outside the administration pages of their own
    tables (`OUTSIDE`); an audience of schools gets a folder a school, and in it the workbook of
    that school, principals its page too.

    Args:
        folder: of the release, being built.
        tables: the marts.
        context: what pages say of the city.
        readers: the audiences, analysts first.
        before: what earlier releases told the audiences of the same thresholds, the last one first.
        safe: marks of what the intruder has found nothing in (`models.privacy.attack`); new ones
            are added.
        remembered: what publishing has made before, if it may be used.

    Raises:
        PrivacyError: if a table may not be published.
    """
    with written_beside(remembered) as write_books, ThreadPoolExecutor(1) as beside:
        asked = [reader.thresholds for reader in readers]
        protected = protect_each(tables, asked, before, safe, remembered)
        whole: dict[AudienceName, Mapping[str, pl.DataFrame]] = {}
        alike: dict[tuple[bool, Thresholds], Mapping[str, pl.DataFrame]] = {}
        books: list[Asked] = []
        for reader in readers:
            # What is suppressed depends on the thresholds, and on who may see internal columns.
            kind = reader.name == "analyst", reader.thresholds
            if kind not in alike:
                alike[kind] = suppress(tables, reader.name, kind[1], protected[kind[1]])
            shown, place = alike[kind], folder / reader.name
            place.mkdir(parents=True)
            if reader.may.schools == "own":
                pages = render_each_alone(shown, context) if reader.name == WITH_PAGE else {}
                for school, own in tables_for_each(reader, shown, schools_of(tables)).items():
                    (place / school).mkdir()
                    if school in pages:
                        (place / school / OWN_PAGE).write_text(pages[school], encoding="utf-8")
                    books.append((place / school / WORKBOOK, own, context))
            else:
                whole[reader.name] = tables_for(reader, shown)
                held = tables_of_book(reader.name, whole[reader.name])
                books.append((place / WORKBOOK, held, context))
        write_books(books)
        # Databases and files are written by libraries that need nothing of Python meanwhile.
        written = [beside.submit(write_marts, folder / name, own) for name, own in whole.items()]
        drawings = Drawings(context, remembered)
        for name, own_tables in whole.items():
            draw(folder / name, own_tables, drawings)
        for one in written:
            one.result()


def audit_release(
    folder: Path,
    context: ReportContext,
    readers: Sequence[Reader],
    marts: Mapping[str, pl.DataFrame],
    before: Mapping[Thresholds, Sequence[Told]] | None = None,
    safe: set[bytes] | None = None,
) -> None:
    """Open what was written and refuse it if it is not whole, not private or does not add up.

    Args:
        folder: of the release, as `build_release` wrote it.
        context, readers, before, safe: as there. What is written is read back, and a block that is
            as it was when it was protected is not attacked a second time.
        marts: what it was written from; the intruder is judged by it.

    Raises:
        PrivacyError: if a published cell breaks the suppression rule, an intruder finds one that is
            hidden, or an audience sees what is not for it.
        AuditError: naming the audience, the file and what is wrong.
    """
    audit_pages(folder, context)
    written = Written(folder, marts)
    intrude_each(folder, readers, marts, before, written, safe)
    for reader in readers:
        place = folder / reader.name
        if reader.may.schools == "own":
            _audit_schools(reader, written)
            continue
        tables = written.tables(reader.name)
        gate(tables, reader.name, reader.thresholds)
        check_reader(reader, tables)
        if reader.name in OUTSIDE:
            _audit_outside(place, reader, tables)
        _audit_parquet(place, tables)
        held = tables_of_book(reader.name, tables)
        _audit_sheets(place / WORKBOOK, held)
        if reader.name in WHOLE:
            _audit_money(place, tables)
            _audit_scenarios(place, tables)
            _audit_total(place / WORKBOOK, held)
        if "mart_data_quality" in tables:
            bad = tables["mart_data_quality"].filter(pl.col("is_blocking") & ~pl.col("is_passed"))
            expect(
                bad.is_empty(),
                place,
                f"blocking checks failed: {bad.select('table_name', 'check_id').rows()[:5]}",
            )


def intrude_each(
    folder: Path,
    readers: Sequence[Reader],
    marts: Mapping[str, pl.DataFrame],
    before: Mapping[Thresholds, Sequence[Told]] | None = None,
    written: Written | None = None,
    safe: set[bytes] | None = None,
) -> None:
    """Attack what each audience was told, and all of them together by the smallest thresholds.

    Of an audience of schools all folders are attacked together. Who is told a part of what was
    attacked knows no more than who was told the whole.

    Args:
        folder, readers, marts, before, safe: as in `audit_release`.
        written: the same release, where more is read of it.

    Raises:
        PrivacyError: naming the audience and what is counted.
    """
    written = written or Written(folder, marts)
    before, attacked = before or {}, list[tuple[Thresholds, Told]]()

    def attack(name: str, told: Told, thresholds: Thresholds, then: Sequence[Told]) -> None:
        if any(of == thresholds and told.is_part_of(whole) for of, whole in attacked):
            return
        try:
            intrude(told, thresholds, then, safe)
        except PrivacyError as error:
            raise PrivacyError(f"{name}: {error}") from None
        attacked.append((thresholds, told))

    every: list[Told] = []
    for reader in readers:
        is_of_schools = reader.may.schools == "own"
        look = written.told_to_schools if is_of_schools else written.tables
        tables = look(reader.name)
        if left := left_beside(marts, tables):
            raise PrivacyError(
                f"not published: {reader.name} would read hidden counts off {', '.join(left)}"
            )
        told = read(marts, tables, reader.thresholds.count_pupils)
        attack(reader.name, told, reader.thresholds, before.get(reader.thresholds, ()))
        every.append(told)
    if len({reader.thresholds for reader in readers}) > 1:
        least = min((r.thresholds for r in readers), key=lambda one: one.count_pupils)
        (told,) = together([one] for one in every)
        attack("all audiences together", told, least, together(before.values()))


def _audit_schools(reader: Reader, written: Written) -> None:
    """Look into the workbook and the page of each school for what is not of it.

    Raises:
        PrivacyError, AuditError: as `audit_release`.
    """
    schools, place = schools_of(written.marts), written.folder / reader.name
    found = {path.name for path in place.iterdir()}
    expect(found == set(schools), place, f"schools and folders differ: {sorted(found)[:5]}")
    for school in schools:
        tables = written.sheets(reader.name, school)
        check_reader(reader, tables, school)
        gate(tables, reader.name, reader.thresholds)
        if reader.name != WITH_PAGE:
            continue
        page = place / school / OWN_PAGE
        expect(page.is_file(), page, "is missing")
        told = _closed_cells(page.read_text(encoding="utf-8"), school)
        if told:
            raise PrivacyError(f"not published: {page} tells of other schools: {told[:3]}")


def _audit_outside(place: Path, reader: Reader, tables: Mapping[str, pl.DataFrame]) -> None:
    """Refuse pages with a cell that the audience's own tables do not hold, or that is closed to it.

    Raises:
        PrivacyError: naming the page and the cells.
        AuditError: if there is no first page.
    """
    expect((place / OWN_PAGE).is_file(), place / OWN_PAGE, "is missing")
    for path in sorted(place.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        cells = [cell.split("/") for cell in map(html.unescape, _CELL.findall(text))]
        foreign = [
            "/".join(cell)
            for cell in cells
            if cell[0] not in tables or cell[-1] not in tables[cell[0]].columns
        ]
        if reader.may.schools != "every":
            foreign += _closed_cells(text, "")
        if foreign:
            raise PrivacyError(f"not published: {path} tells what is not for it: {foreign[:3]}")


def _closed_cells(text: str, school: str) -> list[str]:
    """Return the addresses on a page of cells of other schools that are no money, tier or word."""
    cells = map(html.unescape, _CELL.findall(text))
    return [
        cell
        for cell in cells
        if not is_open(cell.rpartition("/")[2])
        and {*re.findall(r"(?:semel_mosad\w*|place|plan_row_id)=([0-9]{6,7})", cell)} - {school}
    ]


def _audit_parquet(place: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    files = {path.stem for path in place.glob("*.parquet")}
    expect(
        files == set(tables),
        place,
        f"Parquet files and database differ: {sorted(files ^ set(tables))}",
    )
    for name, frame in tables.items():
        same = pl.read_parquet(place / f"{name}.parquet").equals(frame)
        expect(same, place / f"{name}.parquet", "differs from the same table in the database")
        expect(
            not frame.select(dictionary().tables[name].key).is_duplicated().any(),
            place / name,
            "has a key twice",
        )


def _audit_money(place: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Every way of adding up the plan's money gives the same sum, to the agora."""
    plan, money = tables["mart_allocation"], tables["mart_allocation_money"]
    of_city, of_city_own = (
        tables["mart_city_service"].select(pl.col("cost_agorot", "municipal_agorot").sum()).row(0)
    )
    certificate = tables["mart_allocation_certificate"].row(0, named=True)
    by_channel = tables["mart_city_service_money"]["amount_agorot"]
    sums = {
        "lines": int(plan["cost_agorot"].sum()) + of_city,
        "lines by channel": int(money["amount_agorot"].sum()) + int(by_channel.sum()),
        "states": tables["mart_allocation_confirmation"]["allocated_agorot"].sum(),
        "schools": int(tables["mart_allocation_school"]["cost_agorot"].sum()) + of_city,
        "channels": tables["mart_allocation_channel"]["allocated_agorot"].sum(),
        "certificate": certificate["cost_agorot"],
    }
    expect(len(set(sums.values())) == 1, place, f"totals differ: {sums}")
    in_force = {
        name: int(tables[name][column].sum())
        for name, column in (
            ("mart_plan_line", "cost_agorot"),
            ("mart_plan_money", "amount_agorot"),
            ("mart_work_plan", "cost_agorot"),
        )
    }
    expect(len({*in_force.values()}) == 1, place, f"the plan in force differs: {in_force}")
    is_draft = not tables["mart_plan_line"]["is_decided"].any()
    expect(
        not is_draft or in_force["mart_plan_line"] == certificate["cost_agorot"],
        place,
        "the draft is not the plan of the certificate",
    )
    own = money.filter(pl.col("funding_channel") == MUNICIPAL)["amount_agorot"]
    municipal = {
        int(plan["municipal_agorot"].sum()) + of_city_own,
        int(tables["mart_allocation_school"]["municipal_agorot"].sum()) + of_city_own,
        int(own.sum()) + of_city_own,
        certificate["municipal_agorot"],
    }
    expect(len(municipal) == 1, place, f"municipal totals differ: {sorted(municipal)}")
    expect(
        bool(tables["mart_allocation_rule"]["is_satisfied"].drop_nulls().all()),
        place,
        "a rule of the allocation is broken",
    )


def _audit_scenarios(place: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """The first scenario is the plan, and the parts of each add up to its money, to the agora."""
    totals = (
        tables["mart_scenario"]
        .drop_nulls("cost_agorot")
        .select("scenario_id", "cost_agorot", "municipal_agorot")
    )
    whole = {row[0]: row[1:] for row in totals.iter_rows()}
    certificate = tables["mart_allocation_certificate"].row(0, named=True)
    base = (certificate["cost_agorot"], certificate["municipal_agorot"])
    expect(whole[BASE] == base, place, "the scenario of the plan is not the plan")
    money = pl.col("cost_agorot", "municipal_agorot").sum()
    summed = tables["mart_scenario_response"].group_by("scenario_id").agg(money)
    parts = {row[0]: row[1:] for row in summed.iter_rows()}
    expect(parts == whole, place, "the responses of scenarios do not add up to their money")
    of_schools = (
        tables["mart_scenario_school"]
        .group_by("scenario_id")
        .agg(pl.col("cost_agorot").sum())
        .join(
            tables["mart_scenario"].select("scenario_id", "city_services_agorot"), on="scenario_id"
        )
        .select("scenario_id", pl.col("cost_agorot") + pl.col("city_services_agorot"))
    )
    expect(
        dict(of_schools.iter_rows()) == {name: row[0] for name, row in whole.items()},
        place,
        "schools and services of scenarios do not add up to their money",
    )


def _audit_sheets(path: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    sheets = {title for name, title in dictionary().sheets.items() if name in tables}
    names = fastexcel.read_excel(path).sheet_names
    expect(set(names) == {COVER, *sheets}, path, "lacks a sheet")


def _audit_total(path: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Reopen the workbook and compare the plan's sheet with the mart."""
    sheet = (
        fastexcel.read_excel(path)
        .load_sheet(dictionary().sheets["mart_allocation_school"])
        .to_polars()
    )
    costs = sheet[:, tables["mart_allocation_school"].columns.index("cost_agorot")].cast(pl.Float64)
    total = tables["mart_allocation_school"]["cost_agorot"].sum()
    expect(
        round(costs[:-1].sum() * AGOROT) == total == round(costs[-1] * AGOROT),
        path,
        "the total is not the sum",
    )
