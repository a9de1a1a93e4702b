"""What a lottery of a response's places needs: the registered seed and the entrants (R63)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipelines.settings.fields import ROW
from pipelines.settings.mapping import SourceMapping
from pipelines.settings.yaml_files import CityError
from pipelines.sources.admission import same_id
from pipelines.sources.tabular import TOTAL, clean_text, read_content
from pipelines.sources.workbook import UnreadableError

_SHOWN = 5


def registered_seed(marts: Path, response_id: str) -> int:
    """Return the seed that the current release names for a lottery of the response.

    Raises:
        CityError: nothing is published, or the release has no lottery for the response.
    """
    release = marts / "current" / "analyst"
    paths = [release / f"{name}.parquet" for name in ("mart_evaluation", "mart_allocation_tie")]
    if missing := [path for path in paths if not path.is_file()]:
        raise CityError(
            f"{missing[0]}: nothing is published there yet; run `make run` first.",
            f"{missing[0]}: טרם פורסם דבר; יש להריץ תחילה `make run`.",
        )
    proposed = (
        pl.concat([pl.read_parquet(path).select("response_id", "lottery_seed") for path in paths])
        .drop_nulls()
        .unique()
    )
    own = proposed.filter(pl.col("response_id") == response_id)
    if own.is_empty():
        known = ", ".join(proposed["response_id"].sort()) or "none"
        raise CityError(
            f"The release proposes no lottery for '{response_id}', so there is no registered seed;"
            f" it does for: {known}.",
            f"בפרסום אין הגרלה עבור '{response_id}', ולכן אין לה זרע רשום; יש עבור: {known}.",
        )
    return int(own["lottery_seed"][0])


def entrants_of(path: Path, by: list[str]) -> pl.DataFrame:
    """Return the list of entrants, every value as text, read as the files of a city are.

    Nobody may have two chances, or none: what is no entrant is named by its row; no id is shown.

    Raises:
        CityError: it cannot be read, lacks a column, or has rows that are broken, of totals,
            without an id or a stratum, or of a child that stands there in another spelling.
    """
    mapping: dict[str, object] = {
        "file": path.name,
        "format": "xlsx" if path.suffix.lower() == ".xlsx" else "csv",
        "columns": {},
    }
    try:
        read = read_content(path.read_bytes(), SourceMapping.model_validate(mapping))
    except UnreadableError as error:
        raise CityError(f"{path}: {error}.", f"{path}: {error.he}.") from None
    except Exception:  # whatever the format's reader raises; its message may hold an id
        raise CityError(
            f"{path}: cannot be read as CSV or Excel (xlsx), with a header in the first row.",
            f"{path}: לא ניתן לקרוא את הקובץ; נדרש CSV או Excel (xlsx) עם כותרות בשורה הראשונה.",
        ) from None
    wanted = ["unit", *by]
    if missing := sorted(set(wanted) - set(read.rows.columns)):
        raise CityError(
            f"{path}: column(s) {', '.join(missing)} are missing from the header.",
            f"{path}: העמודות {', '.join(missing)} חסרות בכותרת.",
        )
    rows = read.rows.select(*wanted, ROW).with_columns(
        pl.col(wanted).map_elements(clean_text, return_dtype=pl.String).replace("", None)
    )
    same = rows["unit"].map_elements(same_id, return_dtype=pl.String)
    total = pl.any_horizontal(pl.col(wanted).str.to_lowercase().str.contains(TOTAL))
    faults = (
        (list(read.broken), "does not fit the header", "אינה מתאימה לכותרת"),
        (rows.filter(total)[ROW], "is one of totals", "היא שורת סיכום"),
        (
            rows.filter(pl.any_horizontal(pl.col(wanted).is_null()))[ROW],
            "has no id, or no value of a column that makes strata",
            "היא בלי מזהה, או בלי ערך בעמודת החלוקה",
        ),
        (
            rows.filter(same.is_duplicated() & same.is_not_null())[ROW],
            "names a child that another row names too, perhaps spelt otherwise: every entrant needs"
            " an id of its own",
            "מציינת ילד/ה שגם שורה אחרת מציינת, אולי בכתיב אחר: לכל משתתף דרוש מזהה משלו",
        ),
    )
    for found, en, he in faults:
        if shown := ", ".join(map(str, found[:_SHOWN])):
            more = " …" if len(found) > _SHOWN else ""
            raise CityError(f"{path}: row {shown}{more} {en}.", f"{path}: שורה {shown}{more} {he}.")
    return rows.drop(ROW)
