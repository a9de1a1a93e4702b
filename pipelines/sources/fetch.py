"""Bring the open national files of a city from the government's open-data portal.

The portal (data.gov.il) is a CKAN site: `package_show` says where a resource's file is. The file is
downloaded to `<name>.part`, checked, and only then moved into `<city>/files`. Nothing but the
portal is ever contacted. A cut download is resumed where it stopped; a file that has not changed is
not downloaded again. Next to each file, `<name>.source.json` says what was fetched and from where.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    wait_exponential,
)

T = TypeVar("T")

DATA_GOV_IL = "https://data.gov.il"
# The portal refuses clients that do not carry this name; identity keeps lengths and bytes true.
HEADERS = {"User-Agent": "datagov-external-client tikkun", "Accept-Encoding": "identity"}
MAX_REDIRECTS = 5
TIMEOUT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 120.0
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
HASH_BY_HEX_DIGITS = {32: "md5", 40: "sha1", 64: "sha256"}


class FetchError(Exception):
    """A file could not be fetched; the message is one sentence: what, where, what to do.

    Attributes:
        he: the same in Hebrew, for a municipal user.
    """

    def __init__(self, en: str, he: str) -> None:
        super().__init__(en)
        self.he = he


class _BusyError(Exception):
    """The portal cannot answer just now; `wait_seconds` is what it asked for, if it did."""

    def __init__(self, reason: str, wait_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True)
class OpenFile:
    """A file the portal holds openly, and what must be true of it before it is accepted."""

    package: str
    resource_id: str
    file_name: str
    required_columns: tuple[str, ...]
    min_rows: int
    encoding: str


# Both tables are published whole; min_rows is a little under the published 21,307 and 3,043.
OPEN_FILES = (
    OpenFile(
        package="rama_meitzav",
        resource_id="b81f0760-2562-4a27-9db7-699542d071a0",  # הישגים בית ספרי
        file_name="school_results.csv",
        required_columns=("year", "semel_mosad", "shichva", "subject_id", "score"),
        min_rows=21_000,
        encoding="cp1255",
    ),
    OpenFile(
        package="rama_meitzav",
        resource_id="ff2364e2-bea7-4921-93a0-3eb924ecf36c",  # נתוני רקע על בתי הספר
        file_name="school_background_info.csv",
        required_columns=(
            "semel_mosad",
            "shem_mosad",
            "pikuach",
            "migzar",
            "rashut",
            "rashut_teur",
            "ses_mosad_cat_yh",
        ),
        min_rows=3_000,
        encoding="cp1255",
    ),
)

# What the city also needs and the portal does not hold: publisher and publication.
ELSEWHERE = {
    "budget_clean.csv": (
        'Ministry of Education, budget-transparency report by school (school_budget.xlsx), תשע"ה'
        " (2014/15)"
    ),
    "cbs_authority_education_panel_2013_2021.csv": (
        "Central Bureau of Statistics, Local Authorities in Israel (הרשויות המקומיות), 2013–2021"
    ),
    "stat_areas_2019_tidy.csv": (
        "Central Bureau of Statistics, socio-economic index 2019, table 12 (statistical areas)"
    ),
}


@dataclass(frozen=True)
class Portal:
    """The portal to fetch from, what to fetch, and how often to try.

    Waits between attempts double from one second, without jitter, unless the portal asks for a wait
    of its own (Retry-After) of at most two minutes.
    """

    base_url: str = DATA_GOV_IL
    files: tuple[OpenFile, ...] = OPEN_FILES
    attempts: int = 5
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Refuse an address that is not https, unless it is this computer's own."""
        base = _url(self.base_url)
        is_safe = base.scheme == "https" or (base.scheme == "http" and self.is_local)
        if not (base.host and is_safe):
            raise FetchError(
                f"The portal address {self.base_url!r} is not an https address; give one such as"
                f" {DATA_GOV_IL} in --portal or TIKKUN_PORTAL.",
                f"כתובת הפורטל {self.base_url!r} אינה כתובת https; יש לתת כתובת כמו {DATA_GOV_IL}"
                " ב--portal או ב-TIKKUN_PORTAL.",
            )

    @property
    def is_local(self) -> bool:
        """Whether the portal is a server on this computer."""
        return _url(self.base_url).host in ("127.0.0.1", "localhost", "::1")

    def holds(self, url: httpx.URL) -> bool:
        """Whether an address is on the portal's own host, or on a host under it."""
        base = _url(self.base_url)
        return url.scheme == base.scheme and f".{url.host}".endswith(f".{base.host}")


