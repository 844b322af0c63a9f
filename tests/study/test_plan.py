import pytest

from agfnet.config import EvaluateConfig
from agfnet.errors import ConfigError
from agfnet.study.plan import read_study
from agfnet.study.settings import slug


def test_every_method_fold_seed_and_setting_is_a_run(study_file):
    study = read_study(
        study_file(
            cohort=None,
            base={"data.cases": "x.csv"},
            methods={"AGFnet": None, "photo only": {"data.modalities": ["clinical"]}},
            folds=[0, 2],
            settings={"all": {}, "half": {"data.train_fraction": 0.5}},
        )
    )
    assert len(study.runs) == len({run.name for run in study.runs}) == 16
    last = study.runs[-1]
    assert last.name == "photo-only-fold2-seed1-half"
    assert last.config.data.fold == 2
    assert last.config.seed == 1
    assert last.config.data.train_fraction == 0.5
    assert list(last.config.data.modalities) == ["clinical"]
    assert study.reference == "AGFnet"


def test_a_list_names_networks_and_variants(study_file):
    study = read_study(
        study_file(methods=["concatenation", "without FRL"], reference="without FRL")
    )
    first, second = study.runs[:2]
    assert first.config.model.method == "concatenation"
    assert not second.config.reconstruction.enabled
    assert study.reference == "without FRL"


def test_cohorts_are_shared_or_one_per_seed(study_file):
    study = read_study(study_file(evaluate={"exchanged": {"shortcut_test": -0.9}}))
    assert len(study.cohorts) == 2
    assert {run.config.data.cases for run in study.runs} == {f"{study.cohorts[0].out}/cases.csv"}
    assert study.runs[0].evaluate == {"exchanged": f"{study.cohorts[1].out}/cases.csv"}
    assert study.cohorts[1].shortcut_test == -0.9
    study = read_study(study_file(cohort_per_seed=True))
    assert [cohort.seed for cohort in study.cohorts] == [0, 1]
    assert len({run.config.data.cases for run in study.runs}) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["AGFnt"]}, r"methods.AGFnt: .*did you mean 'AGFnet'"),
        ({"methods": {"mine": None}}, "is no network and no variant"),
        ({"methods": {"mine": {"optim.lrr": 1}}}, "methods.mine: optim.lrr: .*did you mean 'lr'"),
        ({"methods": {"mine": {"model.fusion.dim": 15}}}, "dim: 15"),
        ({"methods": []}, "methods: expected one or more"),
        ({"methods": {"a b": {}, "a-b": {}}}, "would share the folder"),
        ({"reference": "concat"}, "reference: no 'concat'; did you mean 'concatenation'"),
        ({"metrics": ["auc"]}, "metrics: no 'auc'"),
        ({"seeds": [1, 1]}, "seeds: expected one or more, none of them twice"),
        ({"seed": [1]}, "did you mean 'seeds'"),
        ({"base": {"seed": 3}}, "base.seed: the study decides it"),
        ({"base": {"data.cases": "x.csv"}}, "either base.data.cases, or a phantom cohort"),
        ({"cohort": None}, "either base.data.cases, or a phantom cohort"),
        ({"cohort": {"lesion": 3}}, "did you mean 'lesions'"),
        ({"cohort": {"seed": 3}, "cohort_per_seed": True}, "cohort.seed: the study decides it"),
        ({"folds": [0]}, "a phantom cohort has a split"),
        ({"evaluate": {"x": {"presett": "easy"}}}, "evaluate.x: .*did you mean 'preset'"),
        ({"evaluate": {"x": {"preset": "easy"}}}, "evaluate.x: changes nothing of the cohort"),
        ({"settings": {"x": {"optim": {"lrr": 1}}}}, "settings.x: .*did you mean 'lr'"),
        ({"scoring": {"split": "val"}}, "scoring.split: the study decides it"),
        ({"scoring": {"resample": 0}}, "scoring: .*did you mean 'resamples'"),
        ({"search": {"parameters": {"optim.lrr": [1]}}}, "search.parameters: .*did you mean 'lr'"),
        ({"search": {"parameters": {"optim.lr": []}}}, "no choices"),
        ({"search": {"parameters": {"optim.lr": {"low": 2, "high": 1}}}}, "must be below high"),
        ({"search": {"parameters": {}}}, "name at least one"),
        ({"search": {"parameters": {"optim.lr": [1]}, "metric": "x"}}, "search.metric: no 'x'"),
        ({"search": {"parameters": {"seed": [1]}}}, "search.parameters.seed: the study decides it"),
        (
            {"search": {"parameters": {"optim.lr": {"low": -1, "high": 1}}}},
            "lr: -1 is out of range",
        ),
        ({"search": {"parameters": ["optim.lr"]}}, "parameters: expected a mapping"),
        ({"methods": {"a": {"seed": 2}}}, "methods.a.seed: the study decides it"),
        ({"methods": {"a": {"data": {"cases": "y.csv"}}}}, "a.data.cases: the study decides it"),
        ({"settings": {"a": {"resume": False}}}, "settings.a.resume: the study decides it"),
        ({"methods": {"a": 5}}, r"methods\.a: .* a valid string or a valid dictionary, not 5"),
        ({"methods": ["AGFnet", 5]}, r"methods\.1: .* a valid string, not 5"),
        ({"methods": {"": {}}}, "'' has neither a letter nor a digit"),
        ({"methods": {"a": {"data.modalities": 5}}}, r"study\.yaml, method a: data.modalities: "),
        ({"evaluate": {"test": {"lesions": 41}}}, "evaluate.test: is the name of a split"),
        ({"evaluate": {"../x": {"lesions": 41}}}, "evaluate.../x: expected a plain name"),
        (
            {"evaluate": {"a": {"lesions": 41}, "A": {"lesions": 42}}},
            r"the results of 'a' and of 'A' would share the files a\.\*",
        ),
        ({"names": {"AGFnet": "x", "concatenation": "x"}}, "would both be shown as 'x'"),
        ({"names": {"AGFnet": " "}}, "names.AGFnet: is empty"),
        ({"out": ""}, "out: is empty"),
    ],
)
def test_mistakes_are_refused_with_file_key_and_mend(study_file, changes, message):
    path = study_file(**changes)
    with pytest.raises(ConfigError, match=message) as error:
        read_study(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folds": []}, "folds: expected one or more"),
        ({"folds": [0, 0]}, "folds: expected one or more, none of them twice"),
        ({"folds": [-1]}, "folds: -1 is out of range"),
        ({"folds": [0], "settings": {"a": {"data.fold": 1}}}, "settings.a.data.fold: the study"),
    ],
)
def test_mistakes_in_folds_are_refused(study_file, changes, message):
    path = study_file(cohort=None, base={"data.cases": "x.csv"}, **changes)
    with pytest.raises(ConfigError, match=message) as error:
        read_study(path)
    assert str(error.value).startswith(str(path))


