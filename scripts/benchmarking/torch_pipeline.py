"""A whole training in PyTorch, as a process of its own: FLAC files, augmentation, log-mel, network, validation.

    python -m benchmarking.torch_pipeline FILE      (FILE: what `pipeline_rows` has written)

prints losses and the accuracy on held-out clips as JSON. It imports nothing of audioconv: the memory of the process is
measured. The augmentation has the distributions of `audioconv.audio.augment.Augmentation.default`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

RATE, LENGTH = 16000, 16000
FFT, WINDOW, HOP, BANDS = 512, 400, 160, 40
LEAST_DEVIATION = 6.0  # dB, added to the deviation of a band within a clip: steady bands are not amplified
MAX_SHIFT, GAIN_DB, SNR_DB, SPEED, STRETCH = 1600, 6.0, (5.0, 40.0), (0.9, 1.1), (0.8, 1.2)
MASKED = 0.1  # longest mask, as a share of the axis


class Clips(Dataset[Any]):
    """Batches of clips: an index is a list of files, so that a worker computes a batch at once.

    Parameters
    ----------
    paths : sequence of str
    labels : sequence of int
    recordings : dict, optional
        ``noises`` and ``rooms``, tensors (samples,) each, to augment with; None: the clips are left as they are.
    """

    def __init__(
        self, paths: Sequence[str], labels: Sequence[int], recordings: dict[str, list[torch.Tensor]] | None
    ) -> None:
        self.paths, self.labels, self.recordings = paths, torch.tensor(labels), recordings
        self.window = torch.hann_window(WINDOW)
        self.filters = torch.tensor(mel_filters())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (batch, 1, frames, BANDS) and labels (batch,)."""
        x = torch.stack([self._read(self.paths[i]) for i in index])
        if self.recordings is not None:
            x = augmented(x, self.recordings)
        features = self.log_mel(x)
        if self.recordings is not None:
            features = masked(stretched(features))
        mean = features.mean(1, keepdim=True)
        deviation = features.std(1, keepdim=True, correction=0)
        return ((features - mean) / (deviation + LEAST_DEVIATION))[:, None], self.labels[index]

    def _read(self, path: str) -> torch.Tensor:
        samples, _ = soundfile.read(path, dtype="float32")
        if self.recordings is not None and torch.rand(()) < 0.5:
            samples = soxr.resample(samples, uniform(*SPEED), 1.0, quality="LQ")
        excess = len(samples) - LENGTH
        if excess > 0:
            samples = samples[excess // 2 : excess // 2 + LENGTH]
        elif excess < 0:
            samples = np.pad(samples, (-excess // 2, -excess - -excess // 2))
        return torch.from_numpy(np.ascontiguousarray(samples))

    def log_mel(self, x: torch.Tensor) -> torch.Tensor:
        """Return the log-mel spectrogram in dB, (batch, frames, BANDS), of x (batch, LENGTH)."""
        spectrum = torch.stft(x, FFT, HOP, WINDOW, self.window, pad_mode="constant", return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()  # (batch, FFT // 2 + 1, frames)
        return 10 * (power.transpose(1, 2) @ self.filters.T).clamp(min=1e-10).log10()


def uniform(low: float, high: float) -> float:
    """Draw a number between both."""
    return low + (high - low) * float(torch.rand(()))


def augmented(x: torch.Tensor, recordings: dict[str, list[torch.Tensor]]) -> torch.Tensor:
    """Return clips (batch, LENGTH) in a room, shifted, with noise and at another gain, each with its probability."""
    rooms, noises = recordings["rooms"], recordings["noises"]
    chosen = (torch.rand(len(x)) < 0.2).nonzero()[:, 0]
    if len(chosen):
        drawn = [rooms[int(torch.randint(len(rooms), ()))] for _ in chosen]
        response = torch.nn.utils.rnn.pad_sequence(drawn, batch_first=True)
        size = 2 ** math.ceil(math.log2(LENGTH + response.shape[1]))
        wet = torch.fft.irfft(torch.fft.rfft(x[chosen], size) * torch.fft.rfft(response, size), size)[:, :LENGTH]
        before, after = x[chosen].square().mean(1, keepdim=True), wet.square().mean(1, keepdim=True)
        x[chosen] = wet * (before / after.clamp(min=1e-20)).sqrt()
    moved, noise = torch.zeros_like(x), torch.zeros_like(x)
    for row, offset in enumerate(torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (len(x),)).tolist()):
        moved[row, max(0, offset) : LENGTH + min(0, offset)] = x[row, max(0, -offset) : LENGTH - max(0, offset)]
        if torch.rand(()) < 0.6:
            drawn_noise = noises[int(torch.randint(len(noises), ()))]
            begin = int(torch.randint(len(drawn_noise) - LENGTH, ()))
            noise[row] = drawn_noise[begin : begin + LENGTH]
    ratio = 10 ** (-(SNR_DB[0] + (SNR_DB[1] - SNR_DB[0]) * torch.rand(len(x), 1)) / 10)
    power, noise_power = moved.square().mean(1, keepdim=True), noise.square().mean(1, keepdim=True)
    mixed = moved + noise * (ratio * power / noise_power.clamp(min=1e-20)).sqrt()
    return mixed * 10 ** (GAIN_DB * (2 * torch.rand(len(x), 1) - 1) / 20)


def stretched(features: torch.Tensor) -> torch.Tensor:
    """Return features (batch, frames, BANDS) whose bands are stretched by a factor of each clip."""
    factor = STRETCH[0] + (STRETCH[1] - STRETCH[0]) * torch.rand(len(features), 1)
    factor = torch.where(torch.rand(len(features), 1) < 0.8, factor, 1.0)
    place = (torch.arange(BANDS) / factor).clamp(max=BANDS - 1)
    below = place.long().clamp(max=BANDS - 2)
    share = (place - below)[:, None]
    lower, upper = (features.gather(2, i[:, None].expand(-1, features.shape[1], -1)) for i in (below, below + 1))
    return lower * (1 - share) + upper * share


def masked(features: torch.Tensor) -> torch.Tensor:
    """Return features (batch, frames, BANDS) with a stretch of frames and one of bands at the clip's mean."""
    mean = features.mean((1, 2))
    for axis in (1, 2):
        size = features.shape[axis]
        length = torch.randint(int(MASKED * size) + 1, (len(features), 1))
        begin = (torch.rand(len(features), 1) * (size - length + 1)).long()
        place = torch.arange(size)
        hidden = (place >= begin) & (place < begin + length)
        features = torch.where(hidden[:, :, None] if axis == 1 else hidden[:, None], mean[:, None, None], features)
    return features


def mel_filters() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return Slaney's mel filters of unit area, (BANDS, FFT // 2 + 1)."""

    def hertz(mel: Any) -> Any:
        return np.where(mel < 15, 200 / 3 * mel, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))

    top = 15 + 27 / np.log(6.4) * np.log(RATE / 2 / 1000)
    edges = hertz(np.linspace(0, top, BANDS + 2))
    bins = np.fft.rfftfreq(FFT, 1 / RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(weights, np.float32)


def loader(clips: Clips, batch: int, workers: int, shuffle: bool) -> DataLoader[Any]:
    """Return batches of `clips`, computed by so many processes that stay for the next epoch."""
    order: Any = RandomSampler(clips) if shuffle else SequentialSampler(clips)
    batches = BatchSampler(order, batch, drop_last=False)
    return DataLoader(clips, sampler=batches, batch_size=None, num_workers=workers, persistent_workers=workers > 0)


def train(task: dict[str, Any]) -> dict[str, Any]:
    """Train and validate as the file of `pipeline_rows` says; return losses by step, and accuracies by epoch."""
    torch.manual_seed(task["seed"])
    recordings = {name: [torch.from_numpy(one) for one in task[name]] for name in ("noises", "rooms")}
    sets = {part: Clips(task[part]["paths"], task[part]["labels"], recordings if part == "train" else None)
            for part in ("train", "validation")}  # fmt: skip
    batches = {part: loader(clips, task["batch"], task["workers"], part == "train") for part, clips in sets.items()}
    layout = torch.channels_last if task["layout"] == "channels last" else torch.contiguous_format
    module = task["module"].to(memory_format=layout)
    run = torch.compile(module) if task["compiled"] else module
    params = list(module.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=task["learning_rate"],
        fused=True,
    )
    steps = task["epochs"] * len(batches["train"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, task["learning_rate"], total_steps=steps, div_factor=25, final_div_factor=1e4, cycle_momentum=False
    )
    losses, accuracies = [], []
    for _ in range(task["epochs"]):
        module.train()
        for x, labels in batches["train"]:
            optimizer.zero_grad()
            logits = run(x.to(memory_format=layout))
            loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, 5.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.item()))
        module.eval()
        right = 0
        with torch.inference_mode():
            for x, labels in batches["validation"]:
                right += int((module(x.to(memory_format=layout)).argmax(1) == labels).sum())
        accuracies.append(right / len(sets["validation"]))
    return {"losses": losses, "accuracies": accuracies}


if __name__ == "__main__":
    given = torch.load(sys.argv[1], weights_only=False)  # a file that `pipeline_rows` has just written
    torch.set_num_threads(given["threads"])
    print(json.dumps(train(given)))
