"""Bring the open national files of a city from the government's open-data portal.

The portal is a CKAN site: `package_show` says where a resource's file is. A file is checked before
it is moved into `<city>/files`; nothing but the portal is contacted; what has not changed is not
downloaded again. Beside each file, `<name>.source.json` says what was fetched and from where.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from pipelines.settings.yaml_files import read_yaml

DATA_GOV_IL = "https://data.gov.il"
# The portal refuses clients that do not carry this name.
HEADERS = {"User-Agent": "datagov-external-client tikkun"}
MAX_REDIRECTS = 4
TIMEOUT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 120.0
_HASH_BY_DIGITS = {32: "md5", 40: "sha1", 64: "sha256"}
_LIST = Path(__file__).with_name("open_files.yaml")


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

    wait_seconds: float | None = None


@dataclass(frozen=True)
class OpenFile:
    """A file the portal holds openly, and what must be true of it before it is accepted."""

    package: str
    resource_id: str
    file_name: str
    required_columns: tuple[str, ...]
    min_rows: int
    encoding: str


_LISTED = read_yaml(_LIST)
OPEN_FILES = tuple(
    OpenFile(**each | {"required_columns": tuple(each["required_columns"])})
    for each in _LISTED["open"]
)
ELSEWHERE: dict[str, str] = _LISTED["elsewhere"]


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

    def guard(self, request: httpx.Request) -> None:
        """Raise FetchError before anything but the portal is contacted, after a redirect too."""
        if not self.holds(request.url):
            raise FetchError(
                f"{request.url} is not on the portal, so it was not contacted; if you trust that"
                " address, open it in a browser and download the file by hand.",
                f"הכתובת {request.url} אינה של הפורטל, ולכן לא בוצעה פנייה; אם היא אמינה יש לפתוח"
                " אותה בדפדפן ולהוריד ידנית.",
            )


@dataclass(frozen=True)
class FetchedFile:
    """One open file in its place, and whether it had to be downloaded."""

    path: Path
    downloaded: bool


def fetch(city_folder: Path, portal: Portal, *, report: Callable[[str], None]) -> list[FetchedFile]:
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
    with httpx.Client(
        headers=HEADERS,
        timeout=TIMEOUT_SECONDS,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        event_hooks={"request": [portal.guard]},
        trust_env=not portal.is_local,  # a municipality's proxy never stands before this computer
    ) as http:
        session = _Session(http, portal, report)
        names = dict.fromkeys(file.package for file in portal.files)
        packages = {name: session.resources(name) for name in names}
        try:
            folder.mkdir(exist_ok=True)
            fetched = [
                _fetch_one(session, file, packages[file.package], folder) for file in portal.files
            ]
        except OSError as error:
            raise FetchError(
                f"Could not write in {folder} ({error}); check free space and permissions, then run"
                " make fetch again.",
                f"לא ניתן לכתוב בתיקייה {folder} ({error}); יש לבדוק מקום פנוי והרשאות ולהריץ שוב"
                " make fetch.",
            ) from error
    report(
        f"The portal does not hold these; put them in {folder}, with the column names of city.yaml:"
    )
    for file_name, origin in ELSEWHERE.items():
        there = " (already there)" if (folder / file_name).exists() else ""
        report(f"  {file_name}{there}: {origin}")
    return fetched


@dataclass(frozen=True)
class _Session:
    """What every request needs: the client, the portal, and whom to tell of a wait."""

    http: httpx.Client
    portal: Portal
    report: Callable[[str], None]

    def get(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """Return a whole answer, tried at most `portal.attempts` times.

        Raises:
            FetchError: if there is none, or the portal asks for too long a wait.
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
                " connection and run make fetch again later.",
                f"לא ניתן להוריד את {url} ב-{tried} ניסיונות ({reason}); יש לבדוק את החיבור"
                " לאינטרנט ולהריץ שוב make fetch מאוחר יותר.",
            )

        attempts = Retrying(
            retry=retry_if_exception_type((httpx.TransportError, _BusyError)),
            wait=_wait,
            stop=is_last,
            sleep=self.portal.sleep,
            before_sleep=tell,
            retry_error_callback=give_up,
        )
        return attempts(self._once, url, headers)

    def _once(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        try:
            response = self.http.get(url, headers=dict(headers))
            status = response.status_code
        except httpx.TooManyRedirects:
            status = 302
        if status == 429 or status >= 500:
            busy = _BusyError(f"it answered {status}")
            busy.wait_seconds = _asked_wait(response.headers)
            raise busy
        if status not in (200, 304):
            raise FetchError(
                f"{url} answered {status}; check in a browser that it is still published there, and"
                f" if it moved, correct pipelines/sources/{_LIST.name}.",
                f"{url} החזיר {status}; יש לבדוק בדפדפן שהקובץ עדיין מתפרסם שם, ואם עבר לתקן את"
                f" pipelines/sources/{_LIST.name}.",
            )
        return response

    def resources(self, package: str) -> dict[str, dict[str, Any]]:
        """Return the package's resources by id, as the portal's `package_show` lists them."""
        url = f"{self.portal.base_url.rstrip('/')}/api/3/action/package_show?id={package}"
        try:
            answer = self.get(url, {}).json()
            return {resource["id"]: resource for resource in answer["result"]["resources"]}
        except (ValueError, KeyError, TypeError) as error:
            raise FetchError(
                f"{url} did not answer with a CKAN package but with something else, often a"
                " maintenance or blocking page; open it in a browser, and try again later.",
                f"{url} לא החזיר תיאור של מאגר CKAN אלא תוכן אחר, לרוב דף תחזוקה או חסימה; יש לפתוח"
                " אותו בדפדפן ולנסות שוב מאוחר יותר.",
            ) from error


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
            f" in pipelines/sources/{_LIST.name}.",
            f"{file.file_name}: המשאב {file.resource_id} אינו עוד במאגר {file.package}"
            f" שב-{session.portal.base_url}; יש לתקן את המזהה בקובץ"
            f" pipelines/sources/{_LIST.name}.",
        )
    url = _address(session.portal, file, resource)
    target, record = folder / file.file_name, folder / f"{file.file_name}.source.json"
    content = target.read_bytes() if target.exists() else b""
    known = _read(record)
    if (known.get("sha256"), known.get("url")) != (hashlib.sha256(content).hexdigest(), url):
        known = {}  # absent, or changed by hand since it was fetched
    asked = {
        header: known[name]
        for header, name in (("If-None-Match", "etag"), ("If-Modified-Since", "last_modified"))
        if known.get(name)
    }
    is_current = bool(known) and _hash_agrees(content, resource) is True
    answer = None if is_current else session.get(url, asked)
    downloaded = answer is not None and answer.status_code == 200
    if answer is not None and downloaded:
        content = answer.content
        check_content(content, file, resource)
        part = folder / f"{file.file_name}.part"
        part.write_bytes(content)
        part.replace(target)
        source = {
            "bytes": len(content),
            "etag": answer.headers.get("etag"),
            "last_modified": answer.headers.get("last-modified"),
            "resource_id": file.resource_id,
            "sha256": hashlib.sha256(content).hexdigest(),
            "url": url,
        }
        record.write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
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


def _reason(state: RetryCallState) -> str:
    """Say why an attempt failed, and how long the portal asks to wait."""
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "wait_seconds", None)
    asks = "" if asked is None else f" and asks to wait {asked:.0f} s"
    return f"{str(error) or type(error).__name__}{asks}"


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
    algorithm = _HASH_BY_DIGITS.get(len(listed))
    if algorithm is None:
        return None
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() == listed


def _url(text: str) -> httpx.URL:
    """Return an address in its parts; the empty address if it is not one."""
    try:
        return httpx.URL(text)
    except httpx.InvalidURL:
        return httpx.URL("")


def _read(record: Path) -> dict[str, Any]:
    """Read what is known of where a file came from; nothing if there is no readable record."""
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return {}
