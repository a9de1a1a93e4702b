"""A release is sent: to each list its own version, noted without an address (R105)."""

import hashlib
import io
import zipfile
from datetime import UTC, date, datetime
from email import message_from_bytes, policy

import duckdb
import polars as pl
import pytest

from pipelines.act.release import without_addresses
from pipelines.commands.send import main
from pipelines.publish.distribution import distribution
from pipelines.publish.release import publish
from pipelines.publish.sending import AGAIN, NO_PAGES, NO_VERSION, TOO_BIG, files_for, send_release
from pipelines.settings.audiences import AUDIENCES
from pipelines.settings.city import MailServer
from pipelines.settings.fields import dictionary
from pipelines.settings.sent import LOG, OK, copy_sent, read_sent
from tests.publish.test_notices import mail  # noqa: F401

OWN = ("principals",)
NOW = datetime(2026, 10, 1, 8, 0, tzinfo=UTC)
HEADS = dictionary().tables["stg_act__recipients"].columns
PEOPLE = [
    ("r1", "council_member", "committee", None, "hebrew", "first@example.org"),
    ("r2", "department_head", "analyst", None, "english", "second@example.org"),
    ("r3", "principal", "principals", "900001", "hebrew", "third@example.org"),
    ("r4", "principal", "principals", "900002", "hebrew", "fourth@example.org"),
    ("r5", "parent_rep", "parents", None, "hebrew", "fifth@example.org"),
]


def people(*chosen):
    rows = [row for row in PEOPLE if not chosen or row[0] in chosen]
    return pl.DataFrame(rows, schema=dict.fromkeys(HEADS, pl.String), orient="row")


def _build(folder):
    files = {
        "committee": ("report.html", "workbook.xlsx", "mart_city.parquet"),
        "analyst": ("report.html", "secret.parquet"),
        "principals": (
            "900001/workbook.xlsx",
            "schools/900001.html",
            "schools/900003.html",
            "about.html",
        ),
    }
    for audience, names in files.items():
        for name in names:
            path = folder / audience / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{audience} {name}", encoding="utf-8")


@pytest.fixture
def release(tmp_path):
    return publish(tmp_path / "marts", _build, lambda folder: None)


@pytest.fixture
def marts(release, tmp_path):
    return tmp_path / "marts"


def results(outcomes):
    return {one.recipient_id: one.result for one in outcomes}


def outbox(marts, release):
    place = marts / "outbox" / release.name
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


