"""Who is told when a night fails, when all is well again, and what is new in the morning.

A notice is a file beside the releases, `<marts>/notices/failed.txt`, `recovered.txt` or `news.txt`;
a city may have it sent by a command of its own and by e-mail (`notices:` of city.yaml). It says
which run and which steps, or what a release says, never what a file held.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import smtplib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import polars as pl

from pipelines.publish.mail import post
from pipelines.publish.release import ReleaseError, current_release, manifest, what_stays
from pipelines.settings.city import Email, Notices
from pipelines.settings.private import open_to_readers
from pipelines.settings.workspace import Workspace

FOLDER, FAILED, RECOVERED, NEWS = "notices", "failed.txt", "recovered.txt", "news.txt"
_TOLD = ".news.told"
_SECONDS = 30


def tell_failure(
    space: Workspace, channels: Notices, run_id: str, job: str, steps: Sequence[str]
) -> list[str]:
    """Raise a notice of a failed run; return what could not be sent, a sentence each.

    Args:
        space: the city's folders.
        channels: how the city wants to be told, beside the file.
        run_id: the run, as the page names it.
        job: what was run.
        steps: names of the steps that failed; none if the run did not come to any.
    """
    stays_en, stays_he = what_stays(Path(space.marts_folder))
    where = ", ".join(steps)
    text = (
        f"תיקון: הריצה של {space.name} נכשלה\n"
        f"{stays_he}\n"
        f"מה רץ: {job}. שלבים שנכשלו: {where or 'הריצה נעצרה לפני שלב כלשהו'}.\n"
        f"פרטים: make serve CITY={space.name}, ריצה {run_id}.\n\n"
        f"Tikkun: the run of {space.name} has failed\n"
        f"{stays_en}\n"
        f"What ran: {job}. Failed steps: {where or 'the run ended before any step'}.\n"
        f"Details: make serve CITY={space.name}, run {run_id}.\n"
    )
    subject = f"Tikkun: {space.name} – הריצה נכשלה / the run has failed"
    return _tell(space, channels, FAILED, RECOVERED, subject, text)


def tell_recovery(space: Workspace, channels: Notices) -> list[str]:
    """Take back a notice of failure, if one stands; return what could not be sent."""
    if not (_folder(space) / FAILED).is_file():
        return []
    text = (
        f"תיקון: הריצה של {space.name} תקינה שוב, והפרסום עדכני.\n\n"
        f"Tikkun: the run of {space.name} is well again, and the release is up to date.\n"
    )
    subject = f"Tikkun: {space.name} – תקין שוב / well again"
    return _tell(space, channels, RECOVERED, FAILED, subject, text)


def tell_news(space: Workspace, channels: Notices) -> list[str]:
    """Tell what is new in the current release; return what could not be sent.

    News is told once, however often its night is run again or its pages are drawn anew, and not at
    all where there is none. What a channel did not take is told by all of them the next time, with
    what is new by then.
    """
    try:
        new, text = _news(space)
    except (ReleaseError, OSError, pl.exceptions.PolarsError) as error:
        return [f"the news of the release cannot be read: {error}"]
    told = _Told.read(_folder(space) / _TOLD)
    if new and new != told.last:
        told = _Told(new, f"{text}\n{told.waiting}".rstrip("\n") + "\n")
        told.write(_folder(space) / _TOLD)
    if not told.waiting:
        return []
    subject = f"Tikkun: {space.name} – מה חדש / what is new"
    unsent = _tell(space, channels, NEWS, None, subject, told.waiting)
    if not unsent:
        _Told(told.last).write(_folder(space) / _TOLD)
    return unsent


@dataclass(frozen=True)
class _Told:
    """The last news that was put together, by its hash, and what of it still waits to be sent."""

    last: str = ""
    waiting: str = ""

    @classmethod
    def read(cls, path: Path) -> _Told:
        last, _, waiting = (path.read_text(encoding="utf-8") if path.is_file() else "").partition(
            "\n"
        )
        return cls(last, waiting)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        open_to_readers(path.parent)
        aside = path.with_name(f"{path.name}.next")
        aside.write_text(f"{self.last}\n{self.waiting}", encoding="utf-8")
        aside.replace(path)


def _news(space: Workspace) -> tuple[str, str]:
    """Return what the current release says is new, by its hash and as a text; empty if nothing.

    The same release with other pages, compared with the same one, says the same.
    """
    release = current_release(Path(space.marts_folder))
    path = release / "analyst" / "mart_news.parquet" if release else None
    if release is None or path is None or not path.is_file():
        return "", ""
    rows = pl.read_parquet(path).sort("news_order")
    if rows.is_empty():
        return "", ""
    he, en = ("".join(f"– {said}\n" for said in rows[f"news_{tongue}"]) for tongue in ("he", "en"))
    said = f"מה חדש לעומת הפרסום הקודם:\n{he}\nNew since the release before:\n{en}"
    compared_with = manifest(release).get("compared_with")
    return (
        hashlib.sha256(f"{compared_with}\n{said}".encode()).hexdigest(),
        f"Tikkun {space.name} {release.name}\n{said}",
    )


def _folder(space: Workspace) -> Path:
    return Path(space.marts_folder) / FOLDER


def _tell(
    space: Workspace, channels: Notices, name: str, opposite: str | None, subject: str, text: str
) -> list[str]:
    folder = _folder(space)
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{name}.next"
    aside.write_text(text, encoding="utf-8")
    for path in (folder, aside):
        open_to_readers(path)
    aside.replace(folder / name)
    if opposite:
        (folder / opposite).unlink(missing_ok=True)
    unsent = []
    try:
        if channels.command:
            _run(channels.command, space, folder / name, text)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        unsent.append(f"the command of city.yaml failed: {error}")
    try:
        if channels.email:
            _send(channels.email, subject, text)
    except (OSError, smtplib.SMTPException) as error:
        unsent.append(f"the e-mail was not accepted: {error}")
    return unsent


def _run(command: str, space: Workspace, file: Path, text: str) -> None:
    """Run the city's command in its folder; the notice is its input, and a file it is told of."""
    subprocess.run(
        shlex.split(command),
        cwd=space.city_folder,
        env={**os.environ, "TIKKUN_CITY": space.name, "TIKKUN_NOTICE": str(file)},
        input=text,
        text=True,
        check=True,
        capture_output=True,
        timeout=_SECONDS,
    )


def _send(channel: Email, subject: str, text: str) -> None:
    message = EmailMessage()
    message.set_content(text)
    post(channel, channel.to, subject, message)
