"""What every kernel and layer must compute: plain loops in float64, importing nothing of audioconv.

Arrays are channels last with any number of spatial axes: x (N, *spatial, C), weight (*kernel, C/groups, K).
"""

from __future__ import annotations

import numpy as np

# --- windows -------------------------------------------------------------------------------------------------------


def each_axis(value, axes):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * axes


def padding_pairs(padding, kernel, dilation):
    """Return (before, after) per axis for a number, numbers, pairs, "same" or "valid"."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        return tuple((d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2) for k, d in zip(kernel, dilation, strict=True))
    return tuple(each_axis(side, 2) for side in each_axis(padding, len(kernel)))


def out_sizes(size, kernel, stride, padding, dilation):
    return tuple(
        1 + (n + before + after - d * (k - 1) - 1) // s
        for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


class Windows:
    """Where each tap of each output lies in the padded input."""

    def __init__(self, size, kernel, stride=1, padding=0, dilation=1):
        axes = len(size)
        self.kernel = each_axis(kernel, axes)
        self.stride = each_axis(stride, axes)
        self.dilation = each_axis(dilation, axes)
        self.padding = padding_pairs(padding, self.kernel, self.dilation)
        self.out = out_sizes(size, self.kernel, self.stride, self.padding, self.dilation)
        self.inside = tuple(slice(before, before + n) for n, (before, _) in zip(size, self.padding, strict=True))

    def pad(self, x, value=0.0):
        return np.pad(x.astype(np.float64), ((0, 0), *self.padding, (0, 0)), constant_values=value)

    def places(self):
        return np.ndindex(*self.out)

    def taps(self):
        return np.ndindex(*self.kernel)

    def pixel(self, place, tap):
        """Index, into the padded input, of what `tap` sees at `place`: all examples, all channels."""
        where = (p * s + t * d for p, s, t, d in zip(place, self.stride, tap, self.dilation, strict=True))
        return (slice(None), *where)


# --- convolution ---------------------------------------------------------------------------------------------------


def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    windows = Windows(x.shape[1:-1], weight.shape[:-2], stride, padding, dilation)
    padded, weight = windows.pad(x), weight.astype(np.float64)
    y = np.zeros((x.shape[0], *windows.out, weight.shape[-1]))
    for place in windows.places():
        for tap in windows.taps():
            pixel = padded[windows.pixel(place, tap)]
            for ins, outs in group_slices(x.shape[-1], weight.shape[-1], groups):
                y[(slice(None), *place, outs)] += pixel[:, ins] @ weight[tap][:, outs]
    return y if bias is None else y + bias


def conv_input_gradient(dy, weight, in_shape, stride=1, padding=0, dilation=1, groups=1):
    windows = Windows(in_shape[1:-1], weight.shape[:-2], stride, padding, dilation)
    dy, weight = dy.astype(np.float64), weight.astype(np.float64)
    padded = windows.pad(np.zeros(in_shape))
    for place in windows.places():
        for tap in windows.taps():
            for ins, outs in group_slices(in_shape[-1], weight.shape[-1], groups):
                padded[windows.pixel(place, tap)][:, ins] += dy[(slice(None), *place, outs)] @ weight[tap][:, outs].T
    return padded[(slice(None), *windows.inside)]


def conv_weight_gradient(x, dy, kernel, stride=1, padding=0, dilation=1, groups=1):
    windows = Windows(x.shape[1:-1], kernel, stride, padding, dilation)
    padded, dy = windows.pad(x), dy.astype(np.float64)
    gradient = np.zeros((*windows.kernel, x.shape[-1] // groups, dy.shape[-1]))
    for place in windows.places():
        for tap in windows.taps():
            pixel = padded[windows.pixel(place, tap)]
            for ins, outs in group_slices(x.shape[-1], dy.shape[-1], groups):
                gradient[tap][:, outs] += pixel[:, ins].T @ dy[(slice(None), *place, outs)]
    return gradient


def group_slices(channels_in, channels_out, groups):
    """Yield the input and output channels of each group."""
    ins, outs = channels_in // groups, channels_out // groups
    for g in range(groups):
        yield slice(g * ins, (g + 1) * ins), slice(g * outs, (g + 1) * outs)


# --- pooling -------------------------------------------------------------------------------------------------------


def max_pool(x, size, stride=None, padding=0):
    windows = Windows(x.shape[1:-1], size, size if stride is None else stride, padding)
    padded = windows.pad(x, -np.inf)
    y = np.full((x.shape[0], *windows.out, x.shape[-1]), -np.inf)
    for place in windows.places():
        for tap in windows.taps():
            y[(slice(None), *place)] = np.maximum(y[(slice(None), *place)], padded[windows.pixel(place, tap)])
    return y


def max_pool_input_gradient(x, dy, size, stride=None, padding=0):
    """Return the gradient by `x`; the first of equal numbers counts as the largest."""
    windows = Windows(x.shape[1:-1], size, size if stride is None else stride, padding)
    padded, gradient = windows.pad(x, -np.inf), windows.pad(np.zeros(x.shape))
    for place in windows.places():
        pixels = np.stack([padded[windows.pixel(place, tap)] for tap in windows.taps()])
        winner = pixels.argmax(axis=0)
        for number, tap in enumerate(windows.taps()):
            gradient[windows.pixel(place, tap)] += np.where(winner == number, dy[(slice(None), *place)], 0)
    return gradient[(slice(None), *windows.inside)]


def avg_pool(x, size, stride=None, padding=0):
    windows = Windows(x.shape[1:-1], size, size if stride is None else stride, padding)
    padded = windows.pad(x)
    y = np.zeros((x.shape[0], *windows.out, x.shape[-1]))
    for place in windows.places():
        for tap in windows.taps():
            y[(slice(None), *place)] += padded[windows.pixel(place, tap)]
    return y / np.prod(windows.kernel)


def avg_pool_input_gradient(dy, in_shape, size, stride=None, padding=0):
    windows = Windows(in_shape[1:-1], size, size if stride is None else stride, padding)
    gradient = windows.pad(np.zeros(in_shape))
    for place in windows.places():
        for tap in windows.taps():
            gradient[windows.pixel(place, tap)] += dy[(slice(None), *place)] / np.prod(windows.kernel)
    return gradient[(slice(None), *windows.inside)]


# --- the rest ------------------------------------------------------------------------------------------------------


def batch_norm(x, weight, bias, mean=None, variance=None, epsilon=1e-5):
    """Normalise each channel by the batch's statistics unless others are given."""
    x = x.astype(np.float64)
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axis=axes) if mean is None else mean
    variance = x.var(axis=axes) if variance is None else variance
    return (x - mean) / np.sqrt(variance + epsilon) * weight + bias


