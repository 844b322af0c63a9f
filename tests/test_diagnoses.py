"""Names and groups of classes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from agfnet.bundle import BundleConfig, read_config
from agfnet.config import DiagnosisConfig, ModelConfig, default_modalities
from agfnet.diagnoses import (
    DICTIONARY,
    describe_classes,
    doubtful_labels,
    look_up,
    members,
    plain_spelling,
)
from agfnet.errors import ConfigError
from agfnet.importing import derm7pt
from agfnet.phantom.entities import ENTITIES

MILK10K = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
HAM10000 = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PAD_UFES_20 = ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")


def config(classes: tuple[str, ...], **fields: object) -> BundleConfig:
    return BundleConfig(
        classes=classes,
        labels=None,
        modalities=default_modalities(),
        size=32,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=ModelConfig(),
        data_hash="none",
        **fields,  # type: ignore[arg-type]
    )


def test_no_spelling_has_two_meanings() -> None:
    content = json.loads(DICTIONARY.read_text(encoding="utf-8"))
    spellings = Counter(
        plain_spelling(name) for en, rest in content.items() for name in (en, *rest["synonyms"])
    )
    assert [name for name, count in spellings.items() if count > 1] == []
    assert all(rest["zh"] for rest in content.values())


@pytest.mark.parametrize(
    "code", [*MILK10K, *HAM10000, *PAD_UFES_20, *derm7pt.GROUPS, *derm7pt.GROUP_OF, *ENTITIES]
)
def test_codes_of_the_data_sets_are_known(code: str) -> None:
    entry = look_up(code)
    assert entry is not None
    assert all([entry.en, entry.zh, entry.group])


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("C44.3 BCC", "basal cell carcinoma"),
        ("8090/3 BCC", "basal cell carcinoma"),
        ("Melanom (C43.5)", "melanoma"),
        ("Nävus.", "naevus"),
        ("\u201eBasaliom\u201c", "basal cell carcinoma"),
        ("carcinome basocellulaire", "basal cell carcinoma"),
        ("Seborrhoische Keratose", "seborrhoeic keratosis"),
        ("bösartig", "malignant lesion"),
    ],
)
def test_codes_signs_and_other_languages(label: str, name: str) -> None:
    entry = look_up(label)
    assert entry is not None
    assert entry.en == name


def test_labels_that_are_no_single_certain_diagnosis() -> None:
    doubtful = ["am ehesten BCC", "z.A. Melanom", "CBC (à confirmer)", "考虑黑色素瘤", "BCC待排"]
    doubtful += ["likely BCC", "BCC; SCC", "BCC und SCC", "BCC\nSCC", "siehe Befund", "2026-02-01"]
    doubtful += ["3", "backup", "New folder"]
    certain = ["BCC", "8090/3 BCC", "C44.3", "8720/0", "naevus, blue", "squamous and other"]
    assert doubtful_labels([*doubtful, *certain]) == doubtful
    assert doubtful_labels(["0", "1", "2"]) == []


def test_numbers_for_a_missing_label() -> None:
    assert doubtful_labels(["0", "1", "99", "-9"]) == ["99", "-9"]
    assert doubtful_labels(["1", "-1"]) == []
    assert doubtful_labels(list(map(str, range(10)))) == []


def test_groups_of_the_phantom_are_its_own() -> None:
    for name, entity in ENTITIES.items():
        entry = look_up(name)
        assert entry is not None
        assert (entry.group == "malignant") == entity.malignant


def test_settings_come_before_the_dictionary() -> None:
    described = describe_classes(
        ["MEL", "x_ray", "NV"],
        {"MEL": DiagnosisConfig(en="black mole"), "NV": DiagnosisConfig(group="")},
    )
    assert described["MEL"].en == "black mole"
    assert described["MEL"].zh == "黑色素瘤"
    assert described["x_ray"] == DiagnosisConfig(en="x ray", zh="x ray")
    assert described["NV"].group is None
    assert members(described) == {"malignant": ("MEL",)}
    with pytest.raises(ConfigError, match="'BCC' is not one of the classes"):
        describe_classes(["MEL", "NV"], {"BCC": DiagnosisConfig()})


def test_two_classes_never_have_one_name() -> None:
    described = describe_classes(["nevus", "NV"])
    assert [entry.en for entry in described.values()] == ["nevus", "NV"]
    assert {entry.group for entry in described.values()} == {"benign"}


def test_merged_labels_keep_their_common_group() -> None:
    labels = {"keratinocytic": ["BCC", "SCC"], "mixed": ["MEL", "NV"], "unknown": ["q"]}
    described = describe_classes(list(labels), labels=labels)
    assert [entry.group for entry in described.values()] == ["malignant", None, None]


def test_groups_have_the_malignant_one_first() -> None:
    groups = config(("NV", "ACK", "MEL", "BCC")).groups
    assert list(groups.items()) == [
        ("malignant", ("MEL", "BCC")),
        ("benign", ("NV",)),
        ("premalignant", ("ACK",)),
    ]


def test_an_old_bundle_takes_its_names_from_the_dictionary(tmp_path: Path) -> None:
    content = asdict(config(("MEL", "NV")))
    del content["diagnoses"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_config(path).names == ("melanoma", "naevus")


def test_a_bundle_keeps_the_names_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    named = config(("MEL", "NV"), diagnoses={"NV": DiagnosisConfig(en="mole", zh="痣")})
    path.write_text(json.dumps(asdict(named)), encoding="utf-8")
    assert read_config(path) == named
    assert read_config(path).names == ("melanoma", "mole")


def test_chinese_labels_have_the_group_of_their_diagnosis() -> None:
    described = describe_classes(("黑色素瘤", "基底细胞癌", "蓝痣?"))
    assert [entry.group for entry in described.values()] == ["malignant", "malignant", None]
    assert described["黑色素瘤"].en == "melanoma"
