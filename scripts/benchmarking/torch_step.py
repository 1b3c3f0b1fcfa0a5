"""A training step in PyTorch. Imports nothing of audioconv: the memory of a process that runs it is measured."""

from __future__ import annotations

from typing import Any

import torch


class Training:
    """Training steps with AdamW, whose fused kernel is PyTorch's fastest; weight decay as audioconv has it."""

    def __init__(self, module: torch.nn.Module, x: Any, labels: Any, learning_rate: float, compiled: bool = False):
        self.module = module.train()
        self._run = torch.compile(self.module, dynamic=False) if compiled else self.module
        self._x, self._labels = x, torch.as_tensor(labels)
        params = list(self.module.parameters())
        groups = [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=learning_rate, fused=True)

    def step(self) -> float:
        """Make one step and return its loss."""
        self._optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self._run(self._x), self._labels)
        loss.backward()
        self._optimizer.step()
        return float(loss.item())
