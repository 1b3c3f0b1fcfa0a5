"""From steps to nested layers: chains, and branches between a fork and a join."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from audioconv import layers as L
from audioconv.errors import ModelFileError
from audioconv.interop.errors import UnsupportedError
from audioconv.interop.graph import Group, Step, Tensor
from audioconv.interop.imported import Imported
from audioconv.layers.base import Layer, Params, flatten


@dataclass(frozen=True, eq=False)
class Part:
    """A layer with its parameters and its name in the file; `names` are those of the layers that it is made of."""

    layer: Layer
    params: Params
    name: str
    names: dict[str, str]


def built(start: Tensor, end: Tensor, file_groups: Sequence[Group]) -> Imported:
    """Return the network from the input `start` to `end`.

    Parameters
    ----------
    start, end : Tensor
    file_groups : sequence of tuple of Axis
        The axes of the input as the file has them.

    Raises
    ------
    UnsupportedError
        If branches are joined in a way that nested layers cannot express.
    """
    try:
        parts = _Builder().chain(end, start)
    except RecursionError:
        raise UnsupportedError("branches are nested too deeply", remedy="cut the network earlier with until=") from None
    network, params, names = _in_chain(parts)
    for path, array in flatten(params).items():
        if not np.isfinite(array).all():
            name = names.get(path.rpartition(".")[0], path)
            raise ModelFileError(f"the array of {name!r} holds NaN or infinity; train the network again without them")
    params = _own(params)
    origins = {id(axis): number for number, group in enumerate(file_groups) for axis in group}
    places = {id(axis): number + 1 for number, axis in enumerate(end.order)}
    input_axes = tuple(origins.get(id(axis)) for axis in start.order)
    output_axes = tuple(places[id(group[0])] if group else None for group in end.groups[1:])
    return Imported(network, params, start.array_shape, names, input_axes, output_axes)


def _own(params: Params) -> Params:
    """Return the parameters as arrays of their own, float32."""
    return {
        name: _own(value) if isinstance(value, dict) else np.array(value, np.float32, order="C")
        for name, value in params.items()
    }


class _Builder:
    """Goes backward from joins to the tensors that all of their inputs depend on."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._depth: dict[int, int] = {}
        self._above: dict[int, Tensor] = {}

    def chain(self, end: Tensor, start: Tensor) -> list[Part]:
        """Return the parts from `start` to `end`, in order."""
        parts: list[Part] = []
        at = end
        while not _is_same(at, start):
            step = at.step
            if step is None:
                raise UnsupportedError(
                    "the network does not depend on its input alone", remedy="cut the network elsewhere with until="
                )
            if id(step) in self._used:
                raise UnsupportedError(
                    "its output goes into branches that are joined at different places, which nested layers cannot "
                    "express", step.place, "cut the network before it with until=",
                )  # fmt: skip
            self._used.add(id(step))
            if step.layer is not None:
                parts.append(Part(step.layer, step.params, step.name, {}))
                at = step.inputs[0]
            else:
                at = self._common(step.inputs)
                parts.append(_joined(step, self._branches(step, step.inputs, at)))
        return _fused(parts[::-1])

    def _branches(self, step: Step, ends: Sequence[Tensor], fork: Tensor) -> list[list[Part]]:
        """Return the branches from `fork` to `ends`; neighbours that fork again behind it are one branch."""
        branches = []
        waiting = list(ends)
        while waiting:
            group = [waiting.pop(0)]
            while waiting and step.join == "concat" and not _is_same(self._common([*group, waiting[0]]), fork):
                group.append(waiting.pop(0))
            if len(group) == 1:
                branches.append(self.chain(group[0], fork))
            else:
                inner = self._common(group)
                joined = _joined(step, self._branches(step, group, inner))
                branches.append([*self.chain(inner, fork), joined])
        return branches

    def _common(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the last tensor through which everything goes that `tensors` depend on."""
        found = tensors[0]
        for other in tensors[1:]:
            one = found
            while not _is_same(one, other):
                if self._level(one) >= self._level(other):
                    one = self._dominator(one)
                else:
                    other = self._dominator(other)
            found = one
        return found

    def _dominator(self, tensor: Tensor) -> Tensor:
        """Return the nearest tensor through which everything goes that `tensor` depends on."""
        self._level(tensor)
        return self._above[_key(tensor)]

    def _level(self, tensor: Tensor) -> int:
        """Return how many dominators there are from the input to `tensor`."""
        waiting = [tensor]
        while waiting:
            top = waiting[-1]
            if _key(top) in self._depth or top.step is None:
                self._depth.setdefault(_key(top), 0)
                waiting.pop()
                continue
            missing = [source for source in top.step.inputs if _key(source) not in self._depth]
            if missing:
                waiting += missing
                continue
            above = top.step.inputs[0] if len(top.step.inputs) == 1 else self._common(top.step.inputs)
            self._above[_key(top)] = above
            self._depth[_key(top)] = self._depth[_key(above)] + 1
            waiting.pop()
        return self._depth[_key(tensor)]


def _key(tensor: Tensor) -> int:
    """Return what two descriptions of the same numbers have in common: the step that computes them."""
    return 0 if tensor.step is None else id(tensor.step)


def _is_same(a: Tensor, b: Tensor) -> bool:
    return a.step is b.step


def _in_chain(parts: Sequence[Part]) -> tuple[Layer, Params, dict[str, str]]:
    """Return a chain of `parts`, its parameters and the names of its layers."""
    params = {str(number): part.params for number, part in enumerate(parts) if part.params}
    names: dict[str, str] = {}
    for number, part in enumerate(parts):
        names[str(number)] = part.name
        names.update({f"{number}.{path}": name for path, name in part.names.items()})
    return L.Chain([part.layer for part in parts]), params, names


def _branch(parts: Sequence[Part], name: str) -> Part:
    """Return a branch as one layer."""
    if not parts:
        return Part(L.Identity(), {}, name, {})
    if len(parts) == 1:
        return parts[0]
    layer, params, names = _in_chain(parts)
    return Part(layer, params, name, names)


def _joined(step: Step, branches: Sequence[Sequence[Part]]) -> Part:
    """Return a join's layer."""
    if step.join == "add" and step.operator == "Sum" and _are_alike(step):
        return _total(step, branches)
    if step.join == "add":
        # The shortcut is the branch that does nothing, or the shorter one.
        body, shortcut = sorted(branches, key=len, reverse=True)
        named = {"body": _branch(body, step.name), "shortcut": _branch(shortcut, step.name)}
        layer: Layer = L.Residual(named["body"].layer, named["shortcut"].layer)
    else:
        named = {str(number): _branch(branch, step.name) for number, branch in enumerate(branches)}
        found = [part.layer for part in named.values()]
        if step.join == "multiply":
            by_gate = next((layer for layer in found if not isinstance(layer, L.Identity)), None)
            if len(found) == 2 and L.Identity() in found and by_gate in _GATES:
                return Part(_GATES[by_gate], {}, step.name, {})
            layer = L.Multiply(found)
        else:
            layer = L.Concat(found)
    names = {}
    for path, part in named.items():
        if not isinstance(part.layer, L.Identity):
            names[path] = part.name
        names.update({f"{path}.{below}": name for below, name in part.names.items()})
    params = {path: part.params for path, part in named.items() if part.params}
    return Part(layer, params, step.name, names)


def _are_alike(step: Step) -> bool:
    """Tell whether all inputs of a step have one shape."""
    return len({tensor.array_shape for tensor in step.inputs}) == 1


def _total(step: Step, branches: Sequence[Sequence[Part]]) -> Part:
    """Return the sum of branches that a node `Sum` adds: whole networks that decide together, for example."""
    found: list[Part] = []
    for branch in branches:
        part = _branch(branch, step.name)
        if isinstance(part.layer, L.Sum) and part.name == step.name:  # the same node's first inputs
            below = enumerate(part.layer.branches)
            found += [
                Part(
                    layer, part.params.get(str(number), {}), part.names.get(str(number), step.name),
                    _below(part.names, f"{number}."),
                )
                for number, layer in below
            ]  # fmt: skip
        else:
            found.append(part)
    names = {}
    for number, part in enumerate(found):
        if not isinstance(part.layer, L.Identity):
            names[str(number)] = part.name
        names.update({f"{number}.{path}": name for path, name in part.names.items()})
    params = {str(number): part.params for number, part in enumerate(found) if part.params}
    return Part(L.Sum([part.layer for part in found]), params, step.name, names)


def _below(names: dict[str, str], prefix: str) -> dict[str, str]:
    return {path.removeprefix(prefix): name for path, name in names.items() if path.startswith(prefix)}


_GATES: dict[Layer | None, Layer] = {L.Sigmoid(): L.SiLU(), L.HardSigmoid(): L.HardSwish()}
"""Functions that are their input times another function of it."""


# --- several layers as one -----------------------------------------------------------------------------------------


def _fused(parts: list[Part]) -> list[Part]:
    """Return a chain's parts, those that are one layer together made one."""
    found: list[Part] = []
    for part in parts:
        found.append(part)
        while True:
            for length, rule in _FUSIONS:
                fused = rule(*found[-length:]) if len(found) >= length else None
                if fused is not None:
                    found[-length:] = [fused]
                    break
            else:
                break
    return found


def _padded_conv(pad: Part, conv: Part) -> Part | None:
    """Return a convolution whose zeros were put around its input by a layer of their own."""
    if not (isinstance(pad.layer, L.Pad) and isinstance(conv.layer, L.Conv) and pad.layer.value == 0):
        return None
    *spatial, channels = pad.layer.padding
    if any(channels):
        return None
    own = conv.layer.window(len(spatial)).padding
    sums = [(b + more_b, a + more_a) for (b, a), (more_b, more_a) in zip(own, spatial, strict=True)]
    padding = tuple(before for before, _ in sums) if all(before == after for before, after in sums) else tuple(sums)
    return replace(conv, layer=replace(conv.layer, padding=padding))


def _biased(main: Part, scale: Part) -> Part | None:
    """Return a convolution or a dense layer with the numbers that are added behind it as its bias."""
    if not isinstance(main.layer, L.Conv | L.Dense) or main.layer.bias or scale.layer != L.Scale(weight=False):
        return None
    return replace(main, layer=replace(main.layer, bias=True), params={**main.params, "bias": scale.params["bias"]})


def _scaled_and_shifted(scale: Part, shift: Part) -> Part | None:
    """Return one scale for factors and for the numbers that are added behind them."""
    if not (isinstance(scale.layer, L.Scale) and isinstance(shift.layer, L.Scale)):
        return None
    if scale.layer.bias or shift.layer.weight or scale.layer.axes != shift.layer.axes:
        return None
    return replace(scale, layer=replace(scale.layer, bias=True), params={**scale.params, **shift.params})


def _clamped(first: Part, second: Part) -> Part | None:
    """Return one clamp for two bounds in two layers."""
    if isinstance(first.layer, L.ReLU):
        low = 0.0
    elif isinstance(first.layer, L.Clamp) and first.layer.low is not None and first.layer.high is None:
        low = first.layer.low
    else:
        return None
    if not isinstance(second.layer, L.Clamp) or second.layer.low is not None or second.layer.high is None:
        return None
    return replace(first, layer=L.Clamp(low, second.layer.high)) if low <= second.layer.high else None


def _hard_sigmoid(shift: Part, clamp: Part, scale: Part) -> Part | None:
    """Return the hard sigmoid that is written as ``min(max(x + 3, 0), 6) / 6``."""
    if shift.layer != L.Power(shift=3.0) or clamp.layer != L.Clamp(0, 6) or not isinstance(scale.layer, L.Power):
        return None
    is_sixth = scale.layer.power == 1 and scale.layer.shift == 0 and abs(scale.layer.scale - 1 / 6) < 1e-7
    return replace(clamp, layer=L.HardSigmoid()) if is_sixth else None


_FUSIONS: list[tuple[int, Callable[..., Part | None]]] = [
    (2, _padded_conv),
    (2, _biased),
    (2, _scaled_and_shifted),
    (2, _clamped),
    (3, _hard_sigmoid),
]