def dense(x, weight, bias=None):
    y = x.astype(np.float64) @ weight.astype(np.float64)
    return y if bias is None else y + bias


def activate(x, kind, slope=0.0):
    x = x.astype(np.float64)
    match kind:
        case "relu":
            return np.maximum(x, 0)
        case "leaky_relu":
            return np.where(x > 0, x, slope * x)
        case "sigmoid":
            return 1 / (1 + np.exp(-x))
        case "silu":
            return x / (1 + np.exp(-x))
        case "tanh":
            return np.tanh(x)
    raise ValueError(kind)


def activate_input_gradient(x, dy, kind, slope=0.0):
    x = x.astype(np.float64)
    sigmoid = 1 / (1 + np.exp(-x))
    slopes = {
        "relu": (x > 0).astype(float),
        "leaky_relu": np.where(x > 0, 1, slope),
        "sigmoid": sigmoid * (1 - sigmoid),
        "silu": sigmoid * (1 + x * (1 - sigmoid)),
        "tanh": 1 - np.tanh(x) ** 2,
    }
    return dy * slopes[kind]


def rearrange(x, axes):
    """Return the output axis by axis, number by number: where each comes from is counted out."""
    groups = [tuple(group) if isinstance(group, list | tuple) else (group,) for group in axes]
    sizes = [[x.shape[axis + 1] for axis in group] for group in groups]
    y = np.zeros((len(x), *(int(np.prod(group)) for group in sizes)), x.dtype)
    for place in np.ndindex(*y.shape[1:]):
        source = [0] * (x.ndim - 1)
        for group, group_sizes, number in zip(groups, sizes, place, strict=True):
            for axis, size in reversed(list(zip(group, group_sizes, strict=True))):
                source[axis], number = number % size, number // size
        y[(slice(None), *place)] = x[(slice(None), *source)]
    return y


# --- networks ------------------------------------------------------------------------------------------------------


