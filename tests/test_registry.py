from __future__ import annotations

import pytest

from cutline.errors import ConfigError, UnknownNameError
from cutline.registry import Registry, require_known


def shapes() -> Registry:
    registry: Registry = Registry("shape")
    for name in ("square", "circle", "triangle"):
        registry.register(name)(lambda name=name: name)
    return registry


def test_a_builder_is_found_under_its_name():
    assert shapes().get("circle")() == "circle"
    assert shapes().names() == ["circle", "square", "triangle"]


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        shapes().get("cirle")
    assert str(error.value) == (
        "unknown shape 'cirle'; known: circle, square, triangle; did you mean 'circle'?"
    )


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(ConfigError, match=r"known: a, b$"):
        require_known("letter", "12345", ["b", "a"])


def test_a_name_is_given_once():
    registry = shapes()
    with pytest.raises(ValueError, match="'circle' is registered twice"):
        registry.register("circle")(lambda: "another")
    assert registry.get("circle")() == "circle"
