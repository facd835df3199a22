"""Training end to end on pictures of one colour: what a run holds, what is refused, how a run goes on."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.fakes import ActingProgress
from tests.recipes.conftest import World, write_table

from cutline.captioner import Captioner
from cutline.config import RunConfig, read_toml, validate
from cutline.data.splits import load_splits
from cutline.errors import BundleError, ConfigError, CutlineError, DataError, RunError, SplitError
from cutline.recipes.run_folder import choose_folder, claimed
from cutline.recipes.train import train
from cutline.records import EpochRecord, Run
from cutline.text import Vocabulary
from cutline.training.checkpoints import save_checkpoint
from cutline.training.history import load_history


def interrupt() -> None:
    raise KeyboardInterrupt


def numbers(history: tuple[EpochRecord, ...]) -> list[dict[str, float]]:
    return [{**dataclasses.asdict(record), "seconds": 0} for record in history]


def same(one: tuple[EpochRecord, ...], other: tuple[EpochRecord, ...]) -> None:
    assert len(one) == len(other)
    for left, right in zip(numbers(one), numbers(other), strict=True):
        assert left == pytest.approx(right, abs=1e-5)


def listed(run: str | Path) -> list[tuple[str, str, str]]:
    with (Path(run) / "problems.csv").open(encoding="utf-8", newline="") as stream:
        return [(row["kind"], row["where"], row["message"]) for row in csv.DictReader(stream)]


def refused(error: type[CutlineError], *arguments: Any, **options: Any) -> str:
    with pytest.raises(error) as raised:
        train(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def begun_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end where training would begin; all that defines them is there by then."""
    monkeypatch.setattr(
        "cutline.recipes.train.train_phases",
        lambda corridor, resume, progress: Run(str(corridor.folder), (), 0, interrupted=True),
    )


def test_a_run_folder_holds_everything_that_defines_it(world, trained):
    folder = Path(trained.folder)
    assert {path.name for path in folder.iterdir()} >= {
        "config.toml", "environment.json", "data.json", "split.csv", "vocabulary.json", "problems.csv",
        "history.csv", "curves.png", "checkpoint.npz", "encoder.npz", "bundle", "logs",
    }  # fmt: skip
    assert not [path for path in folder.rglob("*") if path.name.endswith((".partial", ".old"))]
    config = validate(RunConfig, read_toml(folder / "config.toml"))
    assert (config.preset, config.training.epochs, config.decoder.lstm_units) == ("show_tell", 3, 24)
    facts = json.loads((folder / "data.json").read_text())
    assert (facts["source"], facts["images"], facts["captions"]) == ("captions.csv", 24, 48)
    assert facts["images_per_split"] == {"train": 19, "val": 3, "test": 2}
    assert json.loads((folder / "environment.json").read_text())["packages"]["keras"]
    assert load_history(folder / "history.csv") == trained.history
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert any((folder / "logs").iterdir())
    assert listed(folder) == []
    assert str(world.folder) not in (folder / "data.json").read_text()


def test_it_learns_and_keeps_the_best_epoch(trained):
    assert [record.epoch for record in trained.history] == [1, 2, 3]
    assert trained.history[-1].train_loss < trained.history[0].train_loss / 1.5
    best = max(trained.history, key=lambda record: record.cider_d)
    assert trained.best_epoch == best.epoch
    manifest = json.loads((Path(trained.folder) / "bundle" / "manifest.json").read_text())
    assert manifest["epoch"] == best.epoch
    assert manifest["validation"]["cider_d"] == best.cider_d
    assert not trained.interrupted
    assert trained.epochs == len(trained.history)


def test_a_run_captions_a_picture_it_never_saw(trained, tmp_path):
    Image.new("RGB", (40, 30), (200, 30, 10)).save(tmp_path / "new.png")
    (hypothesis,) = Captioner.load(trained.folder).caption(tmp_path / "new.png")
    assert "red" in hypothesis.text
    assert set(hypothesis.tokens) <= set(Vocabulary.load(Path(trained.folder) / "vocabulary.json").tokens)


@pytest.mark.usefixtures("begun_only")
def test_the_vocabulary_knows_train_captions_only(world, tmp_path):
    table = write_table(tmp_path / "data", 9, "image,caption,split", ",train")
    lines = table.read_text().splitlines()
    lines[-2:] = [line.replace("blue", "violet").replace(",train", ",val") for line in lines[-2:]]
    table.write_text("\n".join(lines) + "\n")
    progress = ActingProgress()
    train(table, run=tmp_path / "run", overrides=world.options, progress=progress)
    assert "violet" not in Vocabulary.load(tmp_path / "run" / "vocabulary.json")
    assert load_splits(tmp_path / "run" / "split.csv")["photos/08.png"] == "val"
    assert any("66.7% of val" in note for note in progress.notes)


