"""Mail by the server that a city names in `city.yaml`."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from pipelines.settings.city import MailServer

_SECONDS = 30


def post(server: MailServer, to: tuple[str, ...], subject: str, message: EmailMessage) -> None:
    """Hand a message to the server.

    Raises:
        OSError, smtplib.SMTPException: if it does not take it. Their texts may name addresses.
    """
    message["Subject"], message["From"] = subject, server.sender
    message["To"] = ", ".join(to)
    with smtplib.SMTP(server.host, server.port, timeout=_SECONDS) as connection:
        connection.send_message(message)
