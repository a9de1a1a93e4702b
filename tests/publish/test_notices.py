"""Who is told of a failed night: a file, the city's own command, and a mail server."""

import socketserver
import threading
from pathlib import Path

import polars as pl
import pytest
import yaml

from pipelines.act.release import without_addresses
from pipelines.publish.notices import tell_failure, tell_news, tell_recovery
from pipelines.settings.city import Notices, load_city
from pipelines.settings.workspace import Workspace


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to hand over a message."""

    def handle(self):
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "DATA":
                self.say("354 go on")
                lines = []
                while (part := self.rfile.readline()) != b".\r\n":
                    lines.append(part)
                self.server.messages.append(b"".join(lines))
                self.say("250 taken")
            elif word == "RCPT":
                self.server.recipients.append(line)
                self.say("250 yes")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 yes")

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mail():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as server:
        server.messages, server.recipients = [], []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def space(tmp_path):
    (tmp_path / "raw" / "town").mkdir(parents=True)
    return Workspace(
        city_folder=str(tmp_path / "raw" / "town"),
        marts_folder=str(tmp_path / "marts"),
        work_folder=str(tmp_path / "work"),
    )


def by_mail(port):
    email = {"host": "127.0.0.1", "port": port, "to": ["a@example.org", "b@example.org"]}
    return Notices.model_validate({"email": {**email, "from": "tikkun@example.org"}})


def decoded(message):
    from email import message_from_bytes, policy

    read = message_from_bytes(message, policy=policy.default)
    return read["Subject"], read.get_content()


def test_a_failure_is_mailed_once_and_its_end_too(space, mail, tmp_path):
    channels = by_mail(mail.server_address[1])
    assert tell_failure(space, channels, "run-1", "city", ["mart_city"]) == []
    subject, text = decoded(mail.messages[0])
    assert "town" in subject
    assert "נכשלה" in subject
    for words in ("run-1", "mart_city", "no earlier release", "אין פרסום קודם"):
        assert words in text
    assert len(mail.recipients) == 2
    file = tmp_path / "marts" / "notices" / "failed.txt"
    assert "run-1" in file.read_text(encoding="utf-8")

    assert tell_recovery(space, channels) == []
    assert not file.exists()
    assert "up to date" in decoded(mail.messages[1])[1]
    assert tell_recovery(space, channels) == []
    assert len(mail.messages) == 2  # what is well need not be said again


def test_the_city_s_own_command_gets_the_notice(space):
    channels = Notices(command="sh -c 'cat > told; echo \"$TIKKUN_CITY\" >> told'")
    assert tell_failure(space, channels, "run-1", "city", []) == []
    told = (Path(space.city_folder) / "told").read_text(encoding="utf-8")
    assert "the run ended before any step" in told
    assert told.endswith("town\n")


def test_a_channel_that_fails_keeps_neither_the_file_nor_the_other_from_telling(
    space, mail, tmp_path
):
    channels = by_mail(mail.server_address[1]).model_copy(update={"command": "false"})
    (unsent,) = tell_failure(space, channels, "run-1", "city", [])
    assert "command" in unsent
    assert len(mail.messages) == 1
    mail.shutdown()
    mail.server_close()
    unsent = tell_recovery(space, channels)
    assert [("command" in text, "e-mail" in text) for text in unsent] == [
        (True, False),
        (False, True),
    ]
    assert (tmp_path / "marts" / "notices" / "recovered.txt").is_file()


def test_what_is_new_is_told_once_a_release_and_nothing_where_nothing_is(space, mail, tmp_path):
    channels = by_mail(mail.server_address[1])
    assert tell_news(space, channels) == []  # nothing is published yet
    rows = {"news_order": [1], "news_kind": ["alert"], "news_he": ["איחור"], "news_en": ["late"]}
    for name, said in (("a" * 16, rows), ("b" * 16, {key: [] for key in rows})):
        release = tmp_path / "marts" / "releases" / name
        (release / "analyst").mkdir(parents=True)
        pl.DataFrame(said).write_parquet(release / "analyst" / "mart_news.parquet")
        (release / "manifest.json").write_text("{}")
        current = tmp_path / "marts" / "current"
        current.unlink(missing_ok=True)
        current.symlink_to(release)
        assert tell_news(space, channels) == []
        assert tell_news(space, channels) == []
    (message,) = mail.messages
    assert "– late" in decoded(message)[1]
    assert "– איחור" in decoded(message)[1]


def test_who_is_told_is_set_in_city_yaml_and_stands_in_no_release(small_city, tmp_path):
    plain = (small_city / "city.yaml").read_text(encoding="utf-8")
    block = (
        "notices:\n  command: sh tell.sh\n  email:\n    host: mail\n    to: [a@example.org]\n"
        "    from: t@example.org\n"
    )
    (tmp_path / "policy.yaml").write_bytes((small_city / "policy.yaml").read_bytes())
    first, rest = plain.split("\nscope:", 1)
    for text in (plain.rstrip("\n") + "\n" + block, f"{first}\n{block}scope:{rest}"):
        (tmp_path / "city.yaml").write_text(text, encoding="utf-8")
        assert load_city(tmp_path).city.notices.email.sender == "t@example.org"
        kept = without_addresses(text)
        assert "example.org" not in kept
        assert yaml.safe_load(kept) == yaml.safe_load(plain)
    assert without_addresses(plain) == plain