@dataclass(frozen=True)
class FetchedFile:
    """One open file in its place, and whether it had to be downloaded."""

    path: Path
    downloaded: bool


@dataclass(frozen=True)
class _Session:
    """What every request needs: the client, the portal, and whom to tell of a wait."""

    http: httpx.Client
    portal: Portal
    report: Callable[[str], None]

    def retrying(self, url: str, once: Callable[[], T]) -> T:
        """Call `once` until it succeeds, at most `portal.attempts` times.

        Raises:
            FetchError: if it never does, or the portal asks for too long a wait.
        """

        def is_last(state: RetryCallState) -> bool:
            is_too_long = state.upcoming_sleep > LONGEST_WAIT_SECONDS
            return is_too_long or state.attempt_number >= self.portal.attempts

        def tell(state: RetryCallState) -> None:
            self.report(f"{url}: {_reason(state)}; trying again in {state.upcoming_sleep:.0f} s")

        def give_up(state: RetryCallState) -> None:
            tried, reason = state.attempt_number, _reason(state)
            raise FetchError(
                f"{url} could not be fetched in {tried} attempts ({reason}); check the internet"
                " connection and run make fetch again later, and it will go on from where it"
                " stopped.",
                f"לא ניתן להוריד את {url} ב-{tried} ניסיונות ({reason}); יש לבדוק את החיבור"
                " לאינטרנט ולהריץ שוב make fetch מאוחר יותר, וההורדה תימשך מהמקום שבו נעצרה.",
            )

        attempts = Retrying(
            retry=retry_if_exception_type((httpx.TransportError, _BusyError)),
            wait=_wait,
            stop=is_last,
            sleep=self.portal.sleep,
            before_sleep=tell,
            retry_error_callback=give_up,
        )
        return attempts(once)

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Stream one GET, following redirects only while they stay on the portal.

        Raises:
            FetchError: if it leads off the portal, or the answer is none that can be used.
        """
        request = self.http.build_request(
            "GET", url, headers=HEADERS | dict(headers), timeout=TIMEOUT_SECONDS
        )
        for _ in range(MAX_REDIRECTS):
            if not self.portal.holds(request.url):
                raise FetchError(
                    f"{url} leads to {request.url}, which is not on the portal, so it was not"
                    f" contacted; open {url} in a browser and download the file by hand if you"
                    " trust it.",
                    f"{url} מפנה אל {request.url}, שאינה של הפורטל, ולכן לא בוצעה פנייה; יש לפתוח"
                    f" את {url} בדפדפן ולהוריד ידנית אם הכתובת אמינה.",
                )
            response = self.http.send(request, stream=True, follow_redirects=False)
            if response.next_request is None:
                break
            response.close()
            request = response.next_request
        with closing(response):
            status = response.status_code
            if status == 429 or status >= 500:
                wait = _asked_wait(response.headers)
                asks = "" if wait is None else f" and asks to wait {wait:.0f} s"
                raise _BusyError(f"it answered {status}{asks}", wait)
            if status not in (200, 206, 304, 416):
                raise FetchError(
                    f"{url} answered {status}; check in a browser that it is still published there,"
                    " and if it moved, correct OPEN_FILES in pipelines/sources/fetch.py.",
                    f"{url} החזיר {status}; יש לבדוק בדפדפן שהקובץ עדיין מתפרסם שם, ואם עבר לתקן"
                    " את OPEN_FILES בקובץ pipelines/sources/fetch.py.",
                )
            yield response


def fetch(
    city_folder: Path,
    portal: Portal,
    *,
    client: httpx.Client | None = None,
    report: Callable[[str], None],
) -> list[FetchedFile]:
    """Bring every file of `portal.files` into `<city_folder>/files`, byte for byte as published.

    Returns one FetchedFile per file, in order; `downloaded` is false for a file already current.
    `report` receives one line per file, then where to get the files the portal does not hold.

    Raises:
        FetchError: if a file cannot be had or is not what it should be; what is in place stays.
    """
    if not city_folder.is_dir():
        raise FetchError(
            f"There is no city folder at {city_folder}; create it or give another one in"
            " --city-folder.",
            f"אין תיקיית עיר ב-{city_folder}; יש ליצור אותה או לתת תיקייה אחרת ב--city-folder.",
        )
    folder = city_folder / "files"
    # A municipality's proxy is honoured for the portal, and never stands before this computer
    # itself.
    opened = nullcontext(client) if client else httpx.Client(trust_env=not portal.is_local)
    try:
        with opened as http:
            session = _Session(http, portal, report)
            names = dict.fromkeys(file.package for file in portal.files)
            packages = {name: _resources(session, name) for name in names}
            folder.mkdir(exist_ok=True)
            fetched = [
                _fetch_one(session, file, packages[file.package], folder) for file in portal.files
            ]
    except OSError as error:
        raise FetchError(
            f"Could not write in {folder} ({error}); check free space and permissions, then run"
            " make fetch again.",
            f"לא ניתן לכתוב בתיקייה {folder} ({error}); יש לבדוק מקום פנוי והרשאות ולהריץ שוב make"
            " fetch.",
        ) from error
    report(
        f"The portal does not hold these; put them in {folder}, with the column names of city.yaml:"
    )
    for file_name, origin in ELSEWHERE.items():
        there = " (already there)" if (folder / file_name).exists() else ""
        report(f"  {file_name}{there}: {origin}")
    return fetched


def _fetch_one(
    session: _Session, file: OpenFile, resources: Mapping[str, dict[str, Any]], folder: Path
) -> FetchedFile:
    """Bring one file into its place, or find that it is there already."""
    resource = resources.get(file.resource_id)
    if resource is None:
        there = "; ".join(f"{key} {each.get('name')}" for key, each in sorted(resources.items()))
        raise FetchError(
            f"{file.file_name}: resource {file.resource_id} is no longer in package {file.package}"
            f" of {session.portal.base_url}, which now holds: {there or 'nothing'}; correct its id"
            " in OPEN_FILES of pipelines/sources/fetch.py.",
            f"{file.file_name}: המשאב {file.resource_id} אינו עוד במאגר {file.package}"
            f" שב-{session.portal.base_url}; יש לתקן את המזהה ב-OPEN_FILES בקובץ"
            " pipelines/sources/fetch.py.",
        )
    url = _address(session.portal, file, resource)
    target, part = folder / file.file_name, folder / f"{file.file_name}.part"
    content = target.read_bytes() if target.exists() else b""
    known = _read_source(target)
    if (known.get("sha256"), known.get("url")) != (hashlib.sha256(content).hexdigest(), url):
        known = {}  # absent, or changed by hand since it was fetched
    is_current = bool(known) and _hash_agrees(content, resource) is True
    downloaded = not is_current and session.retrying(
        url, lambda: _transfer(session, url, part, known)
    )
    if downloaded:
        content, received = part.read_bytes(), _read_source(part)
        try:
            check_content(content, file, resource)
        except FetchError:
            _discard(part)
            raise
        part.replace(target)
        _discard(part)
        of_content = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _write_source(target, received | of_content | {"resource_id": file.resource_id})
    state = "fetched" if downloaded else "unchanged"
    session.report(f"{target}: {state}, {len(content):,} bytes")
    return FetchedFile(target, downloaded)


def check_content(content: bytes, file: OpenFile, resource: Mapping[str, Any]) -> None:
    """Refuse a file that is not what it should be.

    `resource` is the portal's own entry; its `size` and `hash` are compared where it gives them.

    Raises:
        FetchError: if the size, hash, kind, encoding, columns or number of rows are wrong.
    """

    def wrong(en: str, he: str) -> FetchError:
        return FetchError(
            f"{file.file_name} as received from {resource.get('url')} is not the expected file:"
            f" {en}; it was not put in place, so try again later, and if it repeats look at the"
            " file in a browser.",
            f"{file.file_name} שהתקבל מ-{resource.get('url')} אינו הקובץ הצפוי: {he}; הקובץ לא"
            " נשמר, יש לנסות שוב מאוחר יותר, ואם הדבר חוזר לבדוק את הקובץ בדפדפן.",
        )

    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        raise wrong("it is a web page, not a table", "זהו דף אינטרנט ולא טבלה")
    size = str(resource.get("size") or "")
    if size.isdecimal() and int(size) != len(content):
        raise wrong(
            f"it has {len(content):,} bytes and the portal lists {int(size):,}",
            f"יש בו {len(content):,} בתים ובפורטל רשומים {int(size):,}",
        )
    if _hash_agrees(content, resource) is False:
        raise wrong(
            "its hash differs from the one the portal lists", "טביעת התוכן שונה מזו הרשומה בפורטל"
        )
    try:
        text = io.StringIO(content.decode(file.encoding), newline="")
        rows = [row for row in csv.reader(text) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise wrong(
            f"it cannot be read as CSV in {file.encoding} ({error})",
            f"לא ניתן לקרוא אותו כקובץ CSV בקידוד {file.encoding}",
        ) from error
    header = {name.strip() for name in rows[0]} if rows else set()
    missing = ", ".join(name for name in file.required_columns if name not in header)
    if missing:
        raise wrong(f"it lacks the columns {missing}", f"חסרות בו העמודות {missing}")
    if len(rows) - 1 < file.min_rows:
        raise wrong(
            f"it has {len(rows) - 1:,} rows and at least {file.min_rows:,} are expected",
            f"יש בו {len(rows) - 1:,} שורות וצפויות לפחות {file.min_rows:,}",
        )


def _resources(session: _Session, package: str) -> dict[str, dict[str, Any]]:
    """Return the package's resources by id, as the portal's `package_show` lists them."""
    url = f"{session.portal.base_url.rstrip('/')}/api/3/action/package_show?id={package}"

    def once() -> dict[str, dict[str, Any]]:
        with session.get(url, {}) as response:
            response.read()
        try:
            answer = response.json()
            return {resource["id"]: resource for resource in answer["result"]["resources"]}
        except (ValueError, KeyError, TypeError) as error:
            raise FetchError(
                f"{url} did not answer with a CKAN package but with something else, often a"
                " maintenance or blocking page; open it in a browser, and try again later.",
                f"{url} לא החזיר תיאור של מאגר CKAN אלא תוכן אחר, לרוב דף תחזוקה או חסימה; יש לפתוח"
                " אותו בדפדפן ולנסות שוב מאוחר יותר.",
            ) from error

    return session.retrying(url, once)


def _address(portal: Portal, file: OpenFile, resource: Mapping[str, Any]) -> str:
    """Return where the resource's file is on the portal itself.

    The portal lists its files on e.data.gov.il; programs are served the same paths by the main
    host, and a mirror replays them.
    """
    listed = _url(str(resource.get("url") or ""))
    if not (portal.holds(listed) or f".{listed.host}".endswith(".data.gov.il")):
        raise FetchError(
            f"{file.file_name}: the portal lists it at {str(listed)!r}, which is not on the portal,"
            " so it was not contacted; download it by hand if you trust that address.",
            f"{file.file_name}: בפורטל הוא רשום בכתובת {str(listed)!r}, שאינה של הפורטל, ולכן לא"
            " בוצעה פנייה; אם הכתובת אמינה יש להוריד ידנית.",
        )
    return str(_url(portal.base_url).copy_with(raw_path=listed.raw_path))


def _transfer(session: _Session, url: str, part: Path, known: Mapping[str, Any]) -> bool:
    """Make one attempt to complete `part`; false if the file in place is still current."""
    begun = _read_source(part)
    etag = begun.get("etag") or "W/"  # only a strong ETag proves that two halves are of one file
    resumable = part.exists() and begun.get("url") == url and not etag.startswith("W/")
    offset = part.stat().st_size if resumable else 0
    asked = {"Range": f"bytes={offset}-", "If-Range": etag} if offset else {}
    if known.get("etag"):
        asked["If-None-Match"] = known["etag"]
    elif known.get("last_modified"):
        asked["If-Modified-Since"] = known["last_modified"]

    with session.get(url, asked) as response:
        status, given = response.status_code, response.headers
        now = {name: given.get(name.replace("_", "-")) for name in ("etag", "last_modified")}
        is_same = now["etag"] is not None and now["etag"] == known.get("etag")
        if is_same or (known and status == 304):
            _discard(part)
            return False
        size = given.get("content-length")
        if status in (206, 416):
            span = CONTENT_RANGE.fullmatch(given.get("content-range", ""))
            if not offset or not span or int(span[1]) != offset or now["etag"] != etag:
                _discard(part)
                raise _BusyError("the half-downloaded file no longer fits", wait_seconds=0)
            size = span[2]
        with part.open("ab" if status == 206 else "wb") as out:
            if status != 206:  # the record may speak of the new file only once the old half is gone
                _write_source(part, now | {"url": url})
            out.writelines(response.iter_raw())
    if size and size.isdecimal() and part.stat().st_size != int(size):
        raise _BusyError("the download ended early")
    return True


def _reason(state: RetryCallState) -> str:
    """Say why an attempt failed."""
    error = state.outcome.exception() if state.outcome else None
    return str(error) or type(error).__name__


def _wait(state: RetryCallState) -> float:
    """Return the seconds the portal asked to wait, else seconds that double with each attempt."""
    asked = getattr(state.outcome and state.outcome.exception(), "wait_seconds", None)
    return wait_exponential()(state) if asked is None else asked


def _asked_wait(headers: httpx.Headers) -> float | None:
    """Return the seconds of Retry-After; a date in it is counted from the answer's own Date."""
    asked = headers.get("retry-after", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, until.total_seconds())


def _hash_agrees(content: bytes, resource: Mapping[str, Any]) -> bool | None:
    """Whether content has the hash the portal lists; None if it lists none that can be compared."""
    listed = str(resource.get("hash") or "").rpartition(":")[2].lower()
    algorithm = HASH_BY_HEX_DIGITS.get(len(listed))
    if algorithm is None:
        return None
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() == listed


def _url(text: str) -> httpx.URL:
    """Return an address in its parts; the empty address if it is not one."""
    try:
        return httpx.URL(text)
    except httpx.InvalidURL:
        return httpx.URL("")


def _source_path(path: Path) -> Path:
    """Return the small file that says where `path` came from."""
    return path.with_name(f"{path.name}.source.json")


def _read_source(path: Path) -> dict[str, Any]:
    """Read what is known of where `path` came from; nothing if there is no readable record."""
    try:
        return dict(json.loads(_source_path(path).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def _write_source(path: Path, source: Mapping[str, Any]) -> None:
    """Write where `path` came from."""
    text = json.dumps(source, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    _source_path(path).write_text(text, encoding="utf-8")


def _discard(part: Path) -> None:
    """Remove a partial file and its record."""
    part.unlink(missing_ok=True)
    _source_path(part).unlink(missing_ok=True)
