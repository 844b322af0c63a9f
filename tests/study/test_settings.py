import pytest

from agfnet.config import DataConfig, StudyFile, TrainConfig
from agfnet.errors import ConfigError
from agfnet.study.settings import as_values, build, overlay, training_fractions

BASE = as_values(TrainConfig(data=DataConfig(cases="cases.csv")))


def _laid(changes):
    return overlay(BASE, changes, TrainConfig, "file.yaml: base")


def test_dotted_names_and_groups_say_the_same():
    dotted = _laid({"optim.epochs": 3, "model.fusion.dim": 32})
    grouped = _laid({"optim": {"epochs": 3}, "model": {"fusion": {"dim": 32}}})
    assert dotted == grouped
    assert dotted["optim"]["lr"] == BASE["optim"]["lr"]
    assert BASE["optim"]["epochs"] == 50


def test_modalities_are_chosen_by_a_list_or_replaced_by_a_mapping():
    assert list(_laid({"data.modalities": ["ultrasound"]})["data"]["modalities"]) == ["ultrasound"]
    replaced = _laid({"data.modalities": {"dermoscopic": {"modality_type": "photo"}}})
    assert build(TrainConfig, replaced, "x").data.modalities.keys() == {"dermoscopic"}
    cropped = _laid({"data.modalities.ultrasound.crop_field_of_view": True})
    assert build(TrainConfig, cropped, "x").data.modalities["ultrasound"].crop_field_of_view
    assert cropped["data"]["modalities"]["ultrasound"]["resize"] == "pad"


def test_free_mappings_take_any_name():
    laid = _laid({"model.backbone.options.pad_type": "same"})
    assert laid["model"]["backbone"]["options"] == {"pad_type": "same"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optim.epoch": 3}, r"optim.epoch: no setting 'epoch'; did you mean 'epochs'\?"),
        ({"optim": {"epoch": 3}}, "did you mean 'epochs'"),
        ({"otpim.epochs": 3}, "did you mean 'optim'"),
        ({"seed.x": 3}, "seed is not a group of settings"),
        ({"data.modalities": ["clincal"]}, "did you mean 'clinical'"),
        ({"data.modalities": {"us": {"kin": "photo"}}}, "us: kin: no setting 'kin'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        _laid(changes)
    assert str(error.value).startswith("file.yaml: base")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optim.epochs": "many"}, "optim.epochs: .*not 'many'"),
        ({"optim.epochs": 0}, "epochs: 0 is out of range"),
        ({"model.method": "resnet"}, "model.method"),
        ({"optim": 3}, "optim"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        build(TrainConfig, _laid(changes), "file.yaml")


def test_numbers_that_yaml_reads_as_text_are_numbers():
    assert build(TrainConfig, _laid({"optim.lr": "1e-3"}), "x").optim.lr == 0.001


def test_an_optional_group_is_checked_too():
    with pytest.raises(ConfigError, match="did you mean 'trials'"):
        overlay({}, {"search": {"trails": 3}}, StudyFile, "x")
    with pytest.raises(ConfigError, match="did you mean 'high'"):
        overlay({}, {"search": {"parameters": {"a": {"hihg": 3}}}}, StudyFile, "x")


def test_a_learning_curve_joins_settings_with_other_fractions_alone():
    tenth = {"data.train_fraction": 0.1, "optim.epochs": 80, "optim.batch_size": 16}
    half, slow = {"data.train_fraction": 0.5}, {"optim.epochs": 80}
    settings = {"tenth": tenth, "half": half, "all": {}, "slow": slow}
    assert training_fractions(settings) == {"tenth": 0.1, "half": 0.5, "all": 1.0}
    assert training_fractions({"small": half | {"data.size": 64}, "all": {}}) == {"all": 1.0}
    assert training_fractions({"half": half, "long": half | slow}) == {}
