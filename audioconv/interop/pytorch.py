"""PyTorch's ``.pt`` and ``.pth`` files: tensors by name, and nothing that could be called.

Such a file is a zip archive with a pickle in it. A pickle names functions that reading it calls; here all but the few
that tensors need are refused, before anything is called.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.errors import ModelFileError
from audioconv.interop.files import MAX_BYTES, member, open_archive, read_limited
from audioconv.io.files import display_path

MAX_PICKLE = 2**26
"""Largest pickle in bytes: it holds names and sizes, no arrays."""

_STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}  # fmt: skip

_NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
"""Under which names checkpoints keep the tensors of the network, beside an optimizer's."""

_OPCODES = frozenset(
    [
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE"),
        *("INT", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "BINPERSID"),
    ]
)


def pytorch_tensors(path: StrPath) -> dict[str, Array]:
    """Return the tensors of a state dict, or of a checkpoint that holds one, by name; floating-point ones as float32.

    Raises
    ------
    DataError
        If the file cannot be read.
    ModelFileError
        If it is damaged, or holds anything but tensors, numbers and text: names the class.
    """
    shown = display_path(path)
    if read_limited(path)[:2] != b"PK":
        raise ModelFileError(
            f"{shown}: not a zip archive: PyTorch before 1.6 wrote other files, which are not read; "
            "load it there and save its state_dict again, or convert it to .safetensors"
        )
    with open_archive(path) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise ModelFileError(f"{shown}: not a file of torch.save: it has {len(pickles)} members data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in names:
            raise ModelFileError(f"{shown}: a TorchScript program, which is code; save its state_dict() instead")
        if f"{folder}byteorder" in names and member(archive, f"{folder}byteorder", shown) != b"little":
            raise ModelFileError(f"{shown}: written on a big-endian machine, which is not supported")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ModelFileError(f"{shown}: its members are compressed, which torch.save does not do")
        content = _unpickled(archive, folder, shown)
    return _state_dict(content, shown)


def _unpickled(archive: zipfile.ZipFile, folder: str, shown: str) -> Any:
    content = member(archive, f"{folder}data.pkl", shown)
    if len(content) > MAX_PICKLE:
        raise ModelFileError(f"{shown}: its pickle has {len(content):,} bytes; at most {MAX_PICKLE:,} are read")
    try:
        _check(content, shown)
        return _Unpickler(content, archive, folder, shown).load()
    except ModelFileError as error:
        raise ModelFileError(f"{shown}: {str(error).removeprefix(f'{shown}: ')}") from None
    except Exception as error:  # a damaged pickle raises anything
        raise ModelFileError(f"{shown}: damaged: {' '.join(str(error).split())[:200]}") from None


def _check(content: bytes, shown: str) -> None:
    """Raise `ModelFileError` for an instruction that tensors do not need, before any is followed."""
    for operation, argument, _ in pickletools.genops(content):
        if operation.name not in _OPCODES:
            raise ModelFileError(f"{shown}: its pickle has the instruction {operation.name}, which is not allowed")
        if operation.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            _allowed(module, name, shown)
        # The memory of numbered objects is as long as the largest number.
        if operation.name == "LONG_BINPUT" and int(argument or 0) > len(content):
            raise ModelFileError(f"{shown}: damaged: its pickle numbers more objects than it has")


class _Sealed:
    """An object that a pickle may pass on, but not change: reading a file leaves nothing behind."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        raise ModelFileError("sets the state of an object, which is not allowed")


class _Tensor(_Sealed):
    """A tensor of the file, or a storage."""

    __slots__ = ("array",)

    def __init__(self, array: Array) -> None:
        self.array = array


class _Storage(_Sealed):
    """The class of a storage."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


class _Function(_Sealed):
    """A function that a pickle may call."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, archive: zipfile.ZipFile, folder: str, shown: str) -> None:
        super().__init__(io.BytesIO(content))
        self._archive, self._folder, self._shown = archive, folder, shown
        self._storages: dict[str, Array] = {}
        self._left = MAX_BYTES

    def find_class(self, module: str, name: str, /) -> Any:
        """Return one of the few functions and classes that are allowed."""
        return _allowed(module, name, self._shown)

    def persistent_load(self, key: Any, /) -> _Tensor:
        """Return the numbers of a storage, which are a member of the archive."""
        kind, storage, name, _, count = key
        if kind != "storage" or not isinstance(storage, _Storage) or not isinstance(name, str) or "/" in name:
            raise ModelFileError(f"{self._shown}: damaged: {key!r} is no storage")
        if name not in self._storages:
            content = member(self._archive, f"{self._folder}data/{name}", self._shown)
            if storage.dtype == "bfloat16":
                halves = np.frombuffer(content, "<u2").astype(np.uint32)
                self._storages[name] = (halves << 16).view(np.float32)
            else:
                self._storages[name] = np.frombuffer(content, storage.dtype)
        if self._storages[name].size < count:
            raise ModelFileError(f"{self._shown}: truncated: storage {name} has fewer numbers than {count}")
        return _Tensor(self._storages[name])


def _rebuilt_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, hooks: Any = None, *_: Any
) -> _Tensor:
    """Return a tensor as a copy of a part of its storage."""
    if not isinstance(storage, _Tensor) or not isinstance(offset, int) or len(size) != len(stride) or len(size) > 8:
        raise ModelFileError("damaged: the parts of a tensor do not fit")
    numbers = storage.array
    if offset < 0 or any(n < 0 for n in (*size, *stride)) or math.prod(size) > numbers.size:
        raise ModelFileError("damaged: a tensor is larger than its storage")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= numbers.size:
        raise ModelFileError("damaged: a tensor reaches beyond its storage")
    if not math.prod(size):
        return _Tensor(np.zeros(tuple(size), np.float32))
    steps = [step * numbers.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(numbers[offset:], tuple(size), steps, writeable=False)
    is_float = numbers.dtype.kind == "f"
    return _Tensor(np.array(view, np.float32 if is_float else numbers.dtype))


def _rebuilt_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_rebuilt_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_rebuilt_parameter),
    ("torch", "Size"): tuple,
    **{("torch", name): _Storage(dtype) for name, dtype in _STORAGES.items()},
}


def _allowed(module: str, name: str, shown: str) -> Any:
    found = _ALLOWED.get((module, name))
    if found is None:
        raise ModelFileError(
            f"{shown}: holds {module}.{name}, which is code and not read; save the network's state_dict() alone, "
            "or convert it to .safetensors"
        )
    return found


def _state_dict(content: Any, shown: str) -> dict[str, Array]:
    """Return the tensors of a state dict, which may lie in a checkpoint among other things."""
    candidates: Sequence[Any] = [content]
    if isinstance(content, dict) and not any(isinstance(value, _Tensor) for value in content.values()):
        candidates = [content[key] for key in _NESTED if key in content] or list(content.values())
    for found in candidates:
        if isinstance(found, dict) and any(isinstance(value, _Tensor) for value in found.values()):
            tensors = {str(key): value.array for key, value in found.items() if isinstance(value, _Tensor)}
            return {key: array for key, array in tensors.items() if not key.endswith("num_batches_tracked")}
    raise ModelFileError(f"{shown}: holds no state_dict: no tensors by name")
