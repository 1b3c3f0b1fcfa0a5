"""Operations on arrays: check, lift 1-D to 2-D, allocate, run a kernel.

Arrays are float32 (others are converted) and channels last: ``x (N, T, C)`` or ``(N, H, W, C)``, ``weight
(R, C/groups, K)`` or ``(R, S, C/groups, K)``. Everything 1-D runs as 2-D with height 1. Results are new arrays.

`conv1d`, `conv2d`, `max_pool1d`, ... take numbers, as users write them; the functions without a digit take a
`geometry.Window` and serve the layers, forward and backward.
"""

from audioconv.ops.arrays import as_input
from audioconv.ops.channels import batch_norm_gradients, channel_affine, channel_moments, channel_sums
from audioconv.ops.convolution import (
    check_conv,
    conv,
    conv1d,
    conv2d,
    conv_input_gradient,
    conv_weight_gradient,
    dense,
    dense_input_gradient,
    dense_weight_gradient,
)
from audioconv.ops.elementwise import ACTIVATIONS, activate, activate_input_gradient, dropout
from audioconv.ops.pooling import (
    avg_pool,
    avg_pool1d,
    avg_pool2d,
    avg_pool_input_gradient,
    max_pool,
    max_pool1d,
    max_pool2d,
    max_pool_input_gradient,
    pool_window,
)

__all__ = [
    "ACTIVATIONS",
    "activate",
    "activate_input_gradient",
    "as_input",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool_input_gradient",
    "batch_norm_gradients",
    "channel_affine",
    "channel_moments",
    "channel_sums",
    "check_conv",
    "conv",
    "conv1d",
    "conv2d",
    "conv_input_gradient",
    "conv_weight_gradient",
    "dense",
    "dense_input_gradient",
    "dense_weight_gradient",
    "dropout",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool_input_gradient",
    "pool_window",
]
