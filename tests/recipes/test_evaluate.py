"""Evaluating end to end: which images are scored, what is written, what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fakes import made_up_evaluation
from tests.recipes.conftest import World, write_table

from cutline.captioner import Captioner
from cutline.data.readers import read_dataset
from cutline.data.splits import load_splits
from cutline.errors import BundleError, ConfigError, CutlineError, DataError, RunError, SplitError
from cutline.evaluation import fingerprint_of
from cutline.exporting import with_graphs
from cutline.recipes.evaluate import evaluate
from cutline.recipes.results import load_evaluation, save_evaluation
from cutline.recipes.train import train
from cutline.records import EvaluationResult, Run
from cutline.runtime import load_bundle, save_bundle


@pytest.fixture(scope="module")
def result(world: World, trained: Run) -> EvaluationResult:
    return evaluate(trained.folder, world.table)


def images_of(run: Run, split: str) -> set[str]:
    return {key for key, name in load_splits(Path(run.folder) / "split.csv").items() if name == split}


def refused(error: type[CutlineError], *arguments: Any, **options: Any) -> str:
    with pytest.raises(error) as raised:
        evaluate(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_test_images_of_the_run_are_captioned_and_scored(trained, result):
    assert set(result.captions) == set(result.references) == set(result.images) == images_of(trained, "test")
    assert (result.split, result.scores.images, result.scores.references) == ("test", 2, 4)
    assert result.scores.tokenizer == "ptb"
    for key in ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l"):
        assert 0 <= getattr(result.scores, key) <= 100
    assert 0 < result.loss < 5
    assert 0 < result.word_accuracy <= 1
    assert result.decoding == "greedy, at most 40 tokens"
    # A colour square cannot be told from the most common caption alone.
    assert result.most_common.caption in {"a red square", "a green square", "a blue square", "red all over",
                                       "green all over", "blue all over"}  # fmt: skip
    assert result.scores.cider_d > result.most_common.scores.cider_d


def test_markers_are_in_neither_captions_nor_references(result):
    for text in (
        *result.captions.values(),
        *(text for texts in result.references.values() for text in texts),
    ):
        assert "<" not in text


@pytest.fixture(scope="module")
def marked(world: World) -> Run:
    """A run on captions that carry markers, which the model learns to write."""
    rows = [line.split(",") for line in world.table.read_text().splitlines()[1:]]
    lines = [f"{image},startseq {caption} endseq" for image, caption in rows]
    table = world.table.parent / "marked.csv"
    table.write_text("\n".join(["image,caption", *lines]) + "\n")
    return train(table, "show_tell", world.folder / "marked", overrides=world.options)


def test_markers_in_a_table_raise_no_score(world, marked, tmp_path):
    found = evaluate(marked.folder, world.table.parent / "marked.csv", split="all", out=tmp_path / "out")
    clean = evaluate(marked.folder, world.table, split="all", out=tmp_path / "clean")
    assert found.references == clean.references
    assert found.captions == clean.captions
    assert not any("seq" in text for text in (*found.captions.values(), found.most_common.caption))
    assert found.image_scores == clean.image_scores
    assert found.slices == clean.slices
    for one, other in zip(found.baselines, clean.baselines, strict=True):
        assert (one.name, one.scores.intervals) == (other.name, other.scores.intervals)
    everybody = (found.scores, *(baseline.scores for baseline in found.baselines))
    assert all("|markers:stripped|" in scores.signature for scores in everybody)
    assert "markers stripped from both sides" in (tmp_path / "out" / "report.html").read_text()


def test_markers_do_not_choose_the_epoch(world, marked, tmp_path):
    val = evaluate(marked.folder, world.table, split="val", out=tmp_path / "out")
    assert marked.history[marked.best_epoch - 1].cider_d == pytest.approx(val.scores.cider_d)


def test_everything_is_written_beside_the_run(trained, result):
    folder = Path(trained.folder) / "evaluation-test"
    assert sorted(path.name for path in folder.iterdir()) == [
        "captions.json",
        "evaluation.json",
        "report.html",
    ]
    assert load_evaluation(folder) == load_evaluation(folder / "evaluation.json") == result
    captions = json.loads((folder / "captions.json").read_text())
    assert captions == [{"image_id": key, "caption": text} for key, text in result.captions.items()]
    page = (folder / "report.html").read_text()
    assert "data:image/" in page
    for reference in ("http://", "https://", 'src="/'):
        assert f'="{reference}' not in page.replace('xmlns="http://www.w3.org', "")


def test_the_val_images_score_as_they_did_in_training(world, trained):
    result = evaluate(trained.folder, world.table, split="val")
    best = trained.history[trained.best_epoch - 1]
    assert set(result.captions) == images_of(trained, "val")
    assert result.loss == pytest.approx(best.val_loss, abs=1e-5)
    assert result.word_accuracy == pytest.approx(best.val_accuracy, abs=1e-6)
    assert result.scores.cider_d == pytest.approx(best.cider_d)
    assert result.diversity.unique_captions == pytest.approx(best.unique_captions)


def test_the_split_of_the_run_counts_not_a_new_draw(world, trained, tmp_path):
    options = {"data.split_seed": 99, "data.train_fraction": 0.3}
    for model in (trained.folder, f"{trained.folder}/bundle"):
        result = evaluate(model, world.table, out=tmp_path / Path(model).name, overrides=options)
        assert set(result.captions) == images_of(trained, "test")


def test_the_bundle_inside_a_run_is_evaluated_as_the_run_is(world, trained, tmp_path, monkeypatch):
    run = Path(shutil.copytree(trained.folder, tmp_path / "run"))
    shutil.rmtree(run / "evaluation-test", ignore_errors=True)
    monkeypatch.chdir(run / "bundle")
    evaluate(".", world.table)
    assert sorted(path.name for path in (run / "evaluation-test").iterdir()) == [
        "captions.json",
        "evaluation.json",
        "report.html",
    ]
    page = (run / "evaluation-test" / "report.html").read_text()
    assert "<title>run: test split" in page
    assert "Loss (teacher-forced)" in page


def test_images_the_run_has_never_seen_are_test_images(trained, tmp_path):
    table = write_table(tmp_path / "data", 3)
    text = table.read_text()
    for number, colour in enumerate(["white", "black", "gray"]):
        Image.new("RGB", (9, 9), colour).save(table.parent / "photos" / f"new{number}.png")
        text += f"photos/new{number}.png,a {colour} square\n"
    table.write_text(text)
    result = evaluate(trained.folder, table, out=tmp_path / "out")
    new = {f"photos/new{number}.png" for number in range(3)}
    assert set(result.captions) == new | (images_of(trained, "test") & {f"photos/0{n}.png" for n in range(3)})


@pytest.fixture
def odd_model(trained: Run, tmp_path: Path) -> Path:
    """The model as if it had been trained with --format, --image-column and --caption-column."""
    folder = tmp_path / "odd"
    bundle = load_bundle(Path(trained.folder) / "bundle")
    names = {"format": "table", "image_column": "bild", "caption_column": "satz"}
    details = dict(bundle.details)
    details["data_options"] = {**details["data_options"], **names}
    details["data"] = {**details["data"], "source": "captions.tab"}
    save_bundle(replace(bundle, details=details), folder)
    return folder


def test_the_columns_and_the_format_of_the_run_are_remembered(odd_model, tmp_path):
    table = write_table(tmp_path / "data", 3, "bild,satz,split", ",test", other=True)
    assert evaluate(odd_model, table, out=tmp_path / "out").scores.images == 3
    same = table.rename(table.with_name("captions.tab"))
    assert evaluate(odd_model, same, out=tmp_path / "same").scores.images == 3


def test_a_table_without_the_columns_of_the_run_is_read_by_its_own(odd_model, tmp_path):
    table = write_table(tmp_path / "data", 3, "image,caption,split", ",test", other=True)
    assert evaluate(odd_model, table, out=tmp_path / "out").scores.images == 3
    lines = [
        json.dumps({"image": f"photos/{n:02}.png", "caption": "a red dot", "split": "test"}) for n in range(3)
    ]
    other = table.with_name("captions.tab.jsonl")
    other.write_text("\n".join(lines))
    assert evaluate(odd_model, other, out=tmp_path / "lines").scores.images == 3


def test_given_columns_win_over_those_of_the_run(odd_model, tmp_path):
    table = write_table(tmp_path / "data", 3, "bild,other,split", ",test", other=True)
    assert "no column 'satz' (--caption-column)" in refused(DataError, odd_model, table, out=tmp_path / "out")
    options = {"data.caption_column": "other", "data.format": None}
    assert evaluate(odd_model, table, out=tmp_path / "out", overrides=options).scores.images == 3


def test_a_split_column_of_the_table_comes_first(trained, tmp_path):
    table = write_table(tmp_path / "data", 4, "image,caption,split", ",test", other=True)
    result = evaluate(trained.folder, table, out=tmp_path / "out")
    assert result.scores.images == 4


def test_images_the_run_was_trained_on_are_no_test_images_whatever_they_are_called(trained, tmp_path):
    table = write_table(tmp_path / "data", 24, "image,caption,split", ",test")
    (table.parent / "photos").rename(table.parent / "renamed")
    table.write_text(table.read_text().replace("photos/", "renamed/"))
    message = refused(SplitError, trained.folder, table, out=tmp_path / "out")
    trained_on = len(images_of(trained, "train"))
    assert f"{trained_on} images of split 'test' are images this run was trained on: renamed/" in message
    assert message.endswith("evaluate on others, or say so with --split all")
    assert not (tmp_path / "out").exists()


def test_another_image_of_the_same_name_is_a_test_image(trained, tmp_path):
    table = write_table(tmp_path / "data", 24, other=True)
    assert evaluate(trained.folder, table, out=tmp_path / "out").scores.images == 24


def test_all_images_may_be_asked_for(world, trained, tmp_path):
    result = evaluate(trained.folder, world.table, split="all", out=tmp_path / "out")
    assert result.scores.images == 24
    assert (result.split, result.scores.references) == ("all", 48)


def test_decoding_may_be_changed_and_is_named(world, trained, tmp_path):
    options = {"decoding.beam_size": 3, "decoding.length_penalty": 0.5, "decoding.max_length": 5}
    result = evaluate(trained.folder, world.table, out=tmp_path / "out", overrides=options)
    assert result.decoding == "beam search, beam size 3, length penalty 0.5, at most 5 tokens"


def test_a_broken_image_is_left_out_and_listed(trained, tmp_path):
    table = write_table(tmp_path / "data", 4, "image,caption,split", ",test", other=True)
    picture = table.parent / "photos" / "02.png"
    picture.write_bytes(picture.read_bytes()[:40])
    result = evaluate(trained.folder, table, out=tmp_path / "out")
    assert "photos/02.png" not in result.captions
    assert [problem.kind for problem in result.problems] == ["unreadable image"]
    assert load_evaluation(tmp_path / "out").problems == result.problems


def test_an_evaluation_is_replaced_and_anything_else_is_not(world, trained, result, tmp_path):
    out = tmp_path / "out"
    save_evaluation(out, made_up_evaluation(tmp_path))
    evaluate(trained.folder, world.table, out=out)
    assert load_evaluation(out) == result
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    for foreign in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        message = refused(RunError, trained.folder, world.table, out=foreign)
        assert message == f"{foreign}: exists and is not an evaluation; choose another folder with --out"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_bundle_alone_is_evaluated_into_the_current_folder(world, trained, tmp_path, monkeypatch):
    shutil.copytree(f"{trained.folder}/bundle", tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    evaluate("model", world.table)
    assert (tmp_path / "evaluation-test" / "captions.json").exists()
    (tmp_path / "evaluation-val").mkdir()
    (tmp_path / "evaluation-val" / "thesis.txt").touch()
    assert "exists and is not an evaluation" in refused(RunError, "model", world.table, split="val")


def test_what_cannot_be_evaluated_is_refused_in_one_line(world, trained, tmp_path):
    assert refused(DataError, trained.folder, world.table, split="dev") == (
        "--split 'dev': allowed are train, val, test and all"
    )
    assert "no such model" in refused(BundleError, tmp_path / "none", world.table)
    out = tmp_path / "out"
    message = refused(ConfigError, trained.folder, world.table, out=out, overrides={"decoding.beam": 2})
    assert "did you mean beam_size?" in message
    message = refused(ConfigError, trained.folder, world.table, out=out, overrides={"decodin.beam_size": 2})
    assert message == "unknown option decodin.beam_size; evaluating knows those of data, text, decoding"
    table = write_table(tmp_path / "data", 3, "image,caption,split", ",train")
    assert "no image is in split 'test' (found: train 2, val 1)" in refused(
        SplitError, trained.folder, table, out=out
    )
    assert not out.exists()


def test_images_that_are_elsewhere_lead_to_the_images_option(trained, tmp_path):
    table = write_table(tmp_path / "data", 6)
    photos = (table.parent / "photos").rename(tmp_path / "photos")
    message = refused(DataError, trained.folder, table, out=tmp_path / "out")
    assert "--images DIR" in message
    assert "none of its 6 image files can be read" in message
    shutil.copytree(photos, table.parent / "photos")
    for number in range(4):
        (table.parent / "photos" / f"{number:02}.png").unlink()
    message = refused(DataError, trained.folder, table, out=tmp_path / "out")
    assert "4 of 6 image files cannot be read" in message
    assert message.endswith("--images DIR")


def test_a_split_whose_images_are_all_broken_is_refused(trained, tmp_path):
    table = write_table(tmp_path / "data", 3, "image,caption,split", ",test", other=True)
    for picture in (table.parent / "photos").iterdir():
        picture.write_bytes(picture.read_bytes()[:40])
    message = refused(DataError, trained.folder, table, out=tmp_path / "out")
    assert message == f"{table}: none of the images of split 'test' can be read"


def test_image_ids_of_coco_are_numbers_in_its_results_file(tmp_path):
    result = made_up_evaluation(tmp_path, captions={"42": "a dog", "x7": "a cat"})
    save_evaluation(tmp_path, result, numeric_ids=True)
    assert json.loads((tmp_path / "captions.json").read_text()) == [
        {"image_id": 42, "caption": "a dog"},
        {"image_id": "x7", "caption": "a cat"},
    ]


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b"\xff", b'{"scores": 3}'])
def test_what_is_no_evaluation_is_refused_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "evaluation.json").write_bytes(content)
    with pytest.raises(
        DataError, match=r"evaluation\.json: not a saved evaluation .*run cutline evaluate"
    ) as error:
        load_evaluation(tmp_path)
    assert "\n" not in str(error.value)


def test_a_good_model_looks_at_the_pictures_and_beats_everybody_but_people(world, trained, tmp_path):
    found = evaluate(trained.folder, world.table, split="all", out=tmp_path / "out")
    assert found.looking.looking
    assert found.looking.fall > 0.5
    assert found.looking.cider_d == pytest.approx(found.scores.cider_d)
    names = [baseline.name for baseline in found.baselines]
    assert names == ["human", "most common caption", "random training caption", "nearest neighbour",
                     "consensus of neighbours"]  # fmt: skip
    assert all(baseline.scores.intervals for baseline in found.baselines)
    examples = read_dataset(world.table).examples
    images = {example.image_id: Path(example.image).read_bytes() for example in examples}
    identified = [replace(e, digest=hashlib.sha256(images[e.image_id]).hexdigest()) for e in examples]
    assert found.scores.signature.endswith(f"|split:all|data:{fingerprint_of(identified)}")
    assert load_evaluation(tmp_path / "out") == found


def test_without_training_images_at_hand_it_is_said_who_is_not_compared(trained, tmp_path):
    table = write_table(tmp_path / "data", 4, "image,caption,split", ",test", other=True)
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], *lines[1::2]]) + "\n")
    found = evaluate(trained.folder, table, out=tmp_path / "out")
    assert [baseline.name for baseline in found.baselines] == ["most common caption"]
    assert found.diversity.novel_captions is None
    assert [note.partition(":")[0] for note in found.notes] == [
        "no random training caption and no neighbours",
        "no score of people",
        "no confidence",
        "images unlike the training images are not told apart",
    ]
    assert load_evaluation(tmp_path / "out").notes == found.notes


def test_a_bundle_alone_knows_its_training_images_by_the_table_they_were_in(world, trained, tmp_path):
    shutil.copytree(f"{trained.folder}/bundle", tmp_path / "model")
    found = evaluate(tmp_path / "model", world.table, out=tmp_path / "out")
    assert found.baseline("nearest neighbour") == evaluate(
        trained.folder, world.table, out=tmp_path / "run"
    ).baseline("nearest neighbour")
    other = write_table(tmp_path / "data", 12)
    found = evaluate(tmp_path / "model", other, out=tmp_path / "other")
    assert found.baseline("nearest neighbour") is None
    assert "not the table that the model was trained on" in found.notes[0]


def test_a_training_image_stays_one_whatever_the_table_calls_its_split(world, trained, tmp_path):
    plain = evaluate(trained.folder, world.table, split="all", out=tmp_path / "out")
    called_test = world.table.parent / "called_test.csv"
    rows = world.table.read_text().splitlines()
    called_test.write_text("\n".join([f"{rows[0]},split", *(f"{row},test" for row in rows[1:])]) + "\n")
    again = evaluate(trained.folder, called_test, split="all", out=tmp_path / "again")
    assert again.baseline("consensus of neighbours").scores.cider_d == pytest.approx(
        plain.baseline("consensus of neighbours").scores.cider_d
    )


def test_a_beam_is_measured_by_how_much_its_captions_differ(world, trained, tmp_path):
    assert evaluate(trained.folder, world.table, out=tmp_path / "greedy").diversity.self_cider is None
    options = {"decoding.beam_size": 3}
    found = evaluate(trained.folder, world.table, out=tmp_path / "beam", overrides=options)
    assert 0 < found.diversity.self_cider <= 1


def test_a_model_that_does_not_look_is_caught(world, trained, tmp_path):
    bundle = load_bundle(Path(trained.folder) / "bundle")
    # Nothing of the image gets through these layers any more, whatever else the model has learned.
    blind = {
        name: np.zeros_like(array) if name.startswith("image_") and name.endswith("/kernel") else array
        for name, array in bundle.decoder_arrays.items()
    }
    assert sum(not array.any() for array in blind.values()) >= 3
    save_bundle(with_graphs(replace(bundle, decoder_arrays=blind)), tmp_path / "blind")
    found = evaluate(tmp_path / "blind", world.table, split="all", out=tmp_path / "out")
    assert not found.looking.looking
    assert found.looking.fall < 0.5
    assert found.looking.causes


@pytest.fixture(scope="module")
def other(world: World) -> Run:
    """A run on the same images from other first weights."""
    options = {**world.options, "training.seed": 1, "decoder.lstm_units": 16, "training.epochs": 1}
    return train(world.table, "show_tell", world.folder / "other", overrides=options)


def test_a_model_together_with_itself_is_scored_as_it_is_alone(world, trained, result, tmp_path):
    found = evaluate(trained.folder, world.table, together_with=[trained.folder], out=tmp_path / "out")
    assert found.captions == result.captions
    assert replace(found.scores, signature="") == replace(result.scores, signature="")
    assert "2 models together" in found.scores.signature
    assert found.loss == pytest.approx(result.loss, rel=1e-5)
    assert found.word_accuracy == result.word_accuracy
    assert found.looking == result.looking
    assert found.model == f"{trained.folder}/bundle + {trained.folder}/bundle"
    assert any("holds for no others" in note for note in found.notes)
    assert load_evaluation(tmp_path / "out") == found
    assert (tmp_path / "out" / "report.html").exists()


def test_models_with_encoders_of_their_own_are_scored_and_caption_alike(world, trained, other, tmp_path):
    import keras

    image = keras.Input((6, 10, 3))
    small = keras.layers.AveragePooling2D(2)(keras.layers.Rescaling(1 / 255)(image))
    keras.Model(image, keras.layers.Flatten()(small)).save(tmp_path / "small.keras")
    options = {**world.options, "encoder.name": str(tmp_path / "small.keras"), "training.epochs": 1}
    third = train(world.table, "show_tell", tmp_path / "third", overrides=options)
    others = [other.folder, third.folder]
    found = evaluate(trained.folder, world.table, together_with=others, out=tmp_path / "out", split="all")
    captioner = Captioner.load([trained.folder, *others])
    for image_id, path in found.images.items():
        assert captioner.caption(path)[0].text == found.captions[image_id]
    assert found.decoding == "3 models together, greedy, at most 40 tokens"


def test_an_ensemble_needs_a_folder_and_images_that_no_member_was_trained_on(world, trained, other, tmp_path):
    assert "name its folder (--out)" in refused(
        ConfigError, trained.folder, world.table, together_with=[other.folder]
    )
    assert "learning curve is that of one model" in refused(
        ConfigError, trained.folder, world.table, together_with=[other.folder], out=tmp_path / "out",
        learning_curve=True,
    )  # fmt: skip
    moved = shutil.copytree(other.folder, tmp_path / "moved")
    split = moved / "split.csv"
    split.write_text(split.read_text().replace(",test", ",train"), encoding="utf-8")
    assert "are images this run was trained on" in refused(
        SplitError, trained.folder, world.table, together_with=[moved], out=tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_evaluating_loads_no_framework(world, trained, tmp_path):
    program = (
        "import sys\n"
        "from cutline.recipes.evaluate import evaluate\n"
        f"result = evaluate({trained.folder!r}, {str(world.table)!r}, out={str(tmp_path / 'out')!r})\n"
        "loaded = [name for name in ('tensorflow', 'keras', 'onnx') if name in sys.modules]\n"
        "print(len(result.captions), loaded)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    images, _, loaded = done.stdout.splitlines()[-1].partition(" ")
    assert int(images) > 0
    assert loaded == "[]"
