"""benchmarks/mean_of_seeds.py: one config from several seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from benchmarks import mean_of_seeds
from benchmarks.mean_of_seeds import differences, table


def evaluation(bleu_4: float, cider_d: float, **other: Any) -> dict[str, Any]:
    return {
        "split": "val",
        "decoding": "greedy",
        "data_fingerprint": "abc",
        "scores": {"bleu_4": bleu_4, "cider_d": cider_d},
        "diversity": {"unique_captions": 0.8, "words": 300, "function_word_endings": 0.0},
        **other,
    }


def test_each_seed_has_a_row_and_the_last_is_the_mean_with_the_deviation_of_a_sample() -> None:
    found = table({"a": evaluation(20, 50), "b": evaluation(22, 56), "c": evaluation(24, 53)}).splitlines()
    assert found[2] == "| a | 20.0 | 50.0 | 80 | 300 | 0.0 |"
    assert found[-1] == "| **mean ± sd** | 22.0 ± 2.0 | 53.0 ± 3.0 | 80 ± 0 | 300 ± 0 | 0.0 ± 0.0 |"
    assert len(found) == 6


@pytest.mark.parametrize(
    ("key", "value"), [("split", "test"), ("decoding", "beam search"), ("data_fingerprint", "abd")]
)
def test_other_data_and_other_decoding_are_not_put_together(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=key):
        table({"a": evaluation(20, 50), "b": evaluation(22, 56, **{key: value})})


def test_one_evaluation_has_no_deviation() -> None:
    with pytest.raises(ValueError, match="two evaluations or more, found 1"):
        table({"a": evaluation(20, 50)})


def written(captions: list[str], **other: Any) -> dict[str, Any]:
    names = [f"{number}.png" for number in range(12)]
    references = {name: [f"a red dot on field {name}"] for name in names}
    texts = [captions[number % len(captions)].format(name) for number, name in enumerate(names)]
    return evaluation(0, 0, references=references, captions=dict(zip(names, texts, strict=True)), **other)


def test_two_configs_are_tested_image_by_image_whatever_their_decoding_and_number_of_seeds() -> None:
    good = [written(["a red dot on field {}"], decoding="beam search"), written(["a red dot on field {}"])]
    found = differences(good, [written(["a dot"])]).splitlines()
    assert found[0] == "| score | against | this | difference | p |"
    assert found[2].startswith("| BLEU-4 | 0.0 | 100.0 | +100.0 ± ")
    assert found[2].endswith(" | < 0.001 |")
    same = differences([written(["a dot"])], [written(["a dot"])]).splitlines()
    assert same[2] == "| BLEU-4 | 0.0 | 0.0 | +0.0 ± 0.0 | 1.000 |"


def test_configs_on_other_data_are_not_compared() -> None:
    with pytest.raises(ValueError, match="split"):
        differences([written(["a dot"])], [written(["a dot"], split="test")])


def test_scripts_without_blanks_are_compared_by_their_characters() -> None:
    names = [f"{number}.png" for number in range(12)]
    references = {name: ["一只狗在草地上跑步"] for name in names}
    near, far = (
        evaluation(0, 0, references=references, captions=dict.fromkeys(names, text))
        for text in ("一只狗在草地上", "天空")
    )
    against, this = differences([near], [far]).splitlines()[2].split(" | ")[1:3]
    assert float(against) == 0
    assert float(this) > 50


@dataclass
class _Loaded:
    """Stands for an evaluation that was saved."""

    split: str
    decoding: str
    data_fingerprint: str
    scores: dict[str, float]
    diversity: dict[str, float]
    references: dict[str, list[str]]
    captions: dict[str, str]


def test_one_evaluation_is_enough_on_the_other_side(capsys, monkeypatch) -> None:
    good, bad = written(["a red dot on field {}"]), written(["a dot"])
    monkeypatch.setattr(
        mean_of_seeds, "load_evaluation", lambda path: _Loaded(**(good if path.name == "good" else bad))
    )
    monkeypatch.setattr("sys.argv", ["mean_of_seeds", "good", "good/good", "--against", "bad"])
    mean_of_seeds.main()
    tables = capsys.readouterr().out.split("\n\n")
    assert [table.splitlines()[0].split(" | ")[0] for table in tables] == ["| evaluation", "| score"]
    assert "+100.0" in tables[1]
