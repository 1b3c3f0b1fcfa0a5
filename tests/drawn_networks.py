"""Networks that hypothesis draws: layers, branches and gates over one or two spatial axes."""

from __future__ import annotations

from hypothesis import strategies as st

from audioconv import layers as L
from audioconv.errors import ShapeError

CLASSES = 5
CHANNELS = st.sampled_from([1, 2, 3, 5, 7, 8, 10, 15, 16, 17, 24, 31, 32, 33, 40, 64])


@st.composite
def convolutions(draw, axes, channels):
    kind = draw(st.sampled_from(["any", "any", "3x3", "depthwise", "grouped"]))
    each = {"min_size": axes, "max_size": axes}
    kernel = tuple(draw(st.lists(st.integers(1, 5), **each)))
    stride = tuple(draw(st.lists(st.integers(1, 3), **each)))
    dilation = tuple(draw(st.lists(st.sampled_from([1, 1, 2]), **each)))
    padding = draw(
        st.one_of(
            st.sampled_from(["same", "valid", 1]),
            st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), **each).map(tuple),
        )
    )
    filters, groups = draw(CHANNELS), 1
    if kind == "3x3":
        kernel, stride, dilation, padding = (3,) * axes, 1, 1, draw(st.sampled_from([0, 1, 2, "same"]))
    elif kind == "depthwise":
        filters = groups = channels
        if draw(st.booleans()):
            kernel, stride, dilation = (3,) * axes, 1, 1
    elif kind == "grouped" and channels % 2 == 0:
        filters, groups = 2 * draw(st.integers(1, 20)), 2
    return L.Conv(filters, kernel, stride, padding, dilation, groups, draw(st.booleans()))


KINDS = [
    "conv", "conv", "norm", "bands", "relu", "leaky", "clamp", "smooth", "max", "avg", "drop", "residual", "broadcast",
    "concat", "gate",
]  # fmt: skip


@st.composite
def bodies(draw, axes, shape, depth=0):
    """Draw layers and the shape that comes out of them."""
    layers = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(KINDS))
        if kind == "conv":
            layer = draw(convolutions(axes, shape[-1]))
        elif kind == "norm":
            layer = L.BatchNorm()
        elif kind == "bands":
            layer = L.SubSpectralNorm(draw(st.sampled_from([n for n in range(1, 14) if shape[-2] % n == 0])))
        elif kind == "smooth":
            layer = draw(
                st.sampled_from([L.SiLU(), L.Sigmoid(), L.Tanh(), L.HardSwish(), L.HardSigmoid(0.3, 0.4), L.ELU(0.7)])
            )
        elif kind == "broadcast":
            layer = draw(broadcasts(axes, shape))
        elif kind == "concat":
            layer = draw(concats(axes, shape))
        elif kind == "gate":
            layer = draw(gates(shape))
        elif kind == "relu":
            layer = L.ReLU()
        elif kind == "leaky":
            layer = L.LeakyReLU(0.1)
        elif kind == "clamp":
            layer = draw(st.sampled_from([L.Clamp(-0.1, 1.5), L.Clamp(low=-0.05), L.Clamp(high=0.7), L.Clamp(0, 6)]))
        elif kind in ("max", "avg"):
            size = draw(st.integers(1, 4))
            stride = draw(st.sampled_from([None, 1, 2, 3]))
            padding = draw(st.one_of(st.integers(0, size - 1), st.just("same")))
            layer = (L.MaxPool if kind == "max" else L.AvgPool)(size, stride, padding)
        elif kind == "drop":
            layer = draw(st.sampled_from([L.Dropout(0.3), L.ChannelDropout(0.3)]))
        elif depth < 2:
            inner, inner_shape = draw(bodies(axes, shape, depth + 1))
            # In use, nothing is left of dropout, and a sum of a value and itself is not compiled.
            adds = inner_shape == shape and not all(isinstance(layer, L.Dropout) for layer in inner)
            body = inner if adds and draw(st.booleans()) else [*inner, L.Conv(shape[-1], 1)]
            if inner_shape[:-1] != shape[:-1]:
                continue
            shortcut = draw(st.sampled_from([L.Identity(), L.Chain([L.Conv(shape[-1], 1), L.BatchNorm(), L.ReLU()])]))
            layer = L.Residual(L.Chain(body), shortcut)
        else:
            continue
        try:
            shape = layer.out_shape(shape)
        except ShapeError:
            continue
        layers.append(layer)
    return layers, shape


@st.composite
def broadcasts(draw, axes, shape):
    """Draw a sum of what differs along an axis and what does not, or of two that differ along an axis each."""
    poolings = [L.AvgPool(shape[:-1]), *([L.FrequencyAvgPool(), L.AvgPool((shape[0], 1))] if axes == 2 else [])]
    body = [draw(st.sampled_from(poolings)), *draw(st.sampled_from([[], [L.Conv(shape[-1], 1)], [L.SiLU()]]))]
    other = draw(st.sampled_from([L.Identity(), L.Conv(shape[-1], 1), L.Chain([draw(st.sampled_from(poolings))])]))
    return L.Residual(*draw(st.permutations([L.Chain(body), other])))


@st.composite
def concats(draw, axes, shape):
    """Draw branches of one size, one of which may do nothing."""
    kinds = st.sampled_from(["conv", "norm", "pool", "both"])
    branches = [L.Identity()] if draw(st.booleans()) else []
    for kind in draw(st.lists(kinds, min_size=2 - len(branches), max_size=3)):
        first = L.Conv(draw(st.sampled_from([1, 3, 16, 20])), draw(st.sampled_from([1, 3])), padding="same")
        more = {"conv": [], "norm": [L.BatchNorm(), L.ReLU()], "pool": [L.MaxPool(3, 1, 1)]}
        both = [L.LeakyReLU(0.1), L.Concat([L.Conv(3, 1), L.Chain([L.Tanh(), L.Conv(5, 3, padding=1)])])]
        branches.append(L.Chain([first, *more.get(kind, both)]))
    return L.Concat(draw(st.permutations(branches)))


@st.composite
def gates(draw, shape):
    """Draw squeeze-and-excite, or a product of two branches."""
    squeeze = [L.GlobalAvgPool(), L.Dense(3), L.ReLU(), L.Dense(shape[-1]), L.Sigmoid()]
    other = draw(st.sampled_from([L.Chain(squeeze), L.Conv(shape[-1], 1), L.Chain([L.AvgPool(shape[:-1]), L.Tanh()])]))
    first = draw(st.sampled_from([L.Identity(), L.Chain([L.Conv(shape[-1], 1), L.BatchNorm(), L.ReLU()])]))
    return L.Multiply(draw(st.permutations([first, other])))


@st.composite
def networks(draw):
    """Draw (network, shape of an example)."""
    axes = draw(st.integers(1, 2))
    size = draw(st.lists(st.sampled_from([1, 2, 5, 8, 13]), min_size=axes, max_size=axes))
    in_shape = (*size, draw(st.sampled_from([1, 1, 2, 3, 16, 20])))
    layers, _ = draw(bodies(axes, in_shape))
    end = draw(st.sampled_from([L.GlobalAvgPool(), L.GlobalMaxPool(), L.Flatten()]))
    return L.Chain([*layers, end, L.Dense(CLASSES)]), in_shape
