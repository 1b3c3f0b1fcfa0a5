"""Twenty training steps beside PyTorch, from the same weights on the same batches."""

import numpy as np
import pytest

from audioconv import layers as L
from audioconv.runtime.weights import WeightVector
from audioconv.training.losses import SoftmaxCrossEntropy
from audioconv.training.optimizers import SGD, AdamW, clip_gradients
from audioconv.training.schedules import OneCycle

torch = pytest.importorskip("torch")
F = torch.nn.functional

STEPS = 20


def block(filters, kernel, **options):
    return [L.Conv(filters, kernel, bias=False, **options), L.BatchNorm(), L.ReLU()]


NET_2D = L.Chain(
    [
        *block(8, (3, 3), padding="same"),
        L.MaxPool((2, 2)),
        L.Conv(8, (3, 3), padding=1, groups=8),
        L.Conv(12, (1, 1)),
        L.ReLU(),
        L.Residual(L.Chain(block(12, (3, 3), padding=1))),
        L.Flatten(),
        L.Dense(5),
    ]
)
NET_1D = L.Chain(
    [
        *block(8, 9, stride=2, padding=4),
        L.Residual(L.Chain(block(16, 5, stride=2, padding=2)), L.Conv(16, 1, stride=2, bias=False)),
        L.ReLU(),
        *block(16, 3, padding="same", dilation=2),
        L.AvgPool(2),
        L.GlobalAvgPool(),
        L.Dense(5),
    ]
)


def forward(layer, params, x):
    """Return what `layer` gives in training, by PyTorch; x (N, C, ...), parameters as audioconv has them."""
    axes = x.ndim - 2
    match layer:
        case L.Chain():
            for number, part in enumerate(layer.layers):
                x = forward(part, params.get(str(number), {}), x)
            return x
        case L.Residual():
            body = forward(layer.body, params["body"], x)
            return body + forward(layer.shortcut, params.get("shortcut", {}), x)
        case L.Identity():
            return x
        case L.Conv():
            weight = params["weight"].permute(-1, -2, *range(axes))
            convolve = (F.conv1d, F.conv2d)[axes - 1]
            options = {"stride": layer.stride, "dilation": layer.dilation, "groups": layer.groups}
            return convolve(x, weight, params.get("bias"), padding=layer.padding, **options)
        case L.BatchNorm():
            statistics = params["running_mean"], params["running_var"]
            return F.batch_norm(x, *statistics, params["weight"], params["bias"], True, layer.momentum, layer.epsilon)
        case L.ReLU():
            return F.relu(x)
        case L.MaxPool():
            return (F.max_pool1d, F.max_pool2d)[axes - 1](x, layer.size)
        case L.AvgPool():
            return (F.avg_pool1d, F.avg_pool2d)[axes - 1](x, layer.size)
        case L.GlobalAvgPool():
            return x.mean(dim=tuple(range(2, x.ndim)))
        case L.Flatten():
            return x.movedim(1, -1).flatten(1)
        case L.Dense():
            return x @ params["weight"] + params["bias"]
    raise AssertionError(layer)


@pytest.mark.parametrize(("network", "in_shape"), [(NET_2D, (20, 16, 1)), (NET_1D, (60, 10))], ids=["2-D", "1-D"])
@pytest.mark.parametrize("optimizer", [AdamW(weight_decay=0.05), SGD(0.9, nesterov=True)], ids=["AdamW", "SGD"])
def test_twenty_steps_have_the_losses_of_pytorch(network, in_shape, optimizer):
    rng = np.random.default_rng(0)
    start = L.flatten(network.init(in_shape, rng))
    x = rng.standard_normal((STEPS, 16, *in_shape), np.float32)
    labels = rng.integers(5, size=(STEPS, 16))
    x += labels[(..., *[None] * len(in_shape))].astype(np.float32) / 2
    rates = [OneCycle(0.01).learning_rate(step, STEPS) for step in range(STEPS)]
    ours = our_losses(network, start, optimizer, x, labels, rates)
    theirs = their_losses(network, start, optimizer, x, labels, rates)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert ours[-1] < 0.8 * ours[0]


def our_losses(network, start, optimizer, x, labels, rates):
    run = L.Pass(training=True)
    trained = [path for path in start if not path.rpartition(".")[2].startswith("running")]
    weights = WeightVector({path: start[path] for path in trained})
    arrays = {path: weights.views.get(path, array.copy()) for path, array in start.items()}
    params, state = L.unflatten(arrays), optimizer.init(weights)
    losses = []
    for batch, classes, rate in zip(x, labels, rates, strict=True):
        logits, saved = network.forward(params, batch, run)
        loss, gradient = SoftmaxCrossEntropy(0.1)(logits, classes)
        weights.gather(L.flatten(network.backward(params, saved, gradient, run)[1]))
        clip_gradients(weights, 2.0)
        tracked = L.flatten(network.updates(params, saved))
        optimizer.step(weights, state, rate)
        for path, value in tracked.items():
            arrays[path][...] = value
        losses.append(loss)
    return losses


def their_losses(network, start, optimizer, x, labels, rates):
    tensors = {path: torch.tensor(array) for path, array in start.items()}
    params = L.unflatten(tensors)
    trained = [tensor for path, tensor in tensors.items() if not path.rpartition(".")[2].startswith("running")]
    for tensor in trained:
        tensor.requires_grad_()
    decay = [{"params": [t], "weight_decay": optimizer.weight_decay if t.ndim > 1 else 0.0} for t in trained]
    if isinstance(optimizer, AdamW):
        reference = torch.optim.AdamW(decay, lr=1.0)
    else:
        reference = torch.optim.SGD(decay, lr=1.0, momentum=optimizer.momentum, nesterov=optimizer.nesterov)
    losses = []
    for batch, classes, rate in zip(x, labels, rates, strict=True):
        for group in reference.param_groups:
            group["lr"] = rate
        logits = forward(network, params, torch.tensor(batch).movedim(-1, 1))
        loss = F.cross_entropy(logits, torch.tensor(classes), label_smoothing=0.1)
        reference.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 2.0)
        reference.step()
        losses.append(loss.item())
    return losses
