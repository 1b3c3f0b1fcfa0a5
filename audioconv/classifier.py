"""`Classifier`: paths or samples in, predictions out. What most importers use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.cluster.processes import ALONE, Processes
from audioconv.datasets.collection import Collection
from audioconv.datasets.folder import open_collection
from audioconv.decision.classes import negative_label
from audioconv.errors import ConfigError, DataError
from audioconv.evaluation import Evaluation, Speed
from audioconv.evaluation.renamed import accepts_old_keyword
from audioconv.evaluation.speed import measure_speed
from audioconv.model import Model
from audioconv.pipeline import inputs
from audioconv.pipeline.evaluate import evaluate
from audioconv.pipeline.inputs import InputSpec
from audioconv.pipeline.predict import RecordingScores, score_examples, score_files, stacked
from audioconv.pipeline.prediction import Prediction, Predictions, describe
from audioconv.pipeline.user_examples import check_rate, examples_in_memory, listed, split_to_learn
from audioconv.pipeline.user_labels import groups_of, labels_of
from audioconv.recipe import pretrained, user_data
from audioconv.recipe.labelled import LabelledFiles
from audioconv.recipe.settings import Settings, accepts_old_names, stored_settings
from audioconv.recipe.train import TrainingReport, train_model
from audioconv.training.callbacks import Callback

__all__ = ["Classifier", "Evaluation", "Prediction", "TrainingReport"]


@accepts_old_names
@dataclass(eq=False)
class Classifier(Settings):
    """A classifier of sounds or pictures, with the interface of a scikit-learn estimator.

    Parameters
    ----------
    arch : str
        Name of the network, one of `architectures.NAMES`; ``"speech-embedding"`` and ``"yamnet"`` begin with their
        pretrained layers unless `init` is None. Default: ``"auto"``, see `recipe.plan.choose_architecture`.
    init : path-like, optional
        Pretrained layers to begin with, below a new last layer; the labels may differ. One of

        - a model file of audioconv: its network (`arch` is ignored), its front end and its window;
        - ``"speech-embedding"``: for words, the network that Google trained on speech (Apache License 2.0), with its
          front end; it is downloaded (1.3 MB) where it is not on this machine;
        - ``"yamnet"``: for other sounds, the network that Google trained on 521 kinds of sound (Apache License 2.0).
          It is downloaded (4.1 MB) where it is not on this machine. Its layers do not learn;
        - ``"openwakeword"``: the speech embedding network as openWakeWord computes it: windows of 2 s, and its layers
          do not learn. `export` writes the head for openWakeWord;
        - a file that holds a network of another framework, ``.onnx``, ``.keras``, ``.h5`` or ``.caffemodel`` (extra
          ``interop``): its layers up to `init_layer`. Its input decides the number of mel bands, or the size of
          pictures; it takes (frames, bands), (frames, bands, 1), (samples, 1) or (height, width, channels);
        - None: random parameters.

        Other pretrained layers learn with a twentieth of the rate. Default: ``"auto"``, for words the speech embedding
        network if it is on this machine, else for fewer than 500 clips of words a model of the package if one has this
        front end; for other sounds YAMNet if it is on this machine; random parameters otherwise.
    init_layer : str, optional
        Name of the last layer (node or tensor) of another framework's network that is kept.
        Default: all of it, without the dense layer at its end.
    epochs : int, optional
        Passes through the examples of each run. Default: 60, of the speech embedding network 12, or 9 for each run that
        is averaged, of YAMNet 20, and more for few examples.
    budget : float, optional
        Seconds for the training without the reading of files. The number of epochs is measured first.
    batch_size : int, optional
        Examples in a step. Default: 64, with the speech embedding network or YAMNet 32.
    learning_rate : float, optional
        The greatest of the one-cycle schedule. Default: 0.005, of the speech embedding network and YAMNet 0.003.
    mixup : float, optional
        See `training.fit`. Default: 0, no mixing.
    front_end : str or LogMel, Mfcc, RawSamples or Librosa, optional
        Features of sounds: ``"log-mel"``, ``"mfcc"``, ``"raw"``, those of librosa by name, such as ``"cqt"``,
        ``"chroma"`` and ``"pcen"``, or a front end with its settings. Default: what the network takes.
    sample_rate : int, optional
        Sample rate of the model in Hz. Samples in arrays have this rate. Default: 16000, or lower if most recordings
        have less.
    clip_seconds : float, optional
        Length of the window. A shorter recording is centred between zeros; a longer one gives a window around each
        word, or windows that cover it. Default: chosen class by class (`recipe.window_plan`), 1 to 3 seconds for words
        and phrases, up to 10 for other sounds.
    image_size : (int, int), optional
        Height and width of pictures. Default: those of most pictures, at most 96.
    normalise_clips : bool, optional
        Whether each clip's bands are normalised by their own mean and deviation, which removes the colouring by
        microphones and voices. Default: see `features.normalisation.WITHIN`.
    augment : bool
        Whether examples are changed at random in training: shift, gain, speed, noise, rooms and masks; pictures are
        moved, turned and zoomed.
    noise : path-like, optional
        A recording, or a folder of recordings, to mix in instead of synthetic noise.
    reject : bool, optional
        Whether the model learns to answer "none of these", from a bank of negatives, or else from negatives that are
        generated from the words. Default: on with a bank; without one, on for words and windows of up to 2 s, off if
        fewer than 20 speakers are known.
    keep_classes : bool
        Whether classes with names such as ``other``, ``noise`` or ``silence`` are words like any other. Default: False,
        they are negatives: ``_unknown_`` and ``_silence_``.
    negatives : path-like, optional
        A folder of recordings (or one) to learn to reject, perhaps with transcripts: those in which one of the words is
        said are left out; see `recipe.bank`. ``"none"`` or None: only negatives that are generated. Default:
        ``"auto"``, the folder that the environment variable AUDIOCONV_NEGATIVES names, or else the one that
        ``audioconv data get negatives`` downloads, if it is there.
    tts_language : str, optional
        A language such as ``"en"``: training adds the words and many out-of-vocabulary words by synthetic voices. Needs
        the extra ``synth``. Training takes 1.5 times as long; the false accept rate on other words falls by a third to
        a half. It does not help with some hundred clips or fewer.
    reviewed : path-like, optional
        A folder of clips that ``audioconv listen --save`` wrote and a person has reviewed. Clips of words join their
        classes, refused ones are negatives. They train only and never validate.
    false_accept_rate : float
        Highest false accept rate on clips of negatives; chooses the threshold for clips.
    false_accepts_per_hour : float
        Highest number of false accepts in an hour of speech without the words; chooses the threshold for streams. Needs
        negative recordings.
    validation_fraction : float
        Share of the examples for validation, if the data have no split of their own.
    folds : int, optional
        Cross-validate, for few examples: they are divided into so many parts, and for each part a network is trained on
        the others in half the epochs. All networks together give the accuracy and choose the decision; the model is
        trained on all examples. Default: one part, of `validation_fraction`, validates.
    patience : int, optional
        Stop after so many epochs without improvement.
    refit : bool, optional
        Whether to train a second time, with the validation examples. Their voices would be missing otherwise, or their
        clips where there are few. Default: if the data have no split of their own, and fewer than 20 speakers are
        known. From the speech embedding also if 15 % of the clips or more validate (at most five clips a word).
    averaged_runs : int
        Runs whose parameters are averaged: each begins with the same pretrained parameters, and has augmentation of its
        own. The model accepts fewer other words, and is as fast as one of a single run.
        docs/experiments/averaged-runs.md has figures. Default: 1.
    ensemble_size : int
        Size of the ensemble: so many networks are trained, one after the other, and their logits are averaged. Three
        take three times as long and find more words in noise and speech at the same false accept rate.
    stored_features : int
        Number of training examples, at most 0.5 MB, whose features the model keeps for `interop.export`. Exported files
        are checked with them, and they choose the ranges of 8-bit integers. 0 keeps none. Default: 200.
    replicas : int
        Number of replicas of the network that train together. Each has a part of the examples, and steps by
        `batch_size` of them; a step takes the mean of all gradients. The learning rate grows with their number; see
        `recipe.replicas`. Default: 1.
    seed : int
        Seed of all randomness: the same seed on the same machine gives the same bits.

    Attributes
    ----------
    model_ : Model
        The trained model.
    classes_ : array (classes,)
        The labels.
    report_ : TrainingReport or None
        Result of the training; None in a loaded classifier.

    Examples
    --------
    >>> clf = Classifier.train("folder", arch="cnn", epochs=30, seed=0)  # doctest: +SKIP
    >>> clf.predict(["a.wav"])[0].label  # doctest: +SKIP
    'yes'
    """

    report_: TrainingReport | None = field(default=None, init=False, repr=False)
    _model: Model | None = field(default=None, init=False, repr=False)
    _numbers: Array | None = field(default=None, init=False, repr=False)
    _row_length: int | None = field(default=None, init=False, repr=False)

    # --- training ---

    @classmethod
    def train(
        cls,
        source: StrPath | Collection,
        *,
        checkpoints: StrPath | None = None,
        resume: bool = False,
        strict: bool = False,
        callbacks: Sequence[Callback] = (),
        on_file: Callable[[int], object] | None = None,
        processes: Processes = ALONE,
        **settings: Any,
    ) -> Self:
        """Return a classifier trained on a data set.

        Rows whose split is ``test`` are never trained on; they are evaluated at the end, in ``report_.test``.

        Parameters
        ----------
        source : path-like or Collection
            A folder with a subfolder a class, or a CSV manifest ``path,label[,speaker][,split]``.
        checkpoints : path-like, optional
            Folder for the checkpoint that is written after every epoch.
        resume : bool
            Go on from the checkpoint there, to the same bits as an uninterrupted run.
        strict : bool
            Whether an unreadable file ends it all, instead of being skipped and listed in ``report_.failures``.
        callbacks : sequence of callables
            Each gets every `audioconv.training.callbacks.Event`, such as `progress.ProgressBar`.
        on_file : callable, optional
            Called with the number of all files after each that was read.
        processes : Processes
            Processes that share the replicas, all of which call this function with the same arguments; see
            `audioconv.cluster`. All return the same classifier. Default: this one alone.
        **settings
            As for `Classifier`.

        Raises
        ------
        DataError
            If the data are not usable.
        ConfigError
            If a setting cannot work.
        ClusterError
            If the processes differ, or one of them fails.
        """
        classifier = cls(**settings)
        collection = source if isinstance(source, Collection) else open_collection(source)
        classifier._model, classifier.report_ = train_model(
            classifier,
            LabelledFiles.of(collection),
            pretrained.load_named(classifier),
            checkpoints=checkpoints,
            resume=resume,
            strict=strict,
            callbacks=callbacks,
            on_file=on_file,
            processes=processes,
        )
        return classifier

    def fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        *,
        checkpoints: StrPath | None = None,
        resume: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> Self:
        """Train on examples, as scikit-learn estimators do.

        Parameters
        ----------
        X : sequence, array or column of a table, of paths, of open binary files, or of arrays
            Recordings or pictures. Arrays are samples (T,) or (T, channels) at `sample_rate`, or pixels (H, W[, C]);
            an array (N, T) holds N clips. Samples are floating point with full scale 1, int16, int32 or uint8.
        y : sequence, array or column of a table
            The label of each. Numbers become text, such as ``"3"``; `classes_` has them as they were. Labels such as
            ``"other"`` are negatives unless `keep_classes`.
        groups : sequence, array or column of a table, optional
            The speaker or source of each, None where it is not known; no group is both trained on and validated with.
        checkpoints, resume, callbacks
            As for `train`.

        Raises
        ------
        DataError
            If the examples or labels are not usable; `ShapeError` for an array that could be two things.
        """
        count = len(y) if hasattr(y, "__len__") else 0
        given = listed(X, lambda array: split_to_learn(array, count))
        labels, numbers = labels_of(y, len(given))
        speakers = groups_of(groups, len(given))
        self._numbers = self._row_length = None
        init = pretrained.load_named(self)
        rate = self.fixed_rate if init is None or init.front_end is None else init.front_end.sample_rate
        self._model, self.report_ = train_model(
            self,
            user_data.labelled(given, labels, speakers, rate),
            init,
            checkpoints=checkpoints,
            resume=resume,
            callbacks=callbacks,
        )
        is_table = self._model.kind == "audio" and isinstance(given[0], np.ndarray) and getattr(X, "ndim", 0) == 2
        self._numbers, self._row_length = numbers, int(X.shape[1]) if is_table else None
        return self

    # --- use ---

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether there is a model."""
        return self._model is not None

    @property
    def model_(self) -> Model:
        """The trained model; `ConfigError` before training."""
        if self._model is None:
            raise ConfigError("this classifier is not trained yet: use Classifier.train, fit or Classifier.load")
        return self._model

    @property
    def classes_(self) -> Array:
        """The labels (classes,), in the order of `predict_proba`'s columns, without the auxiliary classes of negatives.

        If the labels given to `fit` were numbers, these are the numbers, in ascending order.
        """
        values = self._label_values()
        return np.asarray(list(values.values()) if values else self.model_.answer_labels)

    @property
    def input_(self) -> InputSpec:
        """Input of the model: the conversion of files and arrays to its examples."""
        return inputs.of_model(self.model_)

    def predict(self, X: Any, *, sample_rate: float | None = None) -> Predictions:
        """Return the label of each example, or "none of these".

        Parameters
        ----------
        X : one example, or a sequence, an array or a column of a table of them
            An example is a path, an open binary file, an array of samples (T,) or (T, channels), as `soundfile.read`
            gives it, or of pixels (H, W[, C]). An array (N, T) holds N clips. Samples are floating point with full
            scale 1, int16, int32 or uint8; channels are averaged.
        sample_rate : float, optional
            Sample rate of arrays, in Hz; files have their own. Default: the model's rate.

        Returns
        -------
        Predictions
            A list of `Prediction`, whose array is that of the labels.

        Raises
        ------
        DataError
            If a file cannot be read or samples are not usable; `ShapeError` for arrays of a wrong shape, and for those
            that could be two things.
        """
        return self._described(self._scores(X, sample_rate))

    def predict_proba(self, X: Any, *, sample_rate: float | None = None) -> Array:
        """Return the probability of each class, if it is one of them, (N, classes) float32.

        Takes what `predict` takes. Each row sums to 1; the scores of `predict` do not where other sounds were made to
        learn to reject: what is missing is the probability that it is none of these.
        """
        columns = [self.model_.labels.index(label) for label in self._label_values() or self.model_.answer_labels]
        given = stacked(self._scores(X, sample_rate), self.model_)[:, columns]
        probabilities: Array = given / np.maximum(given.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return probabilities

    def predict_files(
        self, paths: Sequence[StrPath], *, strict: bool = False, on_file: Callable[[], object] | None = None
    ) -> tuple[dict[int, Prediction], tuple[DataError, ...]]:
        """Return predictions by place in `paths`, and why the files that are missing there could not be read."""
        found = list(score_files(self.model_, self.input_, paths, strict=strict, on_file=on_file))
        readable = {place: one for place, one in enumerate(found) if not isinstance(one, DataError)}
        predictions = self._described(list(readable.values()))
        failures = tuple(one for one in found if isinstance(one, DataError))
        return dict(zip(readable, predictions, strict=True)), failures

    def score(self, X: Any, y: Any, *, sample_rate: float | None = None) -> float:
        """Return the share of the examples that `predict` gives their label `y`."""
        count = len(y) if hasattr(y, "__len__") else None
        given = self._described(self._scores(X, sample_rate, count))
        labels, _ = labels_of(y, len(given))
        if not labels:
            raise DataError("there are no examples to score")
        known = self.model_.answer_labels
        labels = [label if label in known else negative_label(label) or label for label in labels]
        return float(np.mean([p.label == label for p, label in zip(given, labels, strict=True)]))

    @accepts_old_keyword("outsiders", "negatives")
    def evaluate(
        self,
        source: StrPath | Collection,
        *,
        split: str | None = None,
        negatives: Sequence[StrPath] = (),
        strict: bool = False,
        on_file: Callable[[int], object] | None = None,
    ) -> Evaluation:
        """Classify a data set and compare with its labels.

        Parameters
        ----------
        source : path-like or Collection
            As for `train`; one class is enough. Classes that are no words, such as ``_silence_``, need not be
            among the model's labels: they count as negatives.
        split : {"train", "validation", "test"}, optional
            Which rows of a manifest; all by default.
        negatives : sequence of path-like
            Files or folders of recordings (or pictures) none of which is one of the words. Recordings longer than a
            clip are cut into clips. They are for this evaluation alone: the setting `negatives` is for training.
        strict, on_file
            As for `train`.

        Raises
        ------
        DataError
            If the data are not usable, or have words that are not among the model's labels.
        """
        collection = source if isinstance(source, Collection) else open_collection(source, minimum_classes=1)
        return evaluate(self.model_, collection, split=split, negative_paths=negatives, strict=strict, on_file=on_file)

    def at(self, *, false_accept_rate: float | None = None, false_accepts_per_hour: float | None = None) -> Self:
        """Return the classifier at another point of its model's curve; see `decision.Decision.at`.

        The report of its training stays with this one.
        """
        decision = self.model_.decision.at(
            false_accept_rate=false_accept_rate, false_accepts_per_hour=false_accepts_per_hour
        )
        other = type(self)(**self.get_params())
        other._model = replace(self.model_, decision=decision)
        other._numbers, other._row_length = self._numbers, self._row_length
        return other

    def measure_speed(self, seconds: float = 0.5) -> Speed:
        """Time the model on this machine, from samples (or pixels) to probabilities, for about twice `seconds`."""
        from audioconv.kernels.processor import find_processor

        computing = find_processor()
        return measure_speed(
            self.model_.predict, self.input_.shape, computing.name, computing.usable_cores, seconds=seconds
        )

    def save(self, path: StrPath) -> None:
        """Write the model to `path`, one ``.safetensors`` file, whole or not at all."""
        self.model_.save(path)

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Return the classifier whose model is in the file `path`; `ModelFileError` if it is no model."""
        model = Model.load(path)
        classifier = cls(**stored_settings(model))
        classifier._model = model
        return classifier

    def describe(self, probabilities: Array) -> Predictions:
        """Return each row of `probabilities` (N, labels of the model) as a `Prediction`."""
        return self._described([RecordingScores(row) for row in probabilities])

    def _described(self, scored: Sequence[RecordingScores]) -> Predictions:
        return describe(self.model_, scored, self._label_values())

    def _scores(self, X: Any, sample_rate: float | None = None, count: int | None = None) -> list[RecordingScores]:
        """Return the scores of the examples in `X`; `count` is the number of their labels."""
        model, spec = self.model_, self.input_
        rate = check_rate(sample_rate, spec)
        given = listed(X, functools.partial(spec.split, count=count, row_length=self._row_length))
        arrays, paths = examples_in_memory(given, spec, rate)
        of_paths = score_files(model, spec, list(paths.values()), strict=True)
        found = dict(zip(arrays, score_examples(model, spec, list(arrays.values())), strict=True))
        found |= {place: one for place, one in zip(paths, of_paths, strict=True) if not isinstance(one, DataError)}
        return [found[place] for place in range(len(given))]

    def _label_values(self) -> dict[str, Any]:
        """Return the numbers that `fit` was given as labels, by label in ascending order; nothing for text."""
        numbers = [] if self._numbers is None else self._numbers.tolist()
        values = {str(number): number for number in numbers}
        return values if set(values) == set(self.model_.answer_labels) else {}