def forward(layer, params, x, training=True):
    """Return what `layer` must compute, known by its class name and fields alone. Dropout is not defined here."""
    kind = type(layer).__name__
    spatial = tuple(range(1, x.ndim - 1))

    def part(name, sublayer, value):
        return forward(sublayer, params.get(name, {}), value, training)

    match kind:
        case "Conv":
            weight, bias = params["weight"], params.get("bias")
            return conv(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
        case "DepthwiseConv":
            weight, bias = params["weight"], params.get("bias")
            return conv(x, weight, bias, layer.stride, layer.padding, layer.dilation, x.shape[-1])
        case "Dense":
            return dense(x, params["weight"], params.get("bias"))
        case "BatchNorm":
            statistics = () if training else (params["running_mean"], params["running_var"])
            return batch_norm(x, params["weight"], params["bias"], *statistics, epsilon=layer.epsilon)
        case "SubSpectralNorm":
            normed = []
            for band, slab in enumerate(np.split(x, layer.bands, axis=-2)):
                C = slice(band * x.shape[-1], (band + 1) * x.shape[-1])
                statistics = () if training else (params["running_mean"][C], params["running_var"][C])
                weight, bias = params["weight"][C], params["bias"][C]
                normed.append(batch_norm(slab, weight, bias, *statistics, epsilon=layer.epsilon))
            return np.concatenate(normed, axis=-2)
        case "FrequencyAvgPool":
            return x.astype(np.float64).mean(axis=2, keepdims=True)
        case "MaxPool":
            return max_pool(x, layer.size, layer.stride, layer.padding)
        case "AvgPool":
            return avg_pool(x, layer.size, layer.stride, layer.padding)
        case "GlobalMaxPool":
            return x.max(axis=spatial)
        case "GlobalAvgPool":
            return x.astype(np.float64).mean(axis=spatial)
        case "Flatten":
            return x.reshape(len(x), -1)
        case "Identity":
            return x
        case "ReLU" | "LeakyReLU" | "Sigmoid" | "SiLU" | "Tanh":
            names = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "Sigmoid": "sigmoid", "SiLU": "silu", "Tanh": "tanh"}
            return activate(x, names[kind], getattr(layer, "slope", 0.0))
        case "Clamp":
            low, high = (bound if bound is None else float(np.float32(bound)) for bound in (layer.low, layer.high))
            x = x if low is None else np.maximum(x, low)
            return x if high is None else np.minimum(x, high)
        case "HardSigmoid":
            return np.minimum(np.maximum(layer.slope * x + layer.shift, 0), 1)
        case "HardSwish":
            return x * np.minimum(np.maximum(x + 3, 0), 6) / 6
        case "ELU":
            return np.where(x > 0, x, layer.alpha * (np.exp(x) - 1))
        case "Power":
            return (layer.scale * x.astype(np.float64) + layer.shift) ** layer.power
        case "PReLU":
            return np.maximum(x, 0) + params["weight"] * np.minimum(x, 0)
        case "Softmax":
            exponentials = np.exp(x.astype(np.float64))
            y = exponentials / exponentials.sum(axis=layer.axis, keepdims=True)
            return np.log(y) if layer.log else y
        case "Scale":
            return x * params.get("weight", 1) + params.get("bias", 0)
        case "Mean":
            for axis in layer.axes:
                x = x.astype(np.float64).mean(axis=axis, keepdims=True)
            return x
        case "AvgPoolExcludePadding":
            sums = avg_pool(x, layer.size, layer.stride, layer.padding)
            return sums / avg_pool(np.ones_like(x), layer.size, layer.stride, layer.padding)
        case "Rearrange":
            return rearrange(x, layer.axes)
        case "Pad":
            return np.pad(x, ((0, 0), *layer.padding), constant_values=layer.value)
        case "Multiply":
            outputs = [part(str(i), branch, x) for i, branch in enumerate(layer.branches)]
            axes = max(output.ndim for output in outputs)
            y = 1.0
            for output in outputs:
                features = output.ndim == 2
                y = y * (output.reshape(len(x), *(1,) * (axes - 2), -1) if features else output)
            return y
        case "Chain":
            for number, sublayer in enumerate(layer.layers):
                x = part(str(number), sublayer, x)
            return x
        case "Residual":
            return part("body", layer.body, x) + part("shortcut", layer.shortcut, x)
        case "Sum":
            return sum(part(str(i), branch, x) for i, branch in enumerate(layer.branches))
        case "Concat":
            return np.concatenate([part(str(i), branch, x) for i, branch in enumerate(layer.branches)], axis=-1)
    raise NotImplementedError(kind)
