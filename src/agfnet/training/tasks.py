"""From settings to a task: a network with the losses of its training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from agfnet.config import TrainConfig
from agfnet.models.agfnet import AGFNet
from agfnet.models.baselines.amfam import AMFAM
from agfnet.models.build import build, build_decoder, without_weights
from agfnet.training.adversarial import AdversarialTask
from agfnet.training.pretrained import load_backbones, pretrained_runs
from agfnet.training.reconstruction import ReconstructionTask
from agfnet.training.supervised import SupervisedTask

Task = SupervisedTask | ReconstructionTask | AdversarialTask


def build_task(config: TrainConfig, labels: Sequence[int], classes: int) -> Task:
    """Build a network and its task.

    Args:
        config: settings of the training.
        labels: class of every training case, which the loss may balance.
        classes: number C of classes.
    """
    settings, modalities = config.model, config.data.modalities
    runs = pretrained_runs(settings.backbone)
    model = build(
        without_weights(settings) if runs else settings, modalities=len(modalities), classes=classes
    )
    if runs:
        load_backbones(model.backbones, settings.backbone, modalities)
    supervised = SupervisedTask(
        model=model,
        config=config.loss,
        counts=torch.bincount(torch.tensor(labels), minlength=classes).clamp_min(1),
        modality_dropout=config.optim.modality_dropout,
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
