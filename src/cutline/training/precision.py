"""Which numbers a processor computes fastest with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_CPUINFO = Path("/proc/cpuinfo")


def choose_precision(
    asked: Literal["float32", "bfloat16", "auto"], cpuinfo: Path = _CPUINFO
) -> Literal["float32", "bfloat16"]:
    """Return the precision itself, or what ``"auto"`` means here.

    bfloat16 has the range of float32 and 8 bits of precision. Processors with instructions for it (AVX-512
    BF16, AMX) multiply it faster than float32; others must imitate it and are slower.
    ``benchmarks/precision.py`` measures it.

    Args:
        asked: As in the options.
        cpuinfo: Where Linux lists what the processor can do; elsewhere the answer to "auto" is float32.

    Example:
        >>> choose_precision("float32"), choose_precision("auto", Path("there/is/none"))
        ('float32', 'float32')
    """
    if asked != "auto":
        return asked
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return "float32"
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "float32"
