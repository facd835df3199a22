"""How fast this machine multiplies matrices and copies memory: what all other rates can be compared with."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from benchmarks.measuring import cores, in_turn
from benchmarks.pieces import Asked
from benchmarks.tables import Table, spelt

_COPIED = 2**28
_RESULTS: dict[str, Any] = {"float32": np.float32, "int8": np.int32}


def run(asked: Asked) -> list[Table]:
    """Measure products of matrices and copies."""
    size = asked.size(2048, 256)
    rates = gemm_rates(size, asked.rounds)
    best = {dtype: max(found.values()) for dtype, found in rates.items()}
    rows = [
        [f"product of matrices, {dtype}", runtime, f"{spelt(rate / 1e9)} G operations/s"]
        for dtype, found in rates.items()
        for runtime, rate in found.items()
    ]
    copying = copy_rates(asked.size(_COPIED, 2**20), asked.rounds)
    rows += [
        [f"copy of memory, {name}", "NumPy", f"{spelt(rate / 1e9)} GB/s"] for name, rate in copying.items()
    ]
    note = (
        f"Products of two matrices of {size:,} × {size:,} numbers, two operations per multiplication, on "
        f"{cores()} cores; a copy counts what is read and what is written. Median of {asked.rounds}. The "
        "ceiling of a type is what the faster runtime reaches."
    )
    values = {f"gemm_{dtype}": rate for dtype, rate in best.items()} | {"copy": max(copying.values())}
    return [Table("", ["what", "by", "rate"], rows, note, values)]


def gemm_rates(size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return type of number → runtime → operations per second."""
    works: dict[tuple[str, str], Callable[[], object]] = {
        ("float32", "ONNX Runtime"): onnx_product("float32", size),
        ("int8", "ONNX Runtime"): onnx_product("int8", size),
        ("float32", "NumPy"): _numpy_product(size),
    }
    works |= {(dtype, "TensorFlow"): _tensorflow_product(dtype, size) for dtype in ("float32", "bfloat16")}
    found = in_turn({" ".join(key): work for key, work in works.items()}, rounds, warm=2)
    rates: dict[str, dict[str, float]] = {"float32": {}, "bfloat16": {}, "int8": {}}
    for dtype, runtime in works:
        rates[dtype][runtime] = 2 * size**3 / found.median(f"{dtype} {runtime}")
    return rates


def onnx_product(dtype: str, size: int = 2048) -> Callable[[], object]:
    """Return what multiplies two matrices with ONNX Runtime; int8 is unsigned by signed, as in encoders."""
    from cutline.exporting.graph import GraphBuilder
    from cutline.runtime.onnx_session import open_graph

    generator, graph = np.random.default_rng(0), GraphBuilder("product")
    if dtype == "float32":
        given: Any = generator.standard_normal((size, size), np.float32)
        fixed: Any = generator.standard_normal((size, size), np.float32)
        operator = "MatMul"
    else:
        given = generator.integers(0, 255, (size, size), np.uint8)
        fixed = generator.integers(-127, 127, (size, size), np.int8)
        operator = "MatMulInteger"
    x = graph.input("x", given.dtype, [size, size])
    graph.output("y", graph.add(operator, x, graph.constant(fixed)), _RESULTS[dtype], [size, size])
    session = open_graph(graph.model().SerializeToString())
    return lambda: session.run(["y"], {"x": given})


def _numpy_product(size: int) -> Callable[[], object]:
    one = np.random.default_rng(0).standard_normal((size, size), np.float32)
    out = np.empty_like(one)
    return lambda: np.matmul(one, one, out=out)


def _tensorflow_product(dtype: str, size: int) -> Callable[[], object]:
    import tensorflow as tf

    one = tf.cast(tf.random.normal((size, size)), dtype)
    multiply = tf.function(lambda: tf.matmul(one, one))
    # What is in bfloat16 becomes an array by way of float32, which is no product.
    return lambda: multiply()[0, 0].numpy()


def copy_rates(length: int, rounds: int) -> dict[str, float]:
    """Return how many threads copy → bytes per second, read and written."""
    source, target = np.ones(length, np.uint8), np.empty(length, np.uint8)
    count = cores()
    parts = [slice(place * length // count, (place + 1) * length // count) for place in range(count)]

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])

    with ThreadPoolExecutor(count) as pool:
        works: dict[str, Callable[[], object]] = {"1 thread": lambda: copy(slice(None))}
        if count > 1:
            works[f"{count} threads"] = lambda: list(pool.map(copy, parts))
        found = in_turn(works, rounds)
    return {name: 2 * length / found.median(name) for name in works}
