"""Encoders that can be named are listed with what decides between them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from cutline.cli.app import app
from cutline.models.encoder_specs import encoder_names, find_spec


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_every_encoder_is_listed_once_and_those_without_a_network_first() -> None:
    found = run("encoders")
    assert found.exit_code == 0
    names = [line.split()[0] for line in found.stdout.splitlines()]
    assert sorted(names) == encoder_names()
    assert names[:3] == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


@pytest.mark.parametrize("name", ["efficientnet_lite1", "nasnet_large"])
def test_an_encoder_is_listed_with_its_sizes_and_the_source_of_its_weights(name: str) -> None:
    (line,) = (line for line in run("encoders").stdout.splitlines() if line.startswith(name))
    (facts,) = (facts for facts in json.loads(run("encoders", "--json").stdout) if facts["name"] == name)
    spec = find_spec(name)
    (height, width), (regions, depth) = spec.input_size, spec.grid_shape
    assert f"images {height} x {width}, features {regions:3} x {depth} " in line
    assert line.endswith(spec.note)
    assert facts == {
        "name": name,
        "input_size": [height, width],
        "grid_shape": [regions, depth],
        "weights": spec.note,
    }


def test_a_wrong_name_leads_to_the_list() -> None:
    found = run("train", "captions.csv", "--encoder", "resnet5")
    assert found.exit_code == 2
    assert "did you mean 'resnet50'?; 43 are known, listed by: cutline encoders" in found.stderr
