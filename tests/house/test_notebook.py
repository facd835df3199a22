"""The notebook runs from its first cell to its last, and is stored without what it printed."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "captioning.ipynb"
MINUTES = 10


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.mark.notebook
@pytest.mark.timeout(MINUTES * 60)
def test_all_cells_run(
    notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient")
    # Kernels inherit the environment: features go to a folder of their own, plots need no screen.
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    client = nbclient.NotebookClient(
        notebook, timeout=MINUTES * 60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    scores = printed_scores(notebook)
    assert set(scores) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d"}
    model, most_common_caption = scores["cider_d"]
    assert model > 2 * most_common_caption


def printed_scores(notebook: nbformat.NotebookNode) -> dict[str, tuple[float, float]]:
    """Return score → (of the model, of the most common caption), as the cell of the scores printed them."""
    cell = next(cell for cell in notebook.cells if "result.most_common.scores, name" in cell.source)
    lines = [line.split() for line in "".join(output.text for output in cell.outputs).splitlines()]
    return {line[0]: (float(line[1]), float(line[2])) for line in lines if len(line) == 3}


def test_nothing_printed_is_stored(notebook: nbformat.NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_the_first_code_cell_sets_the_paths(notebook: nbformat.NotebookNode) -> None:
    first = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "CAPTIONS = None" in first
    assert "IMAGES = None" in first
