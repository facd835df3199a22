from __future__ import annotations

import pytest

from cutline.training.precision import choose_precision


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fpu avx512f avx512_bf16 avx512_vnni", "bfloat16"),
        ("fpu amx_bf16 amx_tile", "bfloat16"),
        ("fpu avx2 avx512f", "float32"),
    ],
)
def test_bfloat16_is_chosen_where_the_processor_has_it(tmp_path, flags, precision):
    listed = tmp_path / "cpuinfo"
    listed.write_text(f"processor\t: 0\nmodel name\t: some\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    assert choose_precision("auto", listed) == precision


def test_what_is_asked_for_is_taken_whatever_the_processor(tmp_path):
    listed = tmp_path / "cpuinfo"
    listed.write_text("flags : avx512_bf16\n")
    assert choose_precision("float32", listed) == "float32"
    assert choose_precision("bfloat16", tmp_path / "absent") == "bfloat16"


def test_a_system_that_does_not_tell_gets_float32(tmp_path):
    assert choose_precision("auto", tmp_path / "absent") == "float32"
