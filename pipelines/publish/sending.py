"""Send a release: each recipient gets the version of the own audience, and no other (R105).

Files go to an outbox folder beside the releases, `<marts>/outbox/<release>/<audience>/`; where
`city.yaml` names a mail server (`sending:`), pages and workbook go by e-mail too. A principal gets
the pages of the own school, where the version has pages of schools. What was sent is noted.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import smtplib
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.publish.mail import post
from pipelines.settings.city import MailServer
from pipelines.settings.fields import dictionary
from pipelines.settings.sent import OK, Sent, note_sent, read_sent

OUTBOX, OWNERS = "outbox", "owners"
_READ_BY_PEOPLE = (".html", ".xlsx")
_MOST_BYTES = 20_000_000
"""Of an attachment; mail servers refuse more."""
_SCHOOL = re.compile(str(dictionary().fields["semel_mosad"].pattern))
_TEXTS = {
    "hebrew": (
        "תיקון: תוכנית ההקצאה, פרסום {release}",
        "מצורף קובץ ובו הדפים והחוברת של פרסום {release} בגרסה שלך ({audience}).\n"
        "יש לחלץ אותו לתיקייה ולפתוח כל דף בדפדפן. נא לאשר קבלה למי ששלח, בציון"
        " מספר הנמען {recipient}.\n",
    ),
    "english": (
        "Tikkun: the allocation plan, release {release}",
        "Attached are the pages and the workbook of release {release} in your version"
        " ({audience}).\nUnpack them to a folder and open a page in a browser. Please"
        " acknowledge to the sender, naming recipient {recipient}.\n",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What became of one recipient: sent, sent before, or why it was not sent."""

    recipient_id: str
    audience: str
    result: str


AGAIN, NO_VERSION, NO_PAGES, TOO_BIG = "sent_before", "no_version", "no_pages", "too_big"


def files_for(version: Path, school: str | None, *, is_of_schools: bool) -> list[Path]:
    """Return the files of a version that a recipient may get, sorted.

    Args:
        version: the audience's folder of the release.
        school: the recipient's school.
        is_of_schools: whether each reader of it may see the own school alone; of its files those
            then that bear the school's code, if any bears one.
    """
    files = sorted(path for path in version.rglob("*") if path.is_file())
    if not is_of_schools:
        return files
    of = {path: _schools(path.relative_to(version)) for path in files}
    return [path for path in files if school in of[path]] if any(of.values()) else files


def _schools(path: Path) -> set[str]:
    return {part for part in (*path.parts[:-1], path.stem) if _SCHOOL.fullmatch(part)}


def send_release(
    marts: Path,
    release: Path,
    recipients: pl.DataFrame,
    of_schools: Collection[str],
    server: MailServer | None,
    now: datetime,
    *,
    again: bool = False,
) -> list[Outcome]:
    """Send a release to its recipients, and note it.

    Args:
        marts: the city's marts folder.
        release: the release, as it was published.
        recipients: `stg_act__recipients`.
        of_schools: audiences of which each reader may see the own school alone.
        server: the mail server; None = outbox alone.
        now: the moment that is noted.
        again: whether those who have the release get it once more.

    Returns:
        What became of each recipient, by number.
    """
    log = read_sent(marts).filter(result=OK, shown_release=release.name)
    have = set(log.select("recipient_id", "audience").iter_rows())
    outcomes = []
    for one in recipients.sort("recipient_id").to_dicts():
        name, audience = one["recipient_id"], one["audience"]
        if (name, audience) in have and not again:
            outcomes.append(Outcome(name, audience, AGAIN))
            continue
        version = release / audience
        is_of_schools = audience in of_schools
        files = files_for(version, one["semel_mosad"], is_of_schools=is_of_schools)
        if not files:
            result = NO_PAGES if version.is_dir() else NO_VERSION
            how, rows = "outbox", [("", "", result)]
        else:
            how = "email" if server else "outbox"
            _put(marts / OUTBOX / release.name, version, files)
            result = _mail(server, one, release.name, version, files) if server else OK
            rows = [
                (str(path.relative_to(version)), _sha256(path), result)
                for path in (_attached(files) if server else files)
            ]
        moment = now.isoformat(timespec="seconds")
        note_sent(
            marts,
            [
                Sent(moment, name, audience, release.name, file, digest, how, result)
                for file, digest, result in rows
            ],
        )
        outcomes.append(Outcome(name, audience, result))
    return outcomes


