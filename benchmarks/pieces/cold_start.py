"""One photo in a fresh process: seconds from the start of the command to its end, and its peak of memory."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from benchmarks.made_up import model, photos, what_model
from benchmarks.measuring import Process, run_process
from benchmarks.pieces import Asked
from benchmarks.tables import Table, spelt

_KERAS = """
import sys
from pathlib import Path
from cutline.captioner import Captioner
from cutline.runtime import load_bundle, open_session
bundle = load_bundle(Path(sys.argv[1]))
print(Captioner(bundle, open_session(bundle, "keras")).caption(sys.argv[2])[0].text)
"""
_LOADED = """
import sys
from cutline.cli import main
try:
    main()
except SystemExit:
    pass
print("loaded", *sorted({"tensorflow", "keras"} & set(sys.modules)))
"""


def run(asked: Asked) -> list[Table]:
    """Run the commands in turn."""
    folder, photo = str(model(asked)), photos(asked, 1)[0]
    arguments = ["caption", photo, "--model", folder]
    commands = {
        "`cutline caption one.jpg`": [sys.executable, "-m", "cutline", *arguments],
        "the same model through Keras": [sys.executable, "-c", _KERAS, folder, photo],
        "`cutline --help`": [sys.executable, "-m", "cutline", "--help"],
    }
    found: dict[str, list[Process]] = {name: [] for name in commands}
    # Round 0 fills the caches of the disk and is not counted; tiny sizes do without.
    for number in range(asked.size(0, 1), 1 + asked.rounds):
        asked.tell(f"round {number} of {asked.rounds}")
        for name, command in commands.items():
            process = run_process(command)
            if number:
                found[name].append(process)
    loaded = run_process([sys.executable, "-c", _LOADED, *arguments]).output.split("loaded")[-1].split()
    light, keras, _ = found.values()
    ratios = [b.seconds / a.seconds for a, b in zip(light, keras, strict=True)]
    rows = [
        [name, spelt(_seconds(processes)), f"{_peak(processes):,.0f}", ""]
        for name, processes in found.items()
    ]
    rows[0][3] = ", ".join(loaded) + " were imported" if loaded else "TensorFlow was not imported"
    rows[1][3] = f"{spelt(statistics.median(ratios))} times the first"
    note = (
        f"Median of {asked.rounds} fresh processes each, in turn; {Path(photo).name}, {what_model(asked)}. "
        + ("" if asked.quick else "Files have been read before, so that the disk is not in the figures. ")
        + "Memory is the peak of resident memory."
    )
    values = {
        "seconds": _seconds(light),
        "peak": _peak(light),
        "keras_seconds": _seconds(keras),
        "keras_peak": _peak(keras),
        "times": statistics.median(ratios),
        "tensorflow_imported": float(bool(loaded)),
    }
    return [Table("", ["command", "seconds", "peak memory, MiB", ""], rows, note, values)]


def _seconds(processes: list[Process]) -> float:
    return statistics.median(process.seconds for process in processes)


def _peak(processes: list[Process]) -> float:
    return statistics.median(process.peak for process in processes)
