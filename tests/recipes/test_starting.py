"""Training that starts from another model: what is kept, what is new, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tests.fakes import ActingProgress
from tests.recipes.conftest import World, write_table

from cutline.captioner import Captioner
from cutline.config import RunConfig, read_toml, validate
from cutline.data.splits import load_splits, save_splits
from cutline.ensembles import encode_images, read_image
from cutline.errors import BundleError, ConfigError, CutlineError, ExportError, RunError, WeightsError
from cutline.evaluation.adapted_ngrams import LearnedBefore
from cutline.evaluation.expected_ngrams import learn_expected
from cutline.metrics import DocumentFrequencies
from cutline.models.encoders import Encoder
from cutline.progress import Silent
from cutline.recipes import confidence, phases, quantising, starting
from cutline.recipes.asked import Asked
from cutline.recipes.export import export
from cutline.recipes.export_bundle import BundleContent
from cutline.recipes.run_options import new_options
from cutline.recipes.starting import learned_before, load_start, warn_of_known_images
from cutline.recipes.train import train
from cutline.recipes.validation import tell_gain
from cutline.records import Dataset, Example, Run
from cutline.runtime import load_bundle, open_session
from cutline.runtime.onnx_session import OnnxEncoder
from cutline.runtime.saving import save_bundle
from cutline.text import Tokenizer

OPTIONS = {
    "training.epochs": 2,
    "training.batch_size": 5,
    "training.learning_rate": 0.01,
    "text.min_count": 2,
}


@pytest.fixture(scope="module")
def tiles(world: World) -> Path:
    """Other pictures, with a word that the model has not seen."""
    table = write_table(world.folder / "tiles", 12, other=True)
    table.write_text(table.read_text().replace("square", "tile"))
    return table


@pytest.fixture(scope="module")
def light(world: World, trained: Run) -> Path:
    """The trained run as graphs alone, both in int8."""
    out = world.folder / "light.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantising, "_cider_d", lambda *_: 50.0)
        both: dict[str, Any] = {"encoder_precision": "int8", "decoder_precision": "int8"}
        content = BundleContent(weights=False)
        export(trained.folder, out, "bundle", content=content, data=world.table, **both)
    return out


@pytest.fixture(scope="module")
def from_light(world: World, tiles: Path, light: Path) -> tuple[Run, ActingProgress]:
    progress = ActingProgress()
    folder = world.folder / "from-light"
    return train(tiles, run=folder, start=light, overrides=OPTIONS, progress=progress), progress


def refused(error: type[CutlineError], *arguments: Any, **options: Any) -> str:
    with pytest.raises(error) as raised:
        train(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_it_goes_on_from_what_the_model_knows(trained, tiles, from_light):
    run, progress = from_light
    before, after = (load_bundle(Path(folder) / "bundle") for folder in (trained.folder, run.folder))
    assert after.vocabulary.tokens == (*before.vocabulary.tokens, "tile")
    assert (after.decoder, after.feature_shape) == (before.decoder, before.feature_shape)
    assert after.encoder_spec == before.encoder_spec
    assert run.history[0].train_loss < trained.history[0].train_loss / 1.5
    notes = "\n".join(progress.notes)
    assert "light.zip; tokens new to it: 1" in notes
    assert "the model that training starts from: val captions BLEU-4 " in notes
    stamp = json.loads((Path(run.folder) / "start.json").read_text())
    score = stamp.pop("val_cider_d")
    assert after.details["started_from"] == stamp
    assert f"CIDEr-D {score:.1f}" in notes
    assert stamp["name"] == "trained"
    photo = tiles.parent / "photos" / "00.png"
    assert "red" in Captioner.load(run.folder).caption(photo)[0].tokens


def test_new_tokens_begin_by_what_all_train_captions_say_and_once(
    trained, tiles, light, tmp_path, monkeypatch
):
    found = []

    def begin(decoder, known, counts, batches, sample, stage):
        read = [int(targets.shape[0]) for _, targets, _ in batches()]
        found.append((known, len(counts), sum(read), sum(int(one[1].shape[0]) for one in sample())))

    monkeypatch.setattr(phases, "begin_new_tokens", begin)
    folder = tmp_path / "run"
    stopped = ActingProgress("epoch 2", 2, interrupt)
    assert train(tiles, run=folder, start=light, overrides=OPTIONS, progress=stopped).interrupted
    train(tiles, run=folder, start=light, resume=True)
    known = len(load_bundle(Path(trained.folder) / "bundle").vocabulary)
    captions = 2 * list(load_splits(folder / "split.csv").values()).count("train")
    assert found == [(known, known + 1, captions, captions)]


def test_options_are_the_models_and_stand_in_the_config(trained, tiles, from_light, light, monkeypatch):
    config = validate(RunConfig, read_toml(Path(from_light[0].folder) / "config.toml"))
    before = validate(RunConfig, read_toml(Path(trained.folder) / "config.toml"))
    assert config.start.model == str(light)
    assert (config.preset, config.decoder) == ("show_tell", before.decoder)
    assert (config.encoder.name, config.encoder.features) == ("mean_colour.keras", "pooled")
    assert (config.text.level, config.text.min_count) == ("word", 2)
    monkeypatch.chdir(light.parent)
    options = new_options(Asked(overrides={"start.model": light.name, "decoder.dropout": 0.7}))
    assert options.start.model == str(light)
    assert options.decoder == before.decoder.model_copy(update={"dropout": 0.7})


@pytest.mark.parametrize(("consensus", "preset"), [(0, "show_tell"), (40, "pooled")])
def test_a_model_whose_captions_are_voted_on_goes_on_with_the_preset_that_votes(
    trained, monkeypatch, consensus, preset
):
    bundle = load_bundle(Path(trained.folder) / "bundle")
    voted = replace(bundle, decoding=bundle.decoding.model_copy(update={"consensus": consensus}))
    monkeypatch.setattr(starting, "load_bundle", lambda *_, **__: voted)
    options = new_options(Asked(overrides={"start.model": str(trained.folder)}))
    assert (options.preset, options.decoder, options.decoding.consensus) == (
        preset,
        bundle.decoder,
        consensus,
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [({}, 224), ({"input_size": [64, 64]}, 64), ({"input_size": [9, 7], "own_network": {}}, 0)],
)
def test_the_size_of_images_comes_with_the_model(trained, monkeypatch, told, expected):
    bundle = load_bundle(Path(trained.folder) / "bundle")
    spec = {"name": "efficientnet_lite0", **told}
    monkeypatch.setattr(starting, "load_bundle", lambda *_, **__: replace(bundle, encoder_spec=spec))
    start = {"start.model": str(trained.folder)}
    options = new_options(Asked(overrides=start))
    assert (options.encoder.name, options.encoder.input_size) == ("efficientnet_lite0", expected)
    # 0 asks for whatever it is there.
    for size in (0, expected):
        assert new_options(Asked(overrides={**start, "encoder.input_size": size})).encoder.input_size == size


@pytest.mark.parametrize("found", [[], 5, "224", [0, 0]])
def test_a_model_whose_size_of_images_is_none_is_refused(trained, tiles, monkeypatch, found):
    bundle = load_bundle(Path(trained.folder) / "bundle")
    spec = {"name": "efficientnet_lite0", "input_size": found}
    monkeypatch.setattr(starting, "load_bundle", lambda *_, **__: replace(bundle, encoder_spec=spec))
    assert "damaged: 'input_size' is" in refused(WeightsError, tiles, start=trained.folder)


def test_a_path_may_begin_at_home(trained, monkeypatch):
    folder = Path(trained.folder)
    monkeypatch.setenv("HOME", str(folder.parent))
    options = new_options(Asked(overrides={"start.model": f"~/{folder.name}"}))
    assert options.start.model == str(folder)
    with pytest.raises(BundleError, match=r"^~nobody-is-called-so: no such model"):
        new_options(Asked(overrides={"start.model": "~nobody-is-called-so"}))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"decoder.lstm_units": 32}, "decoder.lstm_units is 24 there, asked for 32"),
        ({"decoder.name": "merge"}, "decoder.name is 'show_tell' there, asked for 'merge'"),
        ({"encoder.name": "resnet50"}, "encoder.name is 'mean_colour.keras' there, asked for 'resnet50'"),
        ({"encoder.input_size": 64}, "encoder.input_size is 0 there, asked for 64"),
        ({"encoder.weights": "random"}, "encoder.weights are its own, asked for 'random'"),
        ({"text.level": "character"}, "text.level is 'word' there, asked for 'character'"),
        ({"text.lowercase": False}, "text.lowercase is True there, asked for False"),
    ],
)
def test_what_the_model_fixes_cannot_be_changed(trained, tiles, tmp_path, asked, told):
    message = refused(ConfigError, tiles, run=tmp_path / "run", start=trained.folder, overrides=asked)
    assert message == (
        f"{trained.folder}: training starts from its encoder and decoder, which stay what they are: {told}; "
        "leave these options out, or train without --from"
    )
    assert not (tmp_path / "run").exists()


def test_a_preset_for_another_decoder_is_refused(trained, tiles):
    message = refused(ConfigError, tiles, "attend", start=trained.folder)
    assert "its decoder is show_tell, which the preset 'attend' is not for" in message


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"training.epochs": 0}, "training.epochs is 0, which only a start.model allows"),
        (
            {"training.epochs": 0, "start.model": "anything"},
            "training.epochs, fine_tune.epochs and self_critical.epochs are all 0",
        ),
    ],
)
def test_nothing_to_train_is_refused(asked, told):
    with pytest.raises(ConfigError, match=told):
        validate(RunConfig, {"training": {"epochs": 0}, "start": {"model": asked.get("start.model", "")}})


def test_no_such_model_is_told_before_anything_is_read(tmp_path):
    assert "no such model" in refused(BundleError, tmp_path / "none.csv", start=tmp_path / "none")


@pytest.mark.slow
def test_captions_of_its_own_can_be_all_that_is_trained_on(trained, tiles, tmp_path):
    own = {"training.epochs": 0, "self_critical.epochs": 1, "self_critical.max_length": 5}
    run = train(tiles, run=tmp_path / "run", start=trained.folder, overrides={**OPTIONS, **own})
    assert (tmp_path / "run" / "bundle" / "encoder.npz").exists()
    assert [record.objective for record in run.history] == ["self_critical"]
    assert run.history[0].reward > 0
    assert Captioner.load(run.folder).caption(tiles.parent / "photos" / "00.png")[0].tokens


def test_what_was_learned_of_captions_is_gone_on_with(trained, tiles, tmp_path):
    bundle = load_bundle(Path(trained.folder) / "bundle")
    photos = [str(tiles.parent / "photos" / f"{number:02}.png") for number in range(12)]
    session = open_session(bundle)
    encoded = encode_images(session, [read_image(session, photo) for photo in photos])
    features = {str(number): one for number, one in enumerate(encoded)}
    examples = [
        Example(photo, photo, (f"a {colour} tile", f"a {colour} stone"), digest=str(number))
        for number, (photo, colour) in enumerate(zip(photos, ("red", "green", "blue") * 4, strict=True))
    ]
    known = learn_expected(
        lambda digests: np.stack([features[digest] for digest in digests]), examples, Tokenizer(), Silent()
    )
    assert known is not None
    save_bundle(replace(bundle, expected=known), tmp_path / "knowing")
    own = {"training.epochs": 1, "training.keep_captions": False}
    run = train(tiles, run=tmp_path / "run", start=tmp_path / "knowing", overrides={**OPTIONS, **own})
    found = load_bundle(Path(run.folder) / "bundle").expected
    assert found is not None, "alone these images are too few to learn from"
    words = DocumentFrequencies.from_arrays(found.frequencies).index.words()
    assert {"stone", "all"} <= set(words), "one is the model's, the other that of the new captions"
    assert len(found.steps) > len(known.steps)


def test_what_was_learned_is_known_with_its_images_unless_features_change(trained):
    options = new_options(Asked(overrides={"start.model": trained.folder}))
    start = load_start(options)
    assert start is not None
    assert learned_before(start, options) is None, "nothing was learned of so few images"
    expected = cast("Any", "what was learned")
    start = replace(start, bundle=replace(start.bundle, expected=expected))
    known = learned_before(start, options)
    assert known is not None
    assert known.expected == expected
    splits = load_splits(Path(trained.folder) / "split.csv", key="digest")
    assert known.digests == {digest for digest, split in splits.items() if split == "train"}
    assert len(known.digests) > 5
    tuned = new_options(Asked(overrides={"start.model": trained.folder, "fine_tune.epochs": 1}))
    assert learned_before(start, tuned) is None
    assert learned_before(None, options) is None


@pytest.mark.parametrize(("share", "asked"), [(1.0, 0), (0.5, 6)])
def test_images_that_were_learned_from_are_not_learned_from_again(monkeypatch, share, asked):
    examples = [Example(f"{n}", f"{n}", ("a dog",), "train", digest=f"{n}") for n in range(12)]
    before = LearnedBefore(cast("Any", "before"), frozenset(f"{n}" for n in range(int(12 * share))))
    seen = []
    monkeypatch.setattr(confidence, "adapt_expected", lambda _, read, new, *rest: seen.append(len(new)))
    progress = ActingProgress()
    found = confidence._gone_on(before, examples, cast("Any", None), Tokenizer(), progress)
    assert sum(seen) == asked
    assert found == (None if asked else "before")
    assert any("left out" in note for note in progress.notes) == bool(asked)


def test_graphs_alone_are_enough_to_start_from(from_light, light, tiles, tmp_path):
    run, _ = from_light
    folder = Path(run.folder) / "bundle"
    before, after = load_bundle(light), load_bundle(folder)
    assert not (folder / "encoder.npz").exists()
    assert not (Path(run.folder) / "encoder.npz").exists()
    assert (folder / "encoder.onnx").read_bytes() == before.graphs["encoder.onnx"]
    assert after.details["precision"] == {"encoder": "int8"}
    assert after.details["encoder_fingerprint"] == before.details["encoder_fingerprint"]
    assert after.decoder_arrays
    assert "tile" in after.vocabulary
    # Its val scores were measured with what is in it.
    assert "(in float32)" not in (folder / "card.md").read_text(encoding="utf-8")
    photo = tiles.parent / "photos" / "01.png"
    captions = [Captioner.load(folder).caption(photo)[0].text]
    for out in (tmp_path / "copy.zip", tmp_path / "copy"):
        export(run.folder, out, "bundle")
        captions.append(Captioner.load(out).caption(photo)[0].text)
        assert load_bundle(out).decoder_arrays.keys() == after.decoder_arrays.keys()
    assert len(set(captions)) == 1


def test_a_model_whose_encoder_is_a_graph_says_what_it_cannot_do(from_light, light, tiles, tmp_path):
    run, _ = from_light
    without = r"has its encoder as a graph, without weights: Keras, and exports"
    with pytest.raises(BundleError, match=without):
        open_session(load_bundle(Path(run.folder) / "bundle"), "keras")
    with pytest.raises(BundleError, match=without):
        export(run.folder, tmp_path / "saved", "saved_model")
    tuned = {**OPTIONS, "fine_tune.epochs": 1}
    message = refused(ConfigError, tiles, run=tmp_path / "run", start=light, overrides=tuned)
    assert message.startswith(f"fine_tune.epochs is 1, and {light} has its encoder as a graph")
    assert not (tmp_path / "run").exists()


def test_graphs_with_a_table_of_gates_cannot_be_started_from(trained, tiles, tmp_path):
    content = BundleContent(weights=False)
    table = export(trained.folder, tmp_path / "table.zip", "bundle", content=content).out
    assert "cannot be read from decoder_step.onnx" in refused(ExportError, tiles, start=table)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_it_is_told_when_no_epoch_is_better_than_the_start(from_light):
    progress = ActingProgress()
    record, best = from_light[0].history[0], 30.0
    history = [replace(record, cider_d=20.0), replace(record, epoch=2, cider_d=best)]
    for before in (None, best - 0.1):
        tell_gain(before, history, progress)
    tell_gain(best, (), progress)
    tell_gain(0.0, [replace(record, cider_d=0.0)], progress)
    assert progress.notes == []
    for before in (best, best + 1):
        tell_gain(before, history, progress)
    equal, worse = progress.notes
    assert f"(CIDEr-D {best:.1f}, now {best:.1f})" in equal
    assert f"(CIDEr-D {best + 1:.1f}, now {best:.1f})" in worse


@pytest.mark.slow
def test_an_interrupted_run_ends_like_one_that_was_not(from_light, light, tiles, tmp_path):
    folder = tmp_path / "run"
    stopped = ActingProgress("epoch 2", 2, interrupt)
    part = train(tiles, run=folder, start=light, overrides=OPTIONS, progress=stopped)
    assert (part.interrupted, len(part.history)) == (True, 1)
    again = ActingProgress()
    run = train(tiles, run=folder, start=light, resume=True, progress=again)
    assert not any("that training starts from: val" in note for note in again.notes)
    whole = from_light[0]
    assert [replace(record, seconds=0) for record in run.history] == [
        replace(record, seconds=0) for record in whole.history
    ]
    arrays = [load_bundle(Path(one.folder) / "bundle").decoder_arrays for one in (run, whole)]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[1])


def test_a_resumed_run_notices_another_model_and_none(trained, tiles, light, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "cutline.recipes.train.train_phases",
        lambda corridor, resume, progress: Run(str(corridor.folder), (), 0, interrupted=True),
    )
    model = Path(shutil.copy(light, tmp_path / "model.zip"))
    train(tiles, run=tmp_path / "run", start=model, overrides=OPTIONS)
    export(light, model, "bundle", content=BundleContent(licence="MIT"), overwrite=True)
    message = refused(RunError, tiles, run=tmp_path / "run", resume=True)
    assert message == (
        f"{tmp_path / 'run'}: --resume with another start: {model} has changed; put it back as it was, or "
        "start a new run"
    )
    model.unlink()
    message = refused(RunError, tiles, run=tmp_path / "run", resume=True)
    assert message.startswith(
        f"{tmp_path / 'run'}: --resume needs the model that training started from: {model}: no such model"
    )
    with pytest.raises(RunError, match=r"start\.model was .* is now"):
        train(tiles, run=tmp_path / "run", start=trained.folder, resume=True)


def test_an_int8_encoder_is_taken_as_it_captions_unless_it_is_to_be_trained(
    trained, world, tmp_path, monkeypatch
):
    monkeypatch.setattr(quantising, "_cider_d", lambda *_: 50.0)
    out = export(trained.folder, tmp_path / "int8", "bundle", encoder_precision="int8", data=world.table).out
    for epochs, kind in ((0, OnnxEncoder), (1, Encoder)):
        options = new_options(Asked(overrides={"start.model": str(out), "fine_tune.epochs": epochs}))
        start = load_start(options)
        assert start is not None
        assert isinstance(start.encoder(options.encoder), kind)


@pytest.mark.parametrize(("now", "told"), [("val", 1), ("test", 1), ("train", 0)])
def test_images_that_the_model_has_learned_are_no_test_of_it(tmp_path, now, told):
    def dataset(split: str) -> Dataset:
        examples = [Example("new.png", "new.png", ("a dot",), "val", "b" * 64)]
        return Dataset(
            (Example("old.png", "old.png", ("a dot",), split, "a" * 64), *examples), "t.csv", "table"
        )

    save_splits(dataset("train"), tmp_path / "split.csv")
    progress = ActingProgress()
    warn_of_known_images(str(tmp_path), dataset(now), progress)
    assert len(progress.warnings) == told
    assert all(
        text.startswith("1 val or test images, such as old.png, were train") for text in progress.warnings
    )
    warn_of_known_images(str(tmp_path / "absent"), dataset(now), progress)
    assert len(progress.warnings) == told