def test_a_variant_of_agfnet_needs_a_base_of_agfnet(study_file):
    path = study_file(base={"model.method": "late_fusion"})
    with pytest.raises(ConfigError, match=r"methods.AGFnet: .* base.model.method is 'late_fusion'"):
        read_study(path)


def test_a_study_does_not_write_into_a_file(study_file, tmp_path):
    (tmp_path / "file").write_text("")
    path = study_file(out=str(tmp_path / "file" / "study"))
    with pytest.raises(ConfigError, match=r"out: .*file is a file; name a folder"):
        read_study(path)


def test_methods_with_the_same_settings_are_pointed_out(study_file, capsys):
    read_study(study_file(methods={"a": {}, "b": "AGFnet", "c": "concatenation"}))
    warning = " ".join(capsys.readouterr().err.split())
    assert warning.endswith("'a' and 'b' have the same settings; their results will be equal")
    assert warning.count("the same settings") == 1


def test_every_run_is_scored_as_the_study_says(study_file):
    study = read_study(study_file(scoring={"max_focus_lesions": 0, "resamples": 50}))
    for run in study.runs:
        assert run.scoring == EvaluateConfig(run="", max_focus_lesions=0, resamples=50)


def test_changes_of_a_cohort_need_one(study_file):
    path = study_file(cohort=None, base={"data.cases": "x"}, evaluate={"x": {"preset": "easy"}})
    with pytest.raises(ConfigError, match=r"evaluate.x: .*no cohort"):
        read_study(path)


def test_display_names_must_be_of_the_study(study_file):
    names = {"AGFnet": "AGF network", "test": "Berlin"}
    study = read_study(study_file(names=names, title="Three methods"))
    assert (study.title, study.file.names) == ("Three methods", names)
    assert read_study(study_file()).title == "study"
    with pytest.raises(ConfigError, match=r"names: no 'AGFNet'.*AGFnet"):
        read_study(study_file(names={"AGFNet": "x"}))


def test_slug():
    assert slug("Without ALL (d=2)") == "without-all-d-2"
    assert slug("../..") == ""
