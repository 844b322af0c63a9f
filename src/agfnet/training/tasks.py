"""From settings to a task: a network with the losses of its training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from agfnet.config import TrainConfig
from agfnet.data.table import Case
from agfnet.errors import ConfigError
from agfnet.models.agfnet import AGFNet
from agfnet.models.baselines.amfam import AMFAM
from agfnet.models.build import build, build_decoder, without_weights
from agfnet.models.network import Network
from agfnet.training.adversarial import AdversarialTask
from agfnet.training.attributes import AttributeHeads, attribute_targets
from agfnet.training.pretrained import load_backbones, pretrained_runs
from agfnet.training.reconstruction import ReconstructionTask
from agfnet.training.supervised import SupervisedTask

Task = SupervisedTask | ReconstructionTask | AdversarialTask


def build_task(
    config: TrainConfig, labels: Sequence[int], classes: int, cases: Sequence[Case] = ()
) -> Task:
    """Build a network and its task.

    Args:
        config: settings of the training.
        labels: class of every training case, which the loss may balance.
        classes: number C of classes.
        cases: the training cases, for the attributes in `data.attributes`.

    Raises:
        ConfigError: a setting that the network or the table does not permit.
    """
    settings, modalities = config.model, config.data.modalities
    runs = pretrained_runs(settings.backbone)
    model = build(
        without_weights(settings) if runs else settings, modalities=len(modalities), classes=classes
    )
    if runs:
        load_backbones(model.backbones, settings.backbone, modalities)
    if config.fit.gradient_checkpointing:
        model.backbones.recompute()
    supervised = SupervisedTask(
        model=model,
        config=config.loss,
        counts=torch.bincount(torch.tensor(labels), minlength=classes).clamp_min(1),
        modality_dropout=config.optim.modality_dropout,
        attributes=build_attributes(config, model, cases),
    )
    if isinstance(model, AMFAM):
        return AdversarialTask(supervised=supervised)
    if not (config.reconstruction.enabled and isinstance(model, AGFNet)):
        return supervised
    decoder = model.decoder or build_decoder(
        config.model.fusion,
        len(config.data.modalities),
        cross_modality=config.reconstruction.cross_modality,
    )
    return ReconstructionTask(supervised=supervised, config=config.reconstruction, decoder=decoder)


def build_attributes(
    config: TrainConfig, model: Network, cases: Sequence[Case]
) -> AttributeHeads | None:
    """Build the heads of the attributes; None without attributes or cases.

    Raises:
        ConfigError: the network has no single classification head, or there is no such column.
    """
    if not config.data.attributes or not cases:
        return None
    head = getattr(model, "head", None)
    if head is None:
        raise ConfigError(
            f"data.attributes: {config.model.method} has no single classification head whose input"
            " could predict them; leave the setting out, or take another model.method"
        )
    return AttributeHeads(head=head, targets=attribute_targets(cases, config.data.attributes))
