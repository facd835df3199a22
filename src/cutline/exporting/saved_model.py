"""A model as a TensorFlow SavedModel: image files go in, captions come out; TensorFlow is all it needs.

======================  ==============================================================
signature               takes ``images``
======================  ==============================================================
``serving_default``     string (B,), contents of image files
``pixels``              uint8 (B, H, W, 3), RGB, of the encoder's size
======================  ==============================================================

Both give ``captions``, string (B,), and ``log_probabilities``, float32 (B,): greedy decoding, from pixels to
text, happens inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cutline.data.feature_store import LARGEST_FLOAT16
from cutline.errors import ExportError
from cutline.exporting.tf_functions import NEXT, SCORES, STATE, Functions, Tensors
from cutline.exporting.tf_greedy import GreedyRules, write_greedily
from cutline.exporting.tf_photos import pixels_of
from cutline.exporting.tf_texts import TokenTexts
from cutline.models.sessions import KerasSession
from cutline.runtime import Bundle
from cutline.wishes import filters_of

OF_FILES: Final = "serving_default"
OF_PIXELS: Final = "pixels"
SAVED_MODEL_FILES: Final = (
    "saved_model.pb",
    "fingerprint.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
)


def write_saved_model(bundle: Bundle, session: KerasSession, folder: Path) -> None:
    """Write a model as a SavedModel.

    Args:
        bundle: Its vocabulary, and its decoding options as far as they concern greedy decoding.
        session: Its networks.
        folder: There, and empty.

    Raises:
        UnknownNameError: The decoder cannot be written.
    """
    functions, size = Functions(session), session.input_size
    rules = GreedyRules(
        bundle.vocabulary_size, bundle.decoding.max_length, filters_of(bundle.decoding, bundle.vocabulary)
    )
    texts = TokenTexts(bundle.vocabulary)
    module = tf.Module(name="captioner")
    module.network = functions.variables

    def of_pixels(images: Any) -> Tensors:
        known = functions.start(_as_stored(functions.encode(images)))
        memory = {name: known[name] for name in functions.memory}

        def step(token_ids: Any, state: Tensors) -> tuple[Any, Tensors]:
            found = functions.step(token_ids, {**memory, **state})
            return found[SCORES], {name: found[name.replace(STATE, NEXT, 1)] for name in functions.states}

        state = {name: known[name] for name in functions.states}
        token_ids, lengths, logs = write_greedily(step, state, tf.shape(images)[0], rules)
        return {"captions": texts.of(token_ids, lengths), "log_probabilities": logs}

    def of_files(images: Any) -> Tensors:
        wanted = tf.TensorSpec((*size, 3), tf.uint8)
        pixels = tf.map_fn(lambda content: pixels_of(content, size), images, fn_output_signature=wanted)
        return module.of_pixels(pixels)

    module.of_pixels = tf.function(of_pixels, [tf.TensorSpec((None, *size, 3), tf.uint8, "images")])
    module.of_files = tf.function(of_files, [tf.TensorSpec((None,), tf.string, "images")])
    tf.saved_model.save(module, str(folder), {OF_FILES: module.of_files, OF_PIXELS: module.of_pixels})


class SavedCaptioner:
    """A SavedModel that was read back.

    Args:
        folder: Written by :func:`write_saved_model`.
    """

    def __init__(self, folder: Path) -> None:
        """Load it."""
        # Its functions live no longer than what was loaded.
        self._loaded = tf.saved_model.load(str(folder))

    def caption(self, images: NDArray[np.uint8]) -> tuple[list[str], NDArray[np.float32]]:
        """Images (B, H, W, 3) to captions and their log-probabilities (B,).

        Raises:
            ExportError: The same images, handed over as files, get other captions.
        """
        found = self._loaded.signatures[OF_PIXELS](images=tf.constant(images))
        files = tf.stack([tf.io.encode_png(image) for image in images])
        captions, of_files = (
            [caption.decode("utf-8") for caption in captions.numpy().tolist()]
            for captions in (found["captions"], self._loaded.signatures[OF_FILES](images=files)["captions"])
        )
        if captions != of_files:
            raise ExportError(f"the SavedModel captions pixels as {captions}, and their files as {of_files}")
        return captions, found["log_probabilities"].numpy()


def _as_stored(features: Any) -> Any:
    """Round features as :func:`cutline.data.feature_store.as_stored` does: decoders were trained on such."""
    rounded = tf.cast(tf.clip_by_value(features, -LARGEST_FLOAT16, LARGEST_FLOAT16), tf.float16)
    return tf.cast(rounded, tf.float32)
