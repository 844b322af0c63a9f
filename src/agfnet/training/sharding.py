"""Backbones whose parameters are divided among the processes of a training (FSDP).

Each process keeps a part of every parameter of the backbones, of its gradient and of the state of
the optimiser. A stage is gathered when it runs, and given up again. The rest of the network is
small, and is in every process, with its gradients averaged by DDP. Checkpoints hold whole tensors,
as those of one process do, so that a training can be continued with another number of processes or
without sharding.

Sharding is that of `torch.distributed.fsdp.fully_shard` (Zhao et al., 2023, arXiv:2304.11277).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from operator import not_
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from agfnet.errors import ConfigError
from agfnet.models.backbone import Backbone, cut


def shard(task: nn.Module, processes: int) -> None:
    """Divide the parameters of the backbones of a task among the processes, stage by stage.

    Raises:
        ConfigError: a backbone has a parameter that cannot be divided.
    """
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = init_device_mesh(kind, (processes,))
    for part in task.modules():
        if isinstance(part, Backbone):
            # FSDP takes no other layout of the weights; that of the maps stays
            part.net.to(memory_format=torch.contiguous_format)
            for module in stages(part):
                try:
                    fully_shard(module, mesh=mesh, reshard_after_forward=True)
                except (NotImplementedError, ValueError) as error:
                    raise ConfigError(f"fit.shard_backbones: {error}; leave it out") from error
    task.register_load_state_dict_pre_hook(divide_loaded)


def stages(backbone: Backbone) -> Iterator[nn.Module]:
    """Yield the modules of a backbone that are gathered as a whole, inner ones first.

    A network that runs as a chain of modules can be run in stages, without its own `forward`, so
    that each module is gathered for itself. Of others, blocks are, and the rest with the backbone.
    """
    parts = cut(backbone.net)
    if parts:
        blocks = [module for part in parts for module in part]
    else:
        net: Any = getattr(backbone.net, "model", backbone.net)
        lists = (m for m in net.children() if isinstance(m, nn.Sequential | nn.ModuleList))
        blocks = [*(block for each in lists for block in each), backbone]
    yield from (block for block in blocks if any(True for _ in block.parameters()))


def leave_to_fsdp(model: nn.Module) -> None:
    """Let DDP leave out the parameters of a model that are sharded."""
    names = [name for name, p in model.named_parameters() if isinstance(p, DTensor)]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)


def divide_loaded(task: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Divide the whole tensors of a state that is loaded into a task with sharded backbones."""
    for name, parameter in task.named_parameters():
        if prefix + name in state:
            state[prefix + name] = divided(state[prefix + name], parameter)


def divided(value: Any, parameter: Tensor) -> Any:
    """Return the part of a tensor that belongs to a sharded parameter of its shape."""
    whole = isinstance(value, Tensor) and not isinstance(value, DTensor)
    if not (whole and isinstance(parameter, DTensor) and value.shape == parameter.shape):
        return value
    value = value.detach().to(parameter.device)
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def gathered(value: Any, *, keep: bool) -> Any:
    """Return a checkpoint with whole tensors on the CPU; all processes call this together.

    Args:
        value: the checkpoint, or a part of it.
        keep: return whole tensors; the processes that write nothing need not keep them.
    """
    if isinstance(value, DTensor):
        whole = value.full_tensor()
        return whole.detach().cpu() if keep else None
    if isinstance(value, Mapping):
        return {key: gathered(part, keep=keep) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(gathered(part, keep=keep) for part in value)
    return value


def clip_gradients(parameters: Sequence[nn.Parameter], max_norm: float) -> Tensor:
    """Clip the gradients of parameters to one norm, and return the norm before.

    The norm of sharded ones is that over all processes.
    """
    sharded = [isinstance(parameter, DTensor) for parameter in parameters]
    if not any(sharded):
        return nn.utils.clip_grad_norm_(parameters, max_norm)
    groups = [list(compress(parameters, sharded)), list(compress(parameters, map(not_, sharded)))]
    norms = []
    for group in groups:
        norm = nn.utils.get_total_norm([p.grad for p in group if p.grad is not None])
        norms.append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    total = torch.linalg.vector_norm(torch.stack(norms))
    for group in groups:
        nn.utils.clip_grads_with_norm_(group, max_norm, total)
    return total


class ShardedStrategy(DDPStrategy):
    """Lightning's DDP for the parameters that every process has, and FSDP for the backbones."""

    def setup(self, trainer: pl.Trainer) -> None:
        """Divide the backbones before DDP takes the other parameters, and the optimiser all."""
        shard(self.task, trainer.world_size)
        super().setup(trainer)

    @property
    def task(self) -> nn.Module:
        """The task that is trained."""
        assert self.lightning_module is not None
        task: nn.Module = self.lightning_module.task  # type: ignore[assignment]
        return task

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        leave_to_fsdp(model)
        return super()._setup_model(model)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None
    ) -> None:
        """Write whole tensors."""
        whole = gathered(checkpoint, keep=self.is_global_zero)
        super().save_checkpoint(whole, filepath, storage_options=storage_options)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Divide the state of the optimiser as the parameters are."""
        states = []
        for optimizer, whole in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            values = {
                number: {name: divided(value, parameters[number]) for name, value in each.items()}
                for number, each in whole["state"].items()
            }
            states.append(whole | {"state": values})
        super().load_optimizer_state_dict({"optimizer_states": states})


class ShardedAverage(EMAWeightAveraging):
    """The moving average of a network with sharded backbones, which is sharded as well.

    It updates one weight after the other: tensors that are divided and those that are not cannot
    be updated together.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Copy the network, which is not sharded yet, and shard the copy."""
        super().setup(trainer, pl_module, stage)
        assert self._average_model is not None
        shard(cast(nn.Module, self._average_model.module.task), trainer.world_size)
