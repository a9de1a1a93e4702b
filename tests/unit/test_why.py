"""The command "why": without a release it says what to do."""

from __future__ import annotations

from pipelines.commands.why import main


def test_a_city_without_a_release_is_told_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TIKKUN_DATA_MARTS", str(tmp_path))
    assert main(["demo_city", "900001", "milat"]) == 1
    said = capsys.readouterr().out
    assert "make run CITY=demo_city" in said
    assert "טרם פורסם" in said
