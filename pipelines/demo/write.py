"""Write the demonstration city as a folder: its files, its truth, its two YAML files.

Everything written is synthetic. The folder is built aside and renamed into place, so that an
interrupted run leaves nothing half-made; the same arguments give the same bytes.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from string import Template

import polars as pl
import xlsxwriter
import yaml

from models.demo import Layout, SyntheticCity
from models.demo.forecast import FORECAST
from models.demo.year import OF_YEAR, play
from pipelines.settings.archive import FOLDER as DECIDED
from pipelines.settings.archive import LINES, MONEY, read_archives
from pipelines.settings.scenario_files import FOLDER as SCENARIOS

TEMPLATES = Path(__file__).parent
_FILES, _TRUTH, _YAML = "files", "truth", ("city.yaml", "policy.yaml")
TOTAL = 'סה"כ'
_CREATED = datetime(2026, 1, 1)  # a fixed date: a clock would change the bytes of each run


def write_city(city: SyntheticCity, folder: Path, templates: Path = TEMPLATES) -> None:
    """Write a generated city to a folder, replacing a generated city that is there.

    Args:
        city: what to write.
        folder: gets `files/` (CSV and XLSX), `truth/` (Parquet), `city.yaml`, `policy.yaml` and
            `scenarios/`.
        templates: folder of the two YAML templates (`string.Template`) with the placeholders
            `$expected`, `$years_first`, `$years_last`, `$years_after_first`, `$not_reporting`,
            `$profile`, `$seed`.

    Raises:
        FileExistsError: if the folder holds something that is no generated city.
        FileNotFoundError: if a template is missing.
        ValueError: if a template has a placeholder that is not known.
    """
    if folder.exists() and not _may_replace(folder):
        raise FileExistsError(
            f"{folder} exists and is not a generated city; nothing was written. "
            "Choose another folder, or move this one away."
        )
    texts = _fill_templates(city, templates)
    scenarios = sorted((templates / SCENARIOS).glob("*.yaml"))
    if FORECAST in city.files:
        added = (TEMPLATES / "forecast.yaml").read_text(encoding="utf-8")
        texts["city.yaml"] = f"{texts['city.yaml'].rstrip()}\n\n{added}"
    if city.layouts or city.absent:
        texts["city.yaml"] = _fit_mapping(texts["city.yaml"], city)
    partial, old = (folder.with_name(f".{folder.name}.{word}") for word in ("partial", "old"))
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        for part in (_FILES, _TRUTH):
            (partial / part).mkdir(parents=True)
        for name, frame in city.files.items():
            _write_file(frame, partial / _FILES / name, city.layouts.get(name, Layout()))
        for name, frame in city.truth.items():
            frame.write_parquet(partial / _TRUTH / f"{name}.parquet")
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        (partial / SCENARIOS).mkdir()
        for path in scenarios:
            shutil.copyfile(path, partial / SCENARIOS / path.name)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def write_year(folder: Path, months: int, *, seed: int = 1) -> pl.DataFrame:
    """Let a generated city live some months of the plan that was last decided on.

    Writes reports, payments, tickets, recipients and receipts as files of their own and the
    principals' letters below those that are there, maps the files in `city.yaml`, and keeps what
    was planted in `truth/`.

    Args:
        folder: of the city, with an archived decision.
        months: of the ten of a school year, from September on.
        seed: of the random stream.

    Returns:
        What was planted: alert_kind, on.

    Raises:
        FileNotFoundError: if nothing was decided yet.
    """
    decided = read_archives(folder)
    if not decided:
        raise FileNotFoundError(
            f"{folder / DECIDED}: nothing is decided yet; decide on a plan first"
        )
    last = decided[-1]
    files = folder / _FILES
    letters = files / "confirmations.csv"
    before = pl.read_csv(letters, infer_schema=False).filter(
        ~pl.col("letter").str.starts_with(OF_YEAR)
    )
    lived = play(
        pl.read_parquet(last.folder / LINES),
        pl.read_parquet(last.folder / MONEY),
        before,
        last.record.cycle,
        last.record.release,
        months=months,
        seed=seed,
    )
    written = {
        "plan_status": lived.status,
        "ledger": lived.ledger,
        "tickets": lived.tickets,
        "recipients": lived.recipients,
        "receipts": lived.receipts,
    }
    for name, frame in written.items():
        frame.write_csv(files / f"{name}.csv")
    both = [before, lived.letters.select(pl.all().cast(pl.String))]
    pl.concat(both, how="diagonal").write_csv(letters)
    settings = folder / "city.yaml"
    mapped = settings.read_text(encoding="utf-8")
    if "act__plan_status" not in mapped:
        settings.write_text(
            f"{mapped.rstrip()}\n\n{(TEMPLATES / 'year.yaml').read_text(encoding='utf-8')}",
            encoding="utf-8",
        )
    lived.truth.write_parquet(folder / _TRUTH / "true_alert.parquet")
    lived.true_ticket.write_parquet(folder / _TRUTH / "true_ticket.parquet")
    return lived.truth


def _may_replace(folder: Path) -> bool:
    """Whether a folder is empty or a city that this module wrote."""
    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir()}
    # What was decided on it is kept, and with it the city it was decided on.
    return not names or ({_FILES, _TRUTH, *_YAML} <= names and DECIDED not in names)


def _fill_templates(city: SyntheticCity, templates: Path) -> dict[str, str]:
    values = {
        "expected": "{" + ", ".join(f"{key}: {n}" for key, n in city.expected.items()) + "}",
        "years_first": city.years[0],
        "years_last": city.years[-1],
        "years_after_first": ", ".join(map(str, city.years[1:])),
        "not_reporting": _not_reporting(city),
        "profile": city.profile,
        "seed": city.seed,
    }
    texts = {}
    for name in _YAML:
        path = templates / name
        if not path.is_file():
            raise FileNotFoundError(f"template {path} is missing; restore it from the repository")
        try:
            texts[name] = Template(path.read_text(encoding="utf-8")).substitute(values)
        except (KeyError, ValueError) as error:
            known = ", ".join(f"${key}" for key in values)
            raise ValueError(
                f"template {path}: placeholder {error} is not known; known are {known}, "
                "and a plain dollar sign is written $$"
            ) from None
    return texts


def _not_reporting(city: SyntheticCity) -> str:
    """Return the option that declares the school which never reports tests, if the city has it."""
    codes = city.truth["true_silent"]["semel_mosad"].to_list()
    declared = ", ".join(f"'{code}': never reports its tests" for code in codes)
    return f"    not_reporting: {{{declared}}}\n" if codes else ""


def _write_file(frame: pl.DataFrame, path: Path, layout: Layout) -> None:
    if path.suffix == ".xlsx":
        _write_workbook(frame, path, layout)
        return
    lines = ["דוח העירייה", *[""] * (layout.header_row - 2)] if layout.header_row > 1 else []
    lines.append(frame.write_csv(separator=layout.delimiter).rstrip("\n"))
    if layout.has_total:
        lines.append(layout.delimiter.join([TOTAL, *[""] * (frame.width - 1)]))
    content = ("\n".join(lines) + "\n").encode(layout.encoding)
    path.write_bytes(content[: round(len(content) * layout.kept_share)])


def _write_workbook(frame: pl.DataFrame, path: Path, layout: Layout) -> None:
    workbook = xlsxwriter.Workbook(path, {"in_memory": True})
    workbook.set_properties({"created": _CREATED})
    sheet = workbook.add_worksheet("נתונים")
    sheet.right_to_left()
    if layout.header_row > 1:
        sheet.merge_range(0, 0, 0, frame.width - 1, "דוח העירייה")
    total = [(TOTAL,)] if layout.has_total else []
    rows = [frame.columns, *frame.rows(), *total]
    for number, row in enumerate(rows, start=layout.header_row - 1):
        for column, value in enumerate(row):
            # Codes are text and must stay text: leading zeros survive only then.
            write = sheet.write_string if isinstance(value, str) else sheet.write
            write(number, column, value)
    workbook.close()


def _fit_mapping(text: str, city: SyntheticCity) -> str:
    """Map files of another layout by a mapping of their own, and leave out years that did not
    come.
    """
    settings = yaml.safe_load(text)
    first, last = settings["school_years"]["first"], settings["school_years"]["last"]
    every = list(range(first, last + 1))
    for source_id, mapping in settings["sources"].items():
        names = {mapping["file"].replace("{school_year}", str(year)): year for year in every}
        gone = [names[name] for name in city.absent if name in names]
        apart = {
            names[name]: layout.header_row
            for name, layout in city.layouts.items()
            if name in names and layout.header_row > 1
        }
        if gone or apart:
            held = [year for year in mapping.get("years", every) if year not in gone]
            plain = mapping | {"years": [year for year in held if year not in apart]}
            others = [mapping | {"years": [y], "header_row": row} for y, row in apart.items()]
            settings["sources"][source_id] = [plain, *others]
    return yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
