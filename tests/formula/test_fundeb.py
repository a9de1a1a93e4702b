"""Brazil's FUNDEB 2024 from its declaration alone, to the centavo: 5,595 networks, R$ 46 bn."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from models.formula import apply
from pipelines.settings.formula import declaration, engines

CENT = 1  # centavo: every top-up within R$ 0.01


@pytest.fixture(scope="module")
def fundeb(shared_data):
    folder = shared_data / "reference/fundeb_2024"

    def read(name, **types):
        return pl.read_csv(folder / f"{name}.csv", infer_schema_length=None, schema_overrides=types)

    def centavos(column):
        return (100 * pl.col(column)).round().cast(pl.Int64)

    networks = (
        read("matriculas")
        .join(read("complementar"), on="ibge")
        .with_columns(is_eligible_vaat=~pl.col("inabilitados_vaat"))
    )
    published = read("cenario_atual").select(
        "ibge", "uf", *(centavos(f"complemento_{part}").alias(part) for part in ("vaaf", "vaat"))
    )
    known = json.loads((folder.parent / "known_answers.json").read_text())["fundeb_2024"]
    parts = declaration.validate_python(
        yaml.safe_load((Path(__file__).parent / "fundeb_2024.yaml").read_text(encoding="utf-8"))
    )
    return networks, published, known, parts


def given(parts, networks):
    """What each pot gives, with the money in hand unrounded."""
    pots = {name: part.pot.agorot.value for name, part in parts.items() if part.pot}
    return {
        found.part.name: found
        for found in apply(engines(parts), networks, pots, key="ibge")
        if found.part.kind == "pot"
    }


@pytest.mark.parametrize("part", ["vaaf", "vaat"])
def test_floor_and_every_top_up_are_the_published_ones(fundeb, part):
    networks, published, known, parts = fundeb
    found = given(parts, networks)[part]
    assert round(float(found.level) / 100, 2) == known["published"][f"{part}_min"]
    both = found.units.join(published, on="ibge")
    assert both.height == 5_595
    off = (both["amount_agorot"] - both[part]).abs()
    assert off.max() <= CENT
    assert (off > 0).sum() <= 5  # ties of half a centavo
    raised = both.filter(pl.col("amount_agorot") > 0)
    if part == "vaaf":
        assert sorted(raised["uf"].unique()) == known["recomputed"]["states"]
    else:
        assert raised.height == known["recomputed"]["vaat_networks"]
        excluded = networks.filter(~pl.col("is_eligible_vaat"))
        assert excluded.height == 94
        assert raised.join(excluded, on="ibge", how="semi").is_empty()
    # Rounded one by one, amounts miss the pot by what rounding 5,595 numbers makes plausible.
    assert abs(found.left) < 100


def test_the_three_parts_are_the_unions_whole_contribution(fundeb):
    networks, _, known, parts = fundeb
    found = given(parts, networks)
    assert sum(part.pot_agorot for part in found.values()) == round(
        100 * known["published"]["union_total"]
    )
    by_results = found["vaar"]
    assert by_results.units["amount_agorot"].sum() == by_results.pot_agorot


def test_a_wrong_weight_is_seen(fundeb):
    """The check can fail: one weight of 41 off by .01 moves the floor."""
    networks, _, known, parts = fundeb
    stated = parts["vaat"].model_dump()
    stated["points"][0]["weights"]["creche_integral_rede_publica"] += 0.01
    changed = parts | declaration.validate_python({"vaat": stated})
    level = given(changed, networks)["vaat"].level
    assert round(float(level) / 100, 2) != known["published"]["vaat_min"]
