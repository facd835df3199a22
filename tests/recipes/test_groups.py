"""Groups end to end: from a column of the table to scores of its own in the saved evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import ActingProgress
from tests.recipes.conftest import write_table

from cutline.recipes.evaluate import evaluate
from cutline.recipes.results import load_evaluation
from cutline.records import EvaluationResult, Run


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_table(tmp_path_factory.mktemp("groups"), 24, "image,caption,split", ",test", other=True)
    header, *rows = path.read_text().splitlines()
    colours = ["red" if " red" in row or ",red" in row else "other colours" for row in rows]
    lines = [f"{header},Colour", *(f"{row},{colour}" for row, colour in zip(rows, colours, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def groups_of(result: EvaluationResult, kind: str) -> dict[str, int]:
    return {part.name: part.images for part in result.slices if part.kind == kind}


def test_images_are_scored_by_the_column_that_was_asked_for(
    trained: Run, table: Path, tmp_path: Path
) -> None:
    result = evaluate(trained.folder, table, out=tmp_path, overrides={"data.group_column": "colour"})
    assert {part.kind for part in result.groups} == {"Colour"}
    assert groups_of(result, "Colour") == {"other colours": 16, "red": 8}
    assert load_evaluation(tmp_path).slices == result.slices
    red = next(part for part in result.slices if part.name == "red")
    assert red.cider_d == pytest.approx(sum(result.image_scores[key] for key in red.image_ids) / 8)


def test_without_a_column_there_are_no_groups(trained: Run, table: Path, tmp_path: Path) -> None:
    kinds = {part.kind for part in evaluate(trained.folder, table, out=tmp_path).slices}
    assert not kinds & {"Colour", "group"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (lambda number: "dog", "says 'dog' about all 24 images evaluated"),
        (lambda number: "", "says nothing about the 24 images evaluated"),
        (lambda number: f"n{number}", "most groups are of one image"),
    ],
)
def test_a_column_that_makes_no_groups_is_told(
    trained: Run, table: Path, tmp_path: Path, value: Callable[[int], str], told: str
) -> None:
    header, *rows = table.read_text().splitlines()
    images = {row.split(",")[0]: None for row in rows}
    place = {image: number for number, image in enumerate(images)}
    lines = [f"{header},kind", *(f"{row},{value(place[row.split(',')[0]])}" for row in rows)]
    other = table.with_name("other.csv")
    other.write_text("\n".join(lines) + "\n")
    heard = ActingProgress()
    result = evaluate(
        trained.folder, other, out=tmp_path, overrides={"data.group_column": "kind"}, progress=heard
    )
    assert result.groups == ()
    assert [warning for warning in heard.warnings if f"--group-column kind: {told}" in warning]
