"""From a model and images to a page or a picture that says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes import made_up_explanation

from cutline.captioner import Captioner
from cutline.errors import ConfigError, DataError, ImageError, RunError
from cutline.recipes.explain import MOST_IMAGES, explain
from cutline.records import Explanation
from cutline.report.explain_page import MARK
from cutline.wishes import Wishes


class Explaining:
    """Explains every image alike; files with "broken" in their name cannot be read."""

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation
        self.asked: list[tuple[str, int | None]] = []
        self.wishes = Wishes()

    def with_wishes(self, wishes: Wishes) -> Explaining:
        self.wishes = wishes
        return self

    def explain(self, image: str, beam_size: int | None = None) -> Explanation:
        self.asked.append((Path(image).name, beam_size))
        if "broken" in image:
            raise ImageError(f"{image}: damaged; copy it again")
        return self.explanation


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Explaining:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "broken.jpg"):
        Path(name).write_bytes(b"x")
    Path("photos").mkdir()
    fake = Explaining(made_up_explanation(Path("photos")))
    monkeypatch.setattr(Captioner, "load", lambda _: fake)
    return fake


def test_the_ending_decides_between_page_and_picture(model: Explaining) -> None:
    assert MARK in explain(["a.jpg"], "m").out.read_text(encoding="utf-8")
    assert explain(["a.jpg"], "m", "why.PNG").out.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in Path().glob("*explain*")) == ["explain.html"]


def test_what_is_asked_for_reaches_the_model(model: Explaining) -> None:
    explain(["a.jpg", "b.jpg"], "m", beam_size=4, wishes=Wishes(require=("cat",)))
    assert model.asked == [("a.jpg", 4), ("b.jpg", 4)]
    assert model.wishes.require == ("cat",)


def test_an_image_that_cannot_be_read_is_listed_beside_the_others(model: Explaining) -> None:
    found = explain(["a.jpg", "broken.jpg", "gone.jpg"], "m")
    assert len(found.explanations) == 1
    assert [record.image for record in found.failed] == ["broken.jpg", "gone.jpg"]
    assert all(record.error for record in found.failed)


def test_nothing_is_written_when_no_image_can_be_read(model: Explaining) -> None:
    for names in (["broken.jpg"], ["gone.jpg"], []):
        with pytest.raises(DataError):
            explain(names, "m")
    assert not Path("explain.html").exists()


@pytest.mark.parametrize(
    ("out", "message"), [("why.pdf", "unknown ending '.pdf'.*html.*png"), ("why", "unknown ending ''")]
)
def test_an_unknown_ending_is_refused_before_the_model_is_loaded(
    model: Explaining, out: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        explain(["a.jpg"], "m", out)
    assert model.asked == []


def test_a_folder_in_the_way_is_refused(model: Explaining) -> None:
    Path("folder.html").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        explain(["a.jpg"], "m", "folder.html")


@pytest.mark.parametrize("name", ["mine.html", "mine.png"])
def test_own_files_are_replaced_and_those_of_others_only_when_asked(model: Explaining, name: str) -> None:
    Path(name).write_text("mine")
    with pytest.raises(RunError, match="not written by cutline explain"):
        explain(["a.jpg"], "m", name)
    assert Path(name).read_text() == "mine"
    explain(["a.jpg"], "m", name, overwrite=True)
    explain(["a.jpg"], "m", name)


def test_pictures_of_training_images_are_looked_for_by_key_and_by_name(model: Explaining) -> None:
    photo = Path(model.explanation.image).read_bytes()
    for place in ("by_key/train", "by_name"):
        Path(place).mkdir(parents=True)
        (Path(place) / "0.jpg").write_bytes(photo)
    without = explain(["a.jpg"], "m").out.read_text(encoding="utf-8").count("<img")
    for folder in ("by_key", "by_name"):
        assert explain(["a.jpg"], "m", images=folder).out.read_text("utf-8").count("<img") == without + 1
    with pytest.raises(ConfigError, match="no such folder of training images"):
        explain(["a.jpg"], "m", images="nowhere")


def test_too_many_images_for_one_file_are_refused(model: Explaining) -> None:
    for number in range(MOST_IMAGES + 1):
        Path(f"photos/{number}.jpg").write_bytes(b"x")
    with pytest.raises(ConfigError, match=f"at most {MOST_IMAGES}"):
        explain(["photos/*.jpg"], "m")
    assert model.asked == []
