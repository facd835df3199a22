"""The demo's photos: captioned where model and package are there, and one line where one of them is not."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from PIL import Image
from tests.golden.make_bundles import picture

from cutline.captioner import Captioner
from cutline.progress import Silent
from cutline.recipes import demo_photos
from cutline.recipes.demo_photos import SAMPLE_PHOTOS, caption_photos
from cutline.runtime import released

BUNDLE = Path(__file__).parents[1] / "golden" / "bundles" / "version_3.zip"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "released"
    folder.mkdir()
    shutil.copy(BUNDLE, folder / f"{released.DEFAULT}.zip")
    monkeypatch.setattr(released, "folder_of_released", lambda: folder)
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scikit-image of which only the first two photos are there."""
    site = tmp_path / "site"
    facts = site / "scikit_image-9.8.7.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: scikit-image\nVersion: 9.8.7\n")
    photos = site / "skimage" / "data"
    photos.mkdir(parents=True)
    for number, sample in enumerate(SAMPLE_PHOTOS[:2]):
        Image.fromarray(picture(number)).save(photos / sample.name)
    monkeypatch.syspath_prepend(str(site))
    return photos


@pytest.mark.usefixtures("model")
def test_photos_get_captions_and_a_page_with_credits(package: Path, tmp_path: Path) -> None:
    found = caption_photos(tmp_path, Silent())
    captioner = Captioner.load(BUNDLE)
    expected = [captioner.caption(package / sample.name)[0] for sample in SAMPLE_PHOTOS[:2]]
    assert [(photo.caption, photo.confidence) for photo in found.photos] == [
        (one.text, one.confidence) for one in expected
    ]
    assert found.page == str(tmp_path / "photos.html")
    page = Path(found.page).read_text(encoding="utf-8")
    for sample, photo in zip(SAMPLE_PHOTOS, found.photos, strict=False):
        assert any(line.startswith(f"  {sample.name}: {photo.caption} (") for line in found.lines)
        assert f"{sample.credit}; {sample.licence}" in page
    assert f"Photos of scikit-image 9.8.7, captioned by {released.DEFAULT}" in found.lines[0]
    assert found.page in found.lines[-1]


@pytest.mark.usefixtures("model")
def test_without_the_package_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_of_that_name(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(demo_photos, "distribution", none_of_that_name)
    found = caption_photos(tmp_path, Silent())
    assert found.lines == (
        "No photos were captioned: scikit-image has some; install it with: pip install 'cutline[demo]'",
    )
    assert (found.photos, found.page) == ((), None)


def test_without_the_model_one_line_says_so(model: Path, package: Path, tmp_path: Path) -> None:
    (model / f"{released.DEFAULT}.zip").unlink()
    found = caption_photos(tmp_path, Silent())
    assert found.lines == (
        f"No photos were captioned: this cutline comes without the model {released.DEFAULT}",
    )
    assert not (tmp_path / "photos.html").exists()


def test_the_package_has_all_photos() -> None:
    try:
        installed = distribution("scikit-image")
    except PackageNotFoundError:
        pytest.skip("scikit-image is not installed: the extra demo")
    assert Path(str(installed.locate_file("skimage/data"))).is_dir()
    files, source = demo_photos._sample_files()
    assert [sample for sample, _ in files] == list(SAMPLE_PHOTOS)
    assert source == f"scikit-image {installed.version}"
