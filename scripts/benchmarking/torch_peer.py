"""PyTorch's part: the same networks with the same weights, and its convolution."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from audioconv import layers as L
from benchmarking.ours import BATCH, CHECKED_STEPS, LEARNING_RATE, Case, case, channels_first
from benchmarking.torch_step import Training

Array = NDArray[Any]


class Residual(nn.Module):
    """``body(x) + shortcut(x)``."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return self.body(x) + self.shortcut(x)


def module(case: Case) -> nn.Module:
    """Return the network of `case`, with its parameters; names are the same paths."""
    made = _module(case.network, case.in_shape)
    state = {path: torch.tensor(array) for path, array in channels_first(case, case.params).items()}
    faults = made.load_state_dict(state, strict=False)
    if faults.unexpected_keys or any(not key.endswith("num_batches_tracked") for key in faults.missing_keys):
        raise TypeError(f"{case.name}: parameters do not fit PyTorch's network: {faults}")
    return made


def _module(layer: L.Layer, in_shape: tuple[int, ...]) -> nn.Module:
    axes, channels = len(in_shape) - 1, in_shape[-1]
    match layer:
        case L.Chain():
            return nn.Sequential(*(_module(part, shape) for _, part, shape in layer.parts(in_shape)))
        case L.Residual():
            return Residual(*(_module(part, shape) for _, part, shape in layer.parts(in_shape)))
        case L.Conv():
            window = layer.window(axes)
            if any(before != after for before, after in window.padding):
                raise TypeError(f"{layer.label()}: PyTorch pads both sides alike")
            return (nn.Conv1d, nn.Conv2d)[axes - 1](
                channels,
                layer.filters,
                window.kernel,
                window.stride,
                tuple(before for before, _ in window.padding),
                window.dilation,
                layer.groups,
                layer.bias,
            )
        case L.BatchNorm():
            return (nn.BatchNorm1d, nn.BatchNorm2d)[axes - 1](channels, layer.epsilon, layer.momentum)
        case L.ReLU():
            return nn.ReLU(inplace=True)
        case L.MaxPool():
            return (nn.MaxPool1d, nn.MaxPool2d)[axes - 1](layer.size, layer.stride)
        case L.GlobalAvgPool():
            return nn.Sequential((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)[axes - 1](1), nn.Flatten())
        case L.Flatten():
            return nn.Flatten()
        case L.Dropout() if not layer.whole_channels:
            return nn.Dropout(layer.rate)
        case L.Dense():
            return nn.Linear(channels, layer.units, layer.bias)
        case L.Identity():
            return nn.Identity()
    raise TypeError(f"the benchmark knows no {layer.label()} of PyTorch's")


def examples(case: Case, batch: int = BATCH) -> torch.Tensor:
    """Return the first `batch` examples, channels first."""
    return torch.tensor(np.moveaxis(case.x[:batch], -1, 1).copy())


def layouts(case: Case) -> tuple[str, ...]:
    """Return the orders of the axes in memory that PyTorch has for such a network."""
    return ("channels first", "channels last") if len(case.in_shape) == 3 else ("channels first",)


def in_layout(layout: str, thing: Any) -> Any:
    """Return a tensor, or a module (changed in place), in the layout."""
    return thing.to(memory_format=torch.channels_last) if layout == "channels last" else thing


def training(case: Case, layout: str, compiled: bool = False) -> Training:
    """Return PyTorch's training steps of `case`."""
    _forget_compiled(compiled)
    network, x = in_layout(layout, module(case)), in_layout(layout, examples(case))
    return Training(network, x, case.labels, LEARNING_RATE, compiled)


def forward(case: Case, batch: int, layout: str, compiled: bool = False) -> Callable[[], Array]:
    """Return what classifies the first `batch` examples."""
    _forget_compiled(compiled)
    network, x = in_layout(layout, module(case).eval()), in_layout(layout, examples(case, batch))
    run = torch.compile(network, dynamic=False) if compiled else network

    def classify() -> Array:
        with torch.inference_mode():
            return run(x).numpy()

    return classify


def _forget_compiled(compiled: bool) -> None:
    """Begin anew, without processes beside this one: kernels of Numba have run, so it must not fork."""
    if compiled:
        import torch._inductor.config

        torch._inductor.config.compile_threads = 1
        torch._dynamo.reset()


# --- the reference: float64 ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: where others use the processor too, PyTorch's threads wait for each other by spinning."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@functools.cache
def reference_logits(name: str) -> Array:
    """Return the logits of the whole batch, computed in float64."""
    whole = case(name)
    with _one_thread(), torch.inference_mode():
        return module(whole).double().eval()(examples(whole).double()).numpy()


@functools.cache
def reference_training(name: str) -> tuple[list[float], dict[str, Array]]:
    """Return the losses of the first steps and the gradients of the first, computed in float64."""
    whole = case(name)
    steps = Training(module(whole).double(), examples(whole).double(), whole.labels, LEARNING_RATE)
    with _one_thread():
        losses, gradients = [steps.step()], gradients_of(steps)
        return [*losses, *(steps.step() for _ in range(CHECKED_STEPS - 1))], gradients


def gradients_of(steps: Training) -> dict[str, Array]:
    """Return the gradients of the step that was just made."""
    return {
        path: parameter.grad.detach().contiguous().numpy().copy()
        for path, parameter in steps.module.named_parameters()
        if parameter.grad is not None
    }


# --- one convolution -------------------------------------------------------------------------------------------------


def convolution(direction: str, x: Array, weight: Array, dy: Array, layout: str) -> Callable[[], Array]:
    """Return what computes a 3 x 3 convolution with padding 1, or one of its gradients.

    All arrays are channels first; float64 ones give the reference.
    """
    tensors = [in_layout(layout, torch.tensor(array)) for array in (x, weight, dy)]
    options = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1]}

    def run() -> Array:
        x, weight, dy = tensors
        with torch.inference_mode():
            if direction == "forward":
                return torch.nn.functional.conv2d(x, weight, padding=1).numpy()
            wanted = [direction == "input-grad", direction == "weight-grad", False]
            gradients = torch.ops.aten.convolution_backward(
                dy, x, weight, None, **options, transposed=False, output_padding=[0, 0], groups=1, output_mask=wanted
            )
            return gradients[wanted.index(True)].numpy()

    return run


def frozen_copy(case: Case, layout: str) -> dict[str, Any]:
    """Return what `memory` needs to train `case` in a process without audioconv."""
    return {
        "module": in_layout(layout, copy.deepcopy(module(case))),
        "x": in_layout(layout, examples(case)),
        "labels": torch.as_tensor(case.labels),
        "learning_rate": LEARNING_RATE,
    }
