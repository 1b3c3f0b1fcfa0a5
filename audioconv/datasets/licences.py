"""Conditions of data-set licences, in a few words."""

from __future__ import annotations

from dataclasses import dataclass

_CC = "https://creativecommons.org/licenses"


@dataclass(frozen=True)
class Licence:
    """A licence.

    Attributes
    ----------
    title : str
        Its name.
    url : str
        Address of its text.
    summary : str
        Its permissions and conditions in short; the text alone is binding.
    for_models : str
        Its consequences for a model that was trained on such data. No legal advice.
    text : str
        All of it, behind the makers' copyright notice, where it must come with each copy.
    """

    title: str
    url: str
    summary: str
    for_models: str
    text: str = ""


_NAME_THEM = "Name the data set and its makers with a published model, as `audioconv info MODEL` does."
_MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE."""
_IF_SHARED = " Whether a model is adapted material is disputed; to be careful, share it under this licence."

LICENCES = {
    "CC0-1.0": Licence(
        "Creative Commons Zero 1.0",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "No rights reserved: use, change and share it for anything, without asking. Common Voice asks all the same "
        "that nobody tries to find out who a speaker is.",
        "Nothing is asked for.",
    ),
    "CC-BY-3.0": Licence(
        "Creative Commons Attribution 3.0",
        f"{_CC}/by/3.0/",
        "Use, change and share it for anything, also for money, as long as the makers are named, the licence is linked "
        "and changes are pointed out.",
        _NAME_THEM,
    ),
    "CC-BY-4.0": Licence(
        "Creative Commons Attribution 4.0",
        f"{_CC}/by/4.0/",
        "Use, change and share it for anything, also for money, as long as the makers are named, the licence is linked "
        "and changes are pointed out.",
        _NAME_THEM,
    ),
    "CC-BY-SA-3.0": Licence(
        "Creative Commons Attribution-ShareAlike 3.0",
        f"{_CC}/by-sa/3.0/",
        "As CC BY 3.0; share adapted material under the same licence.",
        _NAME_THEM + _IF_SHARED,
    ),
    "CC-BY-SA-4.0": Licence(
        "Creative Commons Attribution-ShareAlike 4.0",
        f"{_CC}/by-sa/4.0/",
        "As CC BY 4.0; share adapted material under the same licence.",
        _NAME_THEM + _IF_SHARED,
    ),
    "CC-BY-NC-3.0": Licence(
        "Creative Commons Attribution-NonCommercial 3.0",
        f"{_CC}/by-nc/3.0/",
        "As CC BY 3.0, but not for what is mainly meant for commercial advantage or money.",
        "Do not use the model commercially without asking the makers. " + _NAME_THEM,
    ),
    "MIT": Licence(
        "MIT License",
        "https://opensource.org/license/mit",
        "Use, change and share it for anything, as long as the copyright notice and the licence come with it.",
        _NAME_THEM,
        _MIT,
    ),
}
"""By SPDX identifier."""
