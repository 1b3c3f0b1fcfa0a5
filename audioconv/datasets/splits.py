"""Splits: stratified, repeatable, without a speaker in two parts."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import ConfigError, DataError
from audioconv.io.columns import Column, ranks
from audioconv.io.files import display_path

Indices = NDArray[np.int64]


def split_validation(
    labels: Sequence[str], groups: Sequence[str | None] | None = None, fraction: float = 0.1, seed: int = 0
) -> tuple[Indices, Indices]:
    """Split clips into those to train on and those to validate with.

    The classes have about the same shares in both parts, and all clips of a group are in the same one. Every class
    keeps clips to train on: a class with a single clip, or with the clips of a single group, stays in training as a
    whole.

    Parameters
    ----------
    labels : sequence of str
        The class of each clip.
    groups : sequence of (str or None), optional
        The speaker or source recording of each clip; a clip with None is a group of its own.
    fraction : float
        The validation part's share of all clips, above 0 and at most 0.5. With groups it is met as nearly as they
        allow.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train, validation : ndarray of int64
        Sorted indices into `labels`; together all of them, neither empty.

    Raises
    ------
    ConfigError
        If `fraction` is out of range.
    DataError
        If no validation part is possible, as when all clips are of one speaker.

    Examples
    --------
    >>> train, validation = split_validation(["yes", "no"] * 10, fraction=0.1)
    >>> len(train), len(validation)
    (18, 2)
    """
    if not 0 < fraction <= 0.5:
        raise ConfigError(f"the validation fraction must be above 0 and at most 0.5; got {fraction}")
    label_codes = Column.of(labels).ranks()
    group_codes = np.arange(len(labels)) if groups is None else _own_where_unknown(groups, len(labels))
    chosen = _choose_groups(label_codes, group_codes, fraction, np.random.default_rng(seed))
    if not chosen:
        raise DataError(_why_impossible(labels, groups))
    in_validation = np.isin(group_codes, chosen)
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def assign_folds(labels: Sequence[str], groups: Sequence[str | None] | None, count: int, seed: int = 0) -> Indices:
    """Return the fold of each clip, from 0, for cross-validation; -1 for a clip that must always be trained on.

    The clips of a group are in one fold, and those of a class are spread over the folds as evenly as the groups allow.
    Without any one fold, clips of every class are left: the largest group of a class that one fold would hold as a
    whole is in none.

    Parameters
    ----------
    labels : sequence of str
        The class of each clip.
    groups : sequence of (str or None), optional
        The speaker or source recording of each clip; a clip with None is a group of its own.
    count : int
        Number of folds, at least 2; with fewer groups some are empty.
    seed : int
        The same seed gives the same folds.

    Raises
    ------
    ConfigError
        If there are fewer than 2 folds.

    Examples
    --------
    >>> assign_folds(["yes", "yes", "no", "no"], None, 2).tolist()
    [1, 0, 0, 1]
    >>> assign_folds(["yes", "yes", "no"], None, 2).tolist()
    [1, 0, -1]
    """
    if count < 2:
        raise ConfigError(f"cross-validation needs at least 2 folds; got {count}")
    label_codes = Column.of(labels).ranks()
    group_codes = np.arange(len(labels)) if groups is None else _own_where_unknown(groups, len(labels))
    clips = np.zeros((group_codes.max(initial=-1) + 1, label_codes.max(initial=-1) + 1), np.int64)
    np.add.at(clips, (group_codes, label_codes), 1)
    fold_of = np.full(len(clips), -1, np.int64)
    counts = np.zeros((count, clips.shape[1]), np.int64)
    # Large groups first: the small ones even out what they leave.
    order = np.random.default_rng(seed).permutation(len(clips))
    for group in sorted(order.tolist(), key=lambda group: -clips[group].sum()):
        crowding = counts @ clips[group]
        fold_of[group] = int(np.lexsort((counts.sum(axis=1), crowding))[0])
        counts[fold_of[group]] += clips[group]
    for label in np.flatnonzero((counts == clips.sum(axis=0)).any(axis=0)).tolist():
        fold_of[int(clips[:, label].argmax())] = -1
    return fold_of[group_codes]


def check_disjoint(groups: Sequence[str | None], parts: Mapping[str, Sequence[int] | Indices]) -> None:
    """Check that no group is in two parts.

    Parameters
    ----------
    groups : sequence of (str or None)
        The speaker or source recording of each clip; clips with None are not checked.
    parts : mapping of str to sequence of int
        The clips of each part by its name, such as ``{"train": [...], "test": [...]}``.

    Raises
    ------
    DataError
        Names the parts and some of the groups that are in both.
    """
    members = {name: {groups[i] for i in indices} - {None} for name, indices in parts.items()}
    names = list(members)
    for n, first in enumerate(names):
        for second in names[n + 1 :]:
            both = sorted(str(group) for group in members[first] & members[second])
            if both:
                some = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
                raise DataError(f"{len(both)} speakers are in both {first} and {second} ({some}); keep each in one")


def speech_commands_split(file_name: str | os.PathLike[str]) -> str:
    """Return where the Google Speech Commands rule puts a clip: by a hash of its speaker, 80 : 10 : 10.

    Parameters
    ----------
    file_name : path-like
        ``{speaker}_nohash_{n}.wav``, with or without folders before it.

    Returns
    -------
    {"train", "validation", "test"}

    References
    ----------
    ``which_set`` in the data set's README (Warden 2018, arXiv:1804.03209).

    Examples
    --------
    >>> speech_commands_split("bed/0a7c2a8d_nohash_0.wav")
    'train'
    """
    return _split_by_hash(re.sub(rb"_nohash_.*$", b"", os.path.basename(os.fsencode(file_name))))


def speaker_split(speaker: str) -> str:
    """Return where a speaker belongs by the rule of `speech_commands_split`: always the same, in every data set."""
    return _split_by_hash(speaker.encode(errors="surrogateescape"))


def _split_by_hash(speaker: bytes) -> str:
    largest = 2**27 - 1
    percent = int(hashlib.sha1(speaker).hexdigest(), 16) % (largest + 1) * (100.0 / largest)
    if percent < 10:
        return "validation"
    return "test" if percent < 20 else "train"


def _own_where_unknown(groups: Sequence[str | None], count: int) -> Indices:
    """Return the groups as integers from 0, in the order of their first appearance; a clip without one has its own."""
    if len(groups) != count:
        raise ConfigError(f"needs one group for each of the {count} labels; got {len(groups)}")
    column = Column.of(groups)
    keys = column.codes.astype(np.int64)
    unknown = np.flatnonzero(column.are(lambda group: group is None))
    keys[unknown] = len(column.values) + unknown
    return ranks(keys)


def _choose_groups(labels: Indices, groups: Indices, fraction: float, rng: np.random.Generator) -> list[int]:
    """Return the groups to validate with.

    Groups are tried in random order, and taken where that brings the counts of the classes nearer to the wanted ones
    without taking a class's last clips. This works for any fraction and any mix of group sizes; scikit-learn's
    StratifiedGroupKFold makes whole folds only, and fails where a class has fewer clips than there are folds.
    """
    total = np.bincount(labels)
    wanted = np.maximum(fraction * total, 1)  # a small class is validated by one clip
    taken = np.zeros_like(total)
    # For each group its classes and how many clips of them it has: most groups have few of the classes.
    pairs, clips = np.unique(groups * len(total) + labels, return_counts=True)
    starts = np.searchsorted(pairs, np.arange(groups.max(initial=-1) + 2) * len(total))
    classes = pairs % len(total) if len(pairs) else pairs

    def parts(group: int) -> tuple[Indices, Indices]:
        part = slice(starts[group], starts[group + 1])
        return classes[part], clips[part]

    def gain(group: int) -> float:
        """Return by how much the squared distance of `taken` from `wanted` falls with `group`."""
        of, count = parts(group)
        return float(-(count * (count + 2 * (taken[of] - wanted[of]))).sum())

    def leaves_every_class(group: int) -> bool:
        of, count = parts(group)
        return bool((taken[of] + count < total[of]).all())

    order = [int(group) for group in rng.permutation(len(starts) - 1) if leaves_every_class(group)]
    chosen = []
    for group in order:
        if gain(group) > 0 and leaves_every_class(group):
            of, count = parts(group)
            taken[of] += count
            chosen.append(group)
    # Where every group is larger than what is wanted, the one that fits best has to do.
    return chosen or sorted(order, key=gain, reverse=True)[:1]


def _why_impossible(labels: Sequence[str], groups: Sequence[str | None] | None) -> str:
    """Return why no clip can be spared for validation, and what to do."""
    if groups is not None:
        known = {group for group in groups if group is not None}
        if len(known) == 1 and None not in groups:
            return (
                f"all {len(labels)} clips are of one speaker ({display_path(str(known.pop()))}), so none can validate: "
                "add clips of other speakers, or leave the speakers out of the manifest to split by clip"
            )
        return (
            "no speaker can be spared for validation: each is the only one of some class; "
            "add clips of other speakers, or leave the speakers out of the manifest to split by clip"
        )
    return f"none of {len(labels)} clips can be spared for validation: no class has two of them; add clips"