@pytest.mark.usefixtures("begun_only")
def test_which_preset_it_is_and_what_is_to_come_are_told_before_it_begins(world, tmp_path):
    progress = ActingProgress()
    own = {**world.options, "training.epochs": 2, "self_critical.epochs": 1}
    train(world.table, "merge", tmp_path / "run", overrides=own, progress=progress)
    told = "preset merge; epochs: 2 on stored features, then 1 of self-critical training"
    assert told in progress.notes


def test_a_run_folder_that_exists_is_never_written_to(world, trained, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    for folder in (Path(trained.folder), tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        before = sorted(folder.iterdir()) if folder.is_dir() else []
        message = refused(RunError, world.table, run=folder, overrides=world.options)
        assert message == (
            f"{folder}: the run folder exists already; choose another --run, or go on with --resume"
        )
        assert (sorted(folder.iterdir()) if folder.is_dir() else []) == before


def test_resuming_needs_a_run(world, tmp_path):
    assert refused(RunError, world.table, resume=True) == (
        "--resume needs to know which run: name its folder with --run DIR"
    )
    message = refused(RunError, world.table, run=tmp_path / "none", resume=True)
    assert message.startswith(
        f"{tmp_path / 'none'}: no run to resume here (no config.toml); leave --resume out"
    )
    assert "remove the folder" in refused(RunError, world.table, run=tmp_path, resume=True)


def test_resuming_cannot_change_options(world, trained):
    message = refused(
        RunError,
        world.table,
        run=trained.folder,
        assignments=["training.epochs=9"],
        overrides={"training.seed": 4},
        resume=True,
    )
    assert message == (
        f"{trained.folder}: --resume cannot change the run: training.epochs was 3, is now 9; "
        "training.seed was 0, is now 4; resume without these options, or start a new run "
        "(stored features are reused)"
    )
    message = refused(RunError, world.table, "merge", trained.folder, resume=True)
    assert "preset was 'show_tell', is now 'merge'" in message


@pytest.mark.parametrize("change", ["caption", "picture", "fewer"])
def test_resuming_cannot_change_the_data(world, trained, tmp_path, change):
    shutil.copytree(world.table.parent, tmp_path / "data")
    table = tmp_path / "data" / "captions.csv"
    if change == "caption":
        table.write_text(table.read_text().replace("03.png,a red", "03.png,one red", 1))
    elif change == "picture":
        Image.new("RGB", (16, 16), (9, 9, 9)).save(table.parent / "photos" / "03.png")
    else:
        table.write_text("\n".join(table.read_text().splitlines()[:-2]) + "\n")
    message = refused(RunError, table, run=trained.folder, resume=True)
    assert message.startswith(
        f"{trained.folder}: --resume with other data: the run has 24 images and 48 captions"
    )
    assert message.endswith("start a new run")


def test_resuming_a_finished_run_changes_nothing(world, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    (folder / "history.csv").unlink()  # as a kill right after the checkpoint leaves it
    run = train(world.table, run=folder, resume=True)
    assert run.history == trained.history == load_history(folder / "history.csv")
    assert run.best_epoch == trained.best_epoch


def test_a_damaged_checkpoint_is_refused(world, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    checkpoint = folder / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    message = refused(RunError, world.table, run=folder, resume=True)
    assert message.startswith(f"{checkpoint}: the checkpoint is damaged")


KILLED = """
import os, signal, sys
from tests.fakes import ActingProgress
from cutline.recipes.train import train

kill = ActingProgress("epoch 2", 4, lambda: os.kill(os.getpid(), signal.SIGKILL))
train(sys.argv[1], run=sys.argv[2], resume=True, progress=kill)
"""


def kill_in_the_second_epoch(table: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(table), str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(load_history(folder / "history.csv")) == 1


def stop_before_the_second_checkpoint(path: Path, checkpoint: Any) -> None:
    if len(checkpoint.history) == 2:
        raise KeyboardInterrupt
    save_checkpoint(path, checkpoint)


@pytest.mark.timeout(600)  # four times as long as the others, on a busy machine too
def test_a_run_stopped_again_and_again_ends_like_one_that_was_not(world, trained, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    in_the_first_epoch = ActingProgress("epoch 1", 3, interrupt)
    run = train(world.table, "show_tell", folder, overrides=world.options, progress=in_the_first_epoch)
    assert (run.interrupted, run.history, run.best_epoch) == (True, (), 0)
    with pytest.raises(BundleError, match=r"no epoch of this run was finished; train it with --resume"):
        Captioner.load(folder)

    kill_in_the_second_epoch(world.table, folder)
    assert Captioner.load(folder).caption(world.table.parent / "photos" / "00.png")[0].tokens

    with monkeypatch.context() as patch:
        # The bundle of the second epoch is there already; the epoch is repeated.
        patch.setattr("cutline.recipes.epoch_keeper.save_checkpoint", stop_before_the_second_checkpoint)
        run = train(world.table, run=folder, resume=True)
    assert (run.interrupted, len(run.history), run.best_epoch) == (True, 1, 1)

    run = train(world.table, run=folder, resume=True)
    assert not run.interrupted
    same(run.history, trained.history)
    same(load_history(folder / "history.csv"), trained.history)
    assert run.best_epoch == trained.best_epoch


@pytest.fixture(scope="module")
def mended(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, ActingProgress]:
    """A run over few images, one of them cut off, one gone, and a caption longer than the maximum."""
    folder = tmp_path_factory.mktemp("mended")
    table = write_table(folder / "data", 30)
    picture = folder / "data" / "photos" / "03.png"
    picture.write_bytes(picture.read_bytes()[:40])
    (folder / "data" / "photos" / "04.png").unlink()
    with table.open("a") as stream:
        stream.write("photos/05.png,blue all over and over and over and over again\n")
    progress = ActingProgress()
    options = world.options | {
        "text.max_length": 6,
        "training.epochs": 1,
        "training.batch_size": 64,
        "training.validation_images": 2,
    }
    return train(table, run=folder / "run", overrides=options, progress=progress), progress


def test_broken_images_are_left_out_and_listed_and_training_goes_on(mended):
    run, progress = mended
    assert len(run.history) == 1
    problems = {kind: (where, message) for kind, where, message in listed(run.folder)}
    assert problems["unreadable image"][0] == "photos/03.png"
    assert problems["missing image"][0] == "photos/04.png"
    splits = load_splits(Path(run.folder) / "split.csv")
    assert len(splits) == 28
    assert not {"photos/03.png", "photos/04.png"} & set(splits)
    assert {problem.kind for problem in run.problems} == {"unreadable image", "missing image", "long caption"}
    assert progress.warnings == [
        f"3 rows or images left out or mended; see {Path(run.folder) / 'problems.csv'}"
    ]


def test_a_caption_longer_than_the_maximum_is_cut_and_listed(mended):
    run, _ = mended
    (found,) = [problem for problem in listed(run.folder) if problem[0] == "long caption"]
    assert found[1:] == ("photos/05.png", "10 tokens, cut to 6; raise text.max_length to keep them all")


def test_fewer_images_than_a_batch_are_trained_on(mended):
    run, _ = mended
    assert run.history[0].train_loss > 0
    assert Captioner.load(run.folder)


def test_names_that_are_nearly_right_are_refused_before_anything_is_read(world, tmp_path):
    nowhere = tmp_path / "no-such-table.csv"
    for arguments, message in [
        ({"preset": "show_tel"}, "unknown preset 'show_tel'; .*did you mean 'show_tell'?"),
        ({"overrides": {"encoder.name": "resnt50"}}, "did you mean 'resnet50'?"),
        ({"overrides": {"decoder.name": "merg"}}, "unknown decoder 'merg'; .*did you mean 'merge'?"),
        (
            {"assignments": ["training.epoch=3"]},
            "unknown option training.epoch; did you mean training.epochs?",
        ),
        ({"assignments": ["training.epochs=-1"]}, "training.epochs: .*found -1"),
        ({"config": tmp_path / "none.toml"}, "none.toml: no such configuration file"),
    ]:
        with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
            train(nowhere, run=tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_too_few_images_are_refused(world, tmp_path):
    table = write_table(tmp_path / "data", 2)
    message = refused(SplitError, table, run=tmp_path / "run", overrides=world.options)
    assert message.endswith("2 usable images are too few to train; give at least 3")
    assert not (tmp_path / "run").exists()


def test_a_split_without_images_is_refused(world, tmp_path):
    table = write_table(tmp_path / "data", 6, "image,caption,split", ",test")
    message = refused(SplitError, table, run=tmp_path / "run", overrides=world.options)
    assert "no image is in split" in message
    assert not (tmp_path / "run").exists()


def test_a_split_whose_images_are_all_broken_is_refused(world, tmp_path):
    table = write_table(tmp_path / "data", 6, "image,caption,split", ",train")
    table.write_text(
        table.read_text().replace("square,train", "square,val", 1).replace("over,train", "over,val", 1)
    )
    picture = table.parent / "photos" / "00.png"
    picture.write_bytes(picture.read_bytes()[:40])
    message = refused(DataError, table, run=tmp_path / "run", overrides=world.options)
    assert f"no image of split 'val' can be read (1 of 6 unreadable), the first: {picture}: " in message
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_that_is_empty_after_filtering_is_refused(world, tmp_path):
    message = refused(
        DataError, world.table, run=tmp_path / "run", overrides={**world.options, "text.min_count": 1000}
    )
    assert "the vocabulary is empty" in message
    assert "text.min_count is 1000" in message
    assert "lower min_count" in message
    assert not (tmp_path / "run").exists()


def test_images_that_are_mostly_elsewhere_lead_to_the_images_option(world, tmp_path):
    table = write_table(tmp_path / "data", 6)
    for number in range(4):
        (table.parent / "photos" / f"{number:02}.png").unlink()
    message = refused(DataError, table, run=tmp_path / "run", overrides=world.options)
    assert "4 of 6 image files cannot be read" in message
    assert message.endswith("name the folder of the images with --images DIR")
    shutil.rmtree(table.parent / "photos")
    assert "--images DIR" in refused(DataError, table, run=tmp_path / "run", overrides=world.options)


def test_a_new_run_gets_the_next_free_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert choose_folder(None, "data/My photos.csv", "merge") == Path("runs/My-photos-merge")
    Path("runs/My-photos-merge").mkdir(parents=True)
    Path("runs/My-photos-merge-2").mkdir()
    assert choose_folder(None, "data/My photos.csv", "merge") == Path("runs/My-photos-merge-3")
    assert choose_folder("here", "data/My photos.csv", "merge") == Path("here")


def test_two_processes_cannot_work_in_one_run(world, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    with claimed(folder):
        message = refused(RunError, world.table, run=folder, resume=True)
    assert message == f"{folder}: another cutline train is working in this run"
    with claimed(tmp_path / "new"):
        message = refused(RunError, world.table, run=tmp_path / "new", overrides=world.options)
    assert message == f"{tmp_path / 'new'}: another cutline train is working in this run"
    assert not (tmp_path / "new").exists()


def test_what_a_killed_run_left_half_written_is_removed_by_the_next_one(tmp_path):
    folder = tmp_path / "run"
    (folder / ".bundle.0a1b2c3d.partial").mkdir(parents=True)
    (folder / ".checkpoint.npz.0a1b2c3d.partial").write_bytes(b"half")
    (folder / "history.csv").write_text("kept")
    with claimed(folder):
        assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == ["history.csv"]


@pytest.mark.usefixtures("begun_only")
def test_resuming_notices_another_encoder_behind_the_same_name(world, tmp_path):
    import keras

    encoder = tmp_path / "mine.keras"
    shutil.copy(world.options["encoder.name"], encoder)
    options = {**world.options, "encoder.name": str(encoder)}
    train(world.table, run=tmp_path / "run", overrides=options)
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.GlobalMaxPooling2D()(keras.layers.Rescaling(1 / 255)(image))).save(
        encoder
    )
    message = refused(RunError, world.table, run=tmp_path / "run", resume=True)
    assert message.startswith(f"{tmp_path / 'run'}: --resume with another encoder (differs in own_network")
    assert message.endswith("put its file back as it was, or start a new run")


def test_resuming_notices_rows_in_another_order(world, trained, tmp_path):
    shutil.copytree(world.table.parent, tmp_path / "data")
    table = tmp_path / "data" / "captions.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *reversed(rows)]) + "\n")
    message = refused(RunError, table, run=trained.folder, resume=True)
    assert "--resume with the images in another order" in message or "with other data" in message


def test_the_command_that_started_a_run_resumes_it(world, trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    for preset, overrides in [
        ("show_tell", world.options),
        ("show_tell", {}),
        (None, {"training.epochs": 3}),
    ]:
        run = train(world.table, preset, folder, overrides=overrides, resume=True)
        assert run.history == trained.history


@pytest.mark.usefixtures("begun_only")
def test_a_preset_may_be_named_in_the_file_or_among_the_assignments(world, tmp_path):
    file = tmp_path / "merge.toml"
    file.write_text('preset = "merge"\n')
    for number, arguments in enumerate([{"config": file}, {"assignments": ["preset=merge"]}]):
        run = train(
            world.table,
            run=tmp_path / str(number),
            overrides=world.options,
            **arguments,
        )
        config = validate(RunConfig, read_toml(Path(run.folder) / "config.toml"))
        assert (config.preset, config.decoder.name) == ("merge", "merge")
    message = refused(ConfigError, world.table, "show_tell", tmp_path / "run", config=file)
    assert message == f"preset is 'show_tell' in --preset but 'merge' in {file}; name one"


def test_only_so_many_val_images_are_captioned(mended):
    run, progress = mended
    assert list(load_splits(Path(run.folder) / "split.csv").values()).count("val") > 2
    assert ("captioning", 2) in progress.stages