def _put(outbox: Path, version: Path, files: Sequence[Path]) -> None:
    """Copy the files of a version to the outbox, for nobody but its owner to read."""
    for path in files:
        target = outbox / version.name / path.relative_to(version)
        _closed(target.parent, outbox.parent)
        shutil.copyfile(path, target)
        target.chmod(0o600)


def _closed(folder: Path, top: Path) -> None:
    """Make a folder and those above it, up to `top`, that only their owner opens."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in (folder, *folder.parents):
        each.chmod(0o700)
        if each == top:
            break


def _attached(files: Sequence[Path]) -> list[Path]:
    return [path for path in files if path.suffix in _READ_BY_PEOPLE]


def _mail(
    server: MailServer, one: dict[str, Any], release: str, version: Path, files: Sequence[Path]
) -> str:
    """Send the pages and the workbook; return `ok` or what went wrong, without the address."""
    attached = _attached(files)
    if not attached:
        return NO_PAGES
    packed = _packed(version, attached)
    if len(packed) > _MOST_BYTES:
        return TOO_BIG
    language = one["recipient_language"]
    said = {
        "release": release,
        "audience": dictionary().label("audience", one["audience"])
        if language == "hebrew"
        else one["audience"],
        "recipient": one["recipient_id"],
    }
    subject, text = (part.format(**said) for part in _TEXTS[language])
    message = EmailMessage()
    message.set_content(text)
    message.add_attachment(
        packed, maintype="application", subtype="zip", filename=f"tikkun-{release}.zip"
    )
    try:
        post(server, (one["recipient_address"],), subject, message)
    except smtplib.SMTPException as error:
        return f"refused ({type(error).__name__})"
    except OSError as error:
        return f"no_server ({type(error).__name__})"
    return OK


def _packed(version: Path, files: Sequence[Path]) -> bytes:
    """Return files as one archive with their folders, in which links between pages still lead."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            # A fixed moment: the same release is the same archive.
            name = zipfile.ZipInfo(str(path.relative_to(version)))
            archive.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_owners_lists(
    outbox: Path, tickets: pl.DataFrame, sources: pl.DataFrame
) -> dict[str, int]:
    """Write for the owner of each source how schools correct its numbers, to be looked at.

    A correction that was declined needs nobody any more.

    Args:
        outbox: of the release.
        tickets: `stg_act__tickets`, with what was said.
        sources: `mart_ticket_source`.

    Returns:
        Tickets on each list, by source.
    """
    open_ones = sources.filter(pl.col("ticket_state").is_in(["open", "accepted"]))
    said = ("ticket_id", "shown_release", "asked_on", "ticket_cell", "value_said", "ticket_reason")
    rows = open_ones.join(tickets.select(*said, "answer_reason"), on="ticket_id")
    heads = [*said[:3], "semel_mosad", "cell_name_he", *said[3:], "ticket_kind", "ticket_state"]
    found = {}
    place = outbox / OWNERS
    shutil.rmtree(place, ignore_errors=True)
    for (source_id,), part in sorted(rows.group_by("source_id")):
        _closed(place, outbox.parent)
        path = place / f"{source_id}.csv"
        fields = dictionary().fields
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            lines = csv.writer(file)
            lines.writerow([fields[name].he for name in (*heads, "answer_reason")])
            for row in part.sort("ticket_id").to_dicts():
                lines.writerow([_told(row, name) for name in (*heads, "answer_reason")])
        found[str(source_id)] = part.height
    return found


def _told(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return ""
    return dictionary().label(name, value) if dictionary().fields[name].allowed else str(value)
