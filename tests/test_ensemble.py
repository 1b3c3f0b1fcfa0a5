"""Networks that decide together: their logits are averaged, and what comes of it is a network like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import audioconv as ac
from audioconv import layers as L
from audioconv.architectures.ensemble import join
from audioconv.compiler.trace import trace
from audioconv.errors import ConfigError
from audioconv.recipe.runs import CHECKPOINTS
from audioconv.training.callbacks import EpochEnded

SIZE = (6, 5)
QUICK = {"arch": "cs231n", "epochs": 2, "batch_size": 16, "augment": False, "refit": False}


def pictures(count: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Return pictures, bright above or bright below."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 0.5, (count, 12, 12, 1)).astype(np.float32)
    labels = ["above", "below"] * (count // 2)
    for picture, label in zip(x, labels, strict=True):
        half = picture[:6] if label == "above" else picture[6:]
        half += 0.4
    return x, labels


def write_pictures(folder: Path, x: np.ndarray, labels: list[str]) -> Path:
    image = pytest.importorskip("PIL.Image")
    for number, (picture, label) in enumerate(zip(x, labels, strict=True)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        image.fromarray((255 * picture[..., 0]).astype(np.uint8)).save(folder / label / f"{number}.png")
    return folder


def drawn(seed: int, classes: int = 3) -> tuple[L.Chain, L.Params]:
    network = L.Chain([L.Conv(4, 3), L.BatchNorm(), L.ReLU(), L.Flatten(), L.Dense(classes)])
    return network, network.init((*SIZE, 1), np.random.default_rng(seed))


def test_the_logits_are_the_mean():
    parts = [drawn(seed) for seed in range(3)]
    network, params = join([network for network, _ in parts], [params for _, params in parts])
    x = np.random.default_rng(9).standard_normal((7, *SIZE, 1), np.float32)
    each = [network.forward(params, x, L.Pass())[0] for network, params in parts]
    together, _ = network.forward(params, x, L.Pass())
    np.testing.assert_allclose(together, np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
    trace(network, (*SIZE, 1))  # compiled, not run layer by layer


def test_one_alone_is_left_as_it_is():
    network, params = drawn(0)
    assert join([network], [params]) == (network, params)


def test_only_what_ends_in_a_dense_layer_is_joined():
    network = L.Chain([L.Conv(3, 3), L.GlobalAvgPool()])
    params = network.init((*SIZE, 1), np.random.default_rng(0))
    with pytest.raises(ConfigError, match="only networks that end in a dense layer can decide together"):
        join([network] * 2, [params] * 2)


def test_members_are_networks_of_other_seeds(tmp_path):
    x, labels = pictures(60, 0)
    three = ac.Classifier(**QUICK, ensemble_size=3).fit(x, labels)
    assert isinstance(three.model_.network, L.Sum)
    alone = ac.Classifier(**QUICK).fit(x, labels)
    last = len(alone.model_.network.layers) - 1
    for path, array in L.flatten(three.model_.params["0"]).items():
        expected = L.flatten(alone.model_.params)[path] / (3 if path.startswith(f"{last}.") else 1)
        np.testing.assert_array_equal(array, expected.astype(np.float32))
    weights = [three.model_.params[str(member)]["0"]["weight"] for member in range(3)]
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[1], weights[2])
    three.save(tmp_path / "three.safetensors")
    loaded = ac.Classifier.load(tmp_path / "three.safetensors")
    np.testing.assert_array_equal(loaded.model_.logits(x), three.model_.logits(x))
    assert loaded.model_.provenance["settings"]["ensemble_size"] == 3


def test_validation_is_that_of_all_together():
    x, labels = pictures(200, 0)
    two = ac.Classifier(**{**QUICK, "epochs": 30}, ensemble_size=2).fit(x, labels)
    assert two.report_.validation_accuracy == two.model_.provenance["validation_accuracy"]
    assert two.report_.validation_accuracy >= 0.9


def test_they_are_trained_again_together():
    x, labels = pictures(40, 0)
    again = ac.Classifier(**{**QUICK, "refit": True}, ensemble_size=2).fit(x, labels)
    assert again.report_.final_history is not None
    once = ac.Classifier(**QUICK, ensemble_size=2).fit(x, labels)
    assert not np.array_equal(again.model_.logits(x), once.model_.logits(x))


def test_an_interrupted_run_goes_on_with_the_network_it_was_at(tmp_path):
    folder = write_pictures(tmp_path / "pictures", *pictures(30, 0))
    settings = {**QUICK, "ensemble_size": 3}
    whole = ac.Classifier.train(folder, **settings)
    ended = 0

    def stop(event: object) -> None:
        nonlocal ended
        ended += isinstance(event, EpochEnded)
        if ended == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ac.Classifier.train(folder, checkpoints=tmp_path, callbacks=[stop], **settings)
    names = sorted(path.name for path in tmp_path.glob(CHECKPOINTS))
    assert names == ["checkpoint-2.safetensors", "checkpoint.safetensors"]
    resumed = ac.Classifier.train(folder, checkpoints=tmp_path, resume=True, **settings)
    for name, classifier in (("a", whole), ("b", resumed)):
        classifier.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_model_begins_with_all_of_them(tmp_path):
    x, labels = pictures(60, 0)
    model = tmp_path / "two.safetensors"
    ac.Classifier(**QUICK, ensemble_size=2).fit(x, labels).save(model)
    others = [{"above": "up", "below": "down"}[label] for label in labels]
    settings = {name: value for name, value in QUICK.items() if name != "arch"}
    classifier = ac.Classifier(init=model, **settings).fit(x, others)
    assert classifier.model_.labels == ("down", "up")
    assert isinstance(classifier.model_.network, L.Sum)
    with pytest.raises(ConfigError, match="only networks that end in a dense layer can decide together"):
        ac.Classifier(init=model, ensemble_size=2, **settings).fit(x, others)


def test_there_must_be_one():
    with pytest.raises(ConfigError, match="there must be at least one network, got ensemble_size=0"):
        ac.Classifier(**QUICK, ensemble_size=0).fit(*pictures(20, 0))
