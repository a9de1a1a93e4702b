"""Who is told when a night fails, when all is well again, and what is new in the morning.

A notice is a file beside the releases, `<marts>/notices/failed.txt`, `recovered.txt` or `news.txt`;
a city may have it sent by a command of its own and by e-mail (`notices:` of city.yaml). It says
which run and which steps, or what a release says, never what a file held.
"""

from __future__ import annotations

import os
import shlex
import smtplib
import subprocess
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import polars as pl

from pipelines.publish.mail import post
from pipelines.publish.release import current_release, what_stays
from pipelines.settings.city import Email, Notices
from pipelines.settings.private import open_to_readers
from pipelines.settings.workspace import Workspace

FOLDER, FAILED, RECOVERED, NEWS = "notices", "failed.txt", "recovered.txt", "news.txt"
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

    A release is told of once, however often its night is run again, and not at all where it says
    nothing new.
    """
    release = current_release(Path(space.marts_folder))
    path = release / "analyst" / "mart_news.parquet" if release else None
    if release is None or path is None or not path.is_file():
        return []
    told, rows = _folder(space) / NEWS, pl.read_parquet(path).sort("news_order")
    head = f"Tikkun {space.name} {release.name}\n"
    if rows.is_empty() or (told.is_file() and told.read_text(encoding="utf-8").startswith(head)):
        return []
    he, en = ("".join(f"– {said}\n" for said in rows[f"news_{tongue}"]) for tongue in ("he", "en"))
    text = f"{head}מה חדש לעומת הפרסום הקודם:\n{he}\nNew since the release before:\n{en}"
    return _tell(space, channels, NEWS, None, f"Tikkun: {space.name} – מה חדש / what is new", text)


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
