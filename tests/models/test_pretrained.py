"""Published weights: a folder, an installed package, or a download that is announced."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from agfnet.errors import BundleError, ConfigError
from agfnet.files import sha256
from agfnet.models import pretrained
from agfnet.models.backbone import Backbone

PACKAGED = "tf_efficientnet_lite0"


def weights_folder(folder: Path, sums: str | None = None) -> torch.Tensor:
    """Make a folder of weights; return the first convolution of its resnet10t."""
    net = timm.create_model("resnet10t")
    save_file(net.state_dict(), folder / "resnet10t.safetensors")
    if sums is not None:
        (folder / "SHA256SUMS").write_text(f"{sums}  resnet10t.safetensors\n", encoding="utf-8")
    return net.conv1[0].weight.detach()


def test_weights_come_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = weights_folder(tmp_path)
    monkeypatch.setenv(pretrained.FOLDER, str(tmp_path))
    backbone = Backbone(name="resnet10t", scales=3, weights="timm", options={})
    torch.testing.assert_close(backbone.net.conv1[0].weight, first)  # type: ignore[index, union-attr]


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights_folder(tmp_path, sums="0" * 64)
    monkeypatch.setenv(pretrained.FOLDER, str(tmp_path))
    with pytest.raises(ConfigError, match="differs from its checksum"):
        Backbone(name="resnet10t", scales=3, weights="timm", options={})
    digest = sha256(tmp_path / "resnet10t.safetensors")
    for marker in " *":  # sha256sum, and sha256sum --binary
        right = f"{digest} {marker}resnet10t.safetensors\n"
        (tmp_path / "SHA256SUMS").write_text(right, encoding="utf-8")
        assert pretrained.find_weights("resnet10t") == tmp_path / "resnet10t.safetensors"
    (tmp_path / "SHA256SUMS").write_text(f"SHA256 = {digest}\n", encoding="utf-8")
    with pytest.raises(BundleError, match="SHA256SUMS:1"):
        pretrained.find_weights("resnet10t")


def test_packaged_weights_need_no_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(pretrained.FOLDER, raising=False)
    path = pretrained.find_weights(PACKAGED)
    assert path is not None
    state = pretrained.packaged(path, PACKAGED)
    backbone = Backbone(name=PACKAGED, scales=3, weights="timm", options={})
    loaded = backbone.net.state_dict()
    assert {key for key in loaded if key in state} == set(loaded)
    assert all(torch.equal(loaded[key], state[key]) for key in loaded)
    # the order of tensors with the same shape is right: only a mean can be negative
    for key in (key for key in state if key.endswith("running_var")):
        assert (state[key] >= 0).all(), key
        assert (state[key.replace("var", "mean")] < 0).any(), key
    assert state["classifier.weight"].shape == (1000, 1280)
    assert capsys.readouterr().err == ""


def test_a_download_is_announced_and_its_failure_says_what_to_copy_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(pretrained.FOLDER, raising=False)

    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError("offline mode is enabled")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    with pytest.raises(
        ConfigError, match=r"hf download timm/resnet18.*resnet18\.safetensors.*lite0"
    ):
        Backbone(name="resnet18", scales=3, weights="timm", options={})
    assert "Pretrained weights of resnet18: downloaded" in capsys.readouterr().err


def test_random_is_the_word_for_no_weights() -> None:
    torch.manual_seed(0)
    first = Backbone(name="resnet10t", scales=3, weights="random", options={})
    torch.manual_seed(0)
    second = Backbone(name="resnet10t", scales=3, weights=None, options={})
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
