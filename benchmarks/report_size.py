"""Size of a report with many photos, and the time to make it.

    .venv/bin/python benchmarks/report_size.py captions.csv --images photos [--count 1000]

One caption of each image is taken for the model's and scored against the others. Nothing is written unless
``--html FILE`` asks for the page.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from cutline.data.readers import read_dataset
from cutline.metrics import Scorer, measure_diversity
from cutline.records import MOST_COMMON, Baseline, EvaluationResult
from cutline.report import render_report


def made_up_result(table: str, images: str | None, count: int) -> EvaluationResult:
    """Make an evaluation of the first images that have two captions."""
    dataset = read_dataset(table, images)
    examples = [example for example in dataset.examples if len(example.captions) > 1][:count]
    captions = {example.image_id: example.captions[0] for example in examples}
    references = {example.image_id: example.captions[1:] for example in examples}
    scorer = Scorer(references)
    common = examples[0].captions[0]
    return EvaluationResult(
        split="test",
        scores=scorer.score(captions, intervals=True),
        baselines=(Baseline(MOST_COMMON, scorer.score(dict.fromkeys(captions, common)), 4.0, common),),
        diversity=measure_diversity(list(captions.values())),
        loss=0.0,
        word_accuracy=1.0,
        captions=captions,
        references=references,
        images={example.image_id: example.image for example in examples},
        image_scores=scorer.cider_d_per_image(captions),
        model="people",
        data_fingerprint="",
        decoding="written by people",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table")
    parser.add_argument("--images")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--html", type=Path)
    options = parser.parse_args()
    result = made_up_result(options.table, options.images, options.count)
    start = time.perf_counter()
    page = render_report(title="report size", evaluations=[result])
    seconds = time.perf_counter() - start
    size = len(page.encode())
    pictures = sum(len(part.partition('"')[0]) for part in page.split('src="data:')[1:])
    print("| images | pictures in the page | size, MB | of it pictures, MB | seconds |")
    print("| --- | --- | --- | --- | --- |")
    print(
        f"| {len(result.captions):,} | {page.count('<img '):,} | {size / 1e6:.2f} | {pictures / 1e6:.2f} "
        f"| {seconds:.1f} |"
    )
    if options.html:
        options.html.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