def test_each_recipient_gets_the_own_version_and_a_principal_the_own_school(marts, release):
    found = results(send_release(marts, release, people(), OWN, None, NOW))
    assert found == {"r1": OK, "r2": OK, "r3": OK, "r4": NO_PAGES, "r5": NO_VERSION}
    assert outbox(marts, release) == {
        "committee/report.html",
        "committee/workbook.xlsx",
        "committee/mart_city.parquet",
        "analyst/report.html",
        "analyst/secret.parquet",
        "principals/schools/900001.html",
        "principals/900001/workbook.xlsx",
    }
    for path in (marts / "outbox").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_was_sent_is_noted_with_its_hash_and_without_an_address(marts, release):
    send_release(marts, release, people(), OWN, None, NOW)
    log = read_sent(marts)
    listed = log.filter(recipient_id="r1", result=OK)
    assert set(listed["file"]) == {"report.html", "workbook.xlsx", "mart_city.parquet"}
    for row in log.filter(result=OK).to_dicts():
        content = (release / row["audience"] / row["file"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
    text = (marts / LOG).read_text(encoding="utf-8")
    assert "example.org" not in text
    assert "@" not in text
    assert (marts / LOG).stat().st_mode & 0o777 == 0o600


def test_the_same_release_is_sent_once_unless_asked(marts, release):
    send_release(marts, release, people("r1", "r5"), OWN, None, NOW)
    before = read_sent(marts)
    found = send_release(marts, release, people("r1", "r5"), OWN, None, NOW)
    assert results(found) == {"r1": AGAIN, "r5": NO_VERSION}
    assert read_sent(marts).filter(result=OK).equals(before.filter(result=OK))
    assert results(send_release(marts, release, people("r1"), OWN, None, NOW, again=True)) == {
        "r1": OK
    }
    assert read_sent(marts).filter(result=OK).height == 2 * before.filter(result=OK).height


def test_whoever_moves_to_another_version_gets_that_too(marts, release):
    send_release(marts, release, people("r1"), OWN, None, NOW)
    moved = people("r1").with_columns(audience=pl.lit("analyst"))
    assert results(send_release(marts, release, moved, OWN, None, NOW)) == {"r1": OK}


def test_a_version_without_pages_of_schools_goes_to_a_principal_whole(tmp_path):
    (tmp_path / "report.html").write_text("x", encoding="utf-8")
    assert files_for(tmp_path, "900001", is_of_schools=True) == [tmp_path / "report.html"]


def test_whoever_has_no_school_gets_no_page_of_one(marts, release):
    assert files_for(release / "principals", None, is_of_schools=True) == []


def server(port):
    return MailServer.model_validate({"host": "127.0.0.1", "port": port, "from": "t@example.org"})


def test_pages_and_workbook_go_by_mail_one_message_to_each(marts, release, mail):  # noqa: F811
    sent = send_release(
        marts, release, people("r1", "r2"), OWN, server(mail.server_address[1]), NOW
    )
    assert results(sent) == {"r1": OK, "r2": OK}
    messages = [message_from_bytes(text, policy=policy.default) for text in mail.messages]
    assert [message["To"] for message in messages] == ["first@example.org", "second@example.org"]
    hebrew, english = (message.get_body().get_content() for message in messages)
    assert release.name in hebrew
    assert "הוועדה" in hebrew
    assert "analyst" in english
    packed = next(iter(messages[0].iter_attachments())).get_content()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert set(archive.namelist()) == {"report.html", "workbook.xlsx"}
    log = read_sent(marts)
    assert set(log["how"]) == {"email"}
    assert set(log.filter(recipient_id="r1")["file"]) == {"report.html", "workbook.xlsx"}


def test_a_mail_that_is_not_taken_is_noted_without_its_address_and_tried_again(
    marts,
    release,
    mail,  # noqa: F811
):
    port = mail.server_address[1]
    mail.shutdown()
    mail.server_close()
    found = results(send_release(marts, release, people("r1"), OWN, server(port), NOW))
    assert found["r1"].startswith("no_server")
    assert "example.org" not in (marts / LOG).read_text(encoding="utf-8")
    again = results(send_release(marts, release, people("r1"), OWN, None, NOW))
    assert again == {"r1": OK}


def test_what_is_too_big_for_a_mail_lies_in_the_outbox(
    marts,
    release,
    mail,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setattr("pipelines.publish.sending._MOST_BYTES", 10)
    sent = send_release(marts, release, people("r1"), OWN, server(mail.server_address[1]), NOW)
    assert results(sent) == {"r1": TOO_BIG}
    assert mail.messages == []
    assert "committee/report.html" in outbox(marts, release)


def test_the_versions_that_a_list_can_ask_for_are_the_audiences_of_a_policy():
    assert set(dictionary().fields["audience"].allowed) == set(AUDIENCES)


# ---- who got it, who acknowledged it ----------------------------------------------------------

ROLES = pl.DataFrame(
    [(role, family) for family, roles in dictionary().families.items() for role in roles],
    schema=["role", "role_family"],
    orient="row",
)


def lists(recipients, receipts=()):
    receipts = pl.DataFrame(
        [(*row, date(2026, 10, 5)) for row in receipts],
        schema={
            "recipient_id": pl.String,
            "shown_release": pl.String,
            "acknowledged_on": pl.Date,
        },
        orient="row",
    )
    return {"stg_act__recipients": recipients, "stg_act__receipts": receipts, "core_role": ROLES}


def test_each_list_says_who_got_it_who_acknowledged_and_who_is_silent(marts, release):
    more = [(f"r{n}", "council_member", "committee", None, "hebrew", "x@y.org") for n in (7, 8, 9)]
    members = pl.concat(
        [people("r1", "r2"), pl.DataFrame(more, schema=people().schema, orient="row")]
    )
    send_release(
        marts,
        release,
        members.filter(pl.col("recipient_id").is_in(["r1", "r2", "r7"])),
        OWN,
        None,
        NOW,
    )
    receipts = [("r1", release.name), ("r9", release.name), ("gone", release.name)]
    found = distribution(lists(members, receipts), read_sent(marts))
    assert found.drop("shown_release").rows() == [
        ("analyst", "city", date(2026, 10, 1), 1, 1, 0, 1),
        ("committee", "city", date(2026, 10, 1), 4, 3, 2, 1),
    ]
    assert tuple(found.columns) == dictionary().tables["mart_distribution"].columns


def test_what_failed_is_not_told_as_sent_and_what_is_made_again_not_at_all(marts, release):
    send_release(marts, release, people("r5"), OWN, None, NOW)
    assert distribution(lists(people()), read_sent(marts)).is_empty()
    send_release(marts, release, people("r1"), OWN, None, NOW)
    assert distribution(lists(people()), read_sent(marts)).height == 1
    assert distribution(lists(people()), read_sent(marts), release.name).is_empty()


def test_a_release_that_is_rebuilt_knows_what_was_sent_before_it_alone(marts, release, tmp_path):
    send_release(marts, release, people("r1"), OWN, None, NOW)
    (tmp_path / "anew").mkdir()
    copy_sent(marts, tmp_path / "anew", {"f" * 16})
    assert not (tmp_path / "anew" / LOG).exists()
    copy_sent(marts, tmp_path / "anew", {release.name})
    assert read_sent(tmp_path / "anew").equals(read_sent(marts))


def test_before_anything_is_sent_there_is_nothing_to_tell(tmp_path):
    assert distribution(lists(people()), read_sent(tmp_path)).is_empty()


# ---- the command ------------------------------------------------------------------------------


@pytest.fixture
def city(small_city, tmp_path, monkeypatch):
    """A city whose release and warehouse stand."""
    raw, marts = tmp_path / "raw" / "town", tmp_path / "data" / "town"
    raw.mkdir(parents=True)
    for name in ("city.yaml", "policy.yaml"):
        (raw / name).write_bytes((small_city / name).read_bytes())
    publish(marts, _build, lambda folder: None)
    (tmp_path / "work" / "town").mkdir(parents=True)
    for name, folder in (("RAW", "raw"), ("MARTS", "data")):
        monkeypatch.setenv(f"TIKKUN_DATA_{name}", str(tmp_path / folder))
    monkeypatch.setenv("TIKKUN_WORK", str(tmp_path / "work"))
    return marts


def fill(tmp_path, recipients):
    with duckdb.connect(str(tmp_path / "work" / "town" / "warehouse.duckdb")) as connection:
        for name in ("stg_act__recipients", "stg_act__tickets", "mart_ticket_source"):
            table = dictionary().tables[name]
            columns = ", ".join(
                f"{column} {dictionary().fields[column].type}" for column in table.columns
            )
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.layer}")
            connection.execute(f"CREATE TABLE {table.layer}.{name} ({columns})")
        connection.register("given", recipients)
        connection.execute("INSERT INTO staging.stg_act__recipients SELECT * FROM given")


def test_the_command_sends_and_says_who_has_no_version(city, tmp_path, capsys):
    fill(tmp_path, people())
    assert main(["town"]) == 1
    said = capsys.readouterr().out
    assert "committee: 1 sent" in said
    assert "parents: 1 this release has no such version" in said
    assert "הוועדה: 1 נשלח" in said
    assert "example.org" not in said
    assert "send" in (city / "access.tsv").read_text(encoding="utf-8")


def test_the_command_is_quiet_where_all_have_it(city, tmp_path, capsys):
    fill(tmp_path, people("r1"))
    assert main(["town"]) == 0
    assert main(["town"]) == 0
    assert "had it already" in capsys.readouterr().out


@pytest.mark.parametrize("is_loaded", [True, False])
def test_without_recipients_or_a_run_it_says_what_to_do(city, tmp_path, capsys, is_loaded):
    if is_loaded:
        fill(tmp_path, people().clear())
    assert main(["town"]) == 2
    said = capsys.readouterr().out
    assert ("make forms" if is_loaded else "make run") in said
    assert "יש ל" in said


def test_a_release_that_was_changed_is_sent_to_nobody(city, tmp_path, capsys):
    fill(tmp_path, people("r1"))
    (city / "current" / "committee" / "report.html").write_text("changed", encoding="utf-8")
    assert main(["town"]) == 2
    assert "not as published" in capsys.readouterr().out
    assert read_sent(city).is_empty()


def test_the_mail_server_stands_in_no_release(small_city):
    plain = (small_city / "city.yaml").read_text(encoding="utf-8").rstrip("\n")
    both = "\nsending: {host: mail, from: a@example.org}\nnotices: {command: sh tell.sh}\n"
    assert without_addresses(plain + both).strip() == plain.strip()
