"""A review of saved clips: the order of the clips, the meaning of an answer, and going back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from audioconv.datasets.heard import CONFIRMED, CORRECTED, REFUSED, REVIEWS, SKIPPED, HeardClip
from audioconv.errors import ConfigError

YES, NO, PLAY, SKIP, UNDO, QUIT = "y", "n", "p", "s", "u", "q"
KEYS = (YES, NO, PLAY, SKIP, UNDO, QUIT)
_WORDS_OF_KEYS = {"yes": YES, "no": NO, "play": PLAY, "skip": SKIP, "undo": UNDO, "quit": QUIT}


class Review:
    """Review of the clips of a folder, one after the other.

    Parameters
    ----------
    clips : sequence of HeardClip
        The rows of the table.
    words : sequence of str
        Words to choose from. The labels of the clips are added.
    askable : sequence of bool
        True for each clip that has a file.
    skipped_again : bool
        True to include clips that were skipped.

    Attributes
    ----------
    clips : list of HeardClip
        The rows as they are now.
    words : tuple of str
    places : list of int
        The clips to review, by their place in `clips`.
    done : int
        Number of clips that are answered.
    """

    def __init__(
        self,
        clips: Sequence[HeardClip],
        words: Sequence[str],
        askable: Sequence[bool],
        *,
        skipped_again: bool = False,
    ) -> None:
        self.clips = list(clips)
        self.words = tuple(dict.fromkeys([*words, *(clip.label for clip in clips)]))
        asked = {"", SKIPPED} if skipped_again else {""}
        self.places = [
            place
            for place, (clip, is_there) in enumerate(zip(clips, askable, strict=True))
            if is_there and clip.review in asked
        ]
        self.done = 0
        self._before: list[tuple[int, HeardClip]] = []

    @property
    def place(self) -> int | None:
        """The clip under review; None after the last one."""
        return self.places[self.done] if self.done < len(self.places) else None

    @property
    def has_numbers(self) -> bool:
        """True if words have numbers; False if a word is a number itself."""
        return not any(word.isdecimal() for word in self.words)

    @property
    def counts(self) -> dict[str, int]:
        """Number of clips with each review; clips without one are ``unreviewed``."""
        found = Counter(clip.review or "unreviewed" for clip in self.clips)
        return {name: found[name] for name in (*REVIEWS[1:], "unreviewed")}

    def key(self, answer: str) -> str | None:
        """Return the key of `KEYS` that an answer means; None for a word or its number.

        A word of the clips whose name is ``no``, for example, is meant by that name; the keys are single letters.
        """
        text = answer.strip()
        if text in KEYS:
            return text
        return None if text in self.words else _WORDS_OF_KEYS.get(text.lower())

    def answer(self, text: str) -> HeardClip:
        """Note what the present clip is, go on to the next, and return the new row.

        Parameters
        ----------
        text : str
            ``y``, ``n``, ``s``, or a word or its number, from 1.

        Raises
        ------
        ConfigError
            If it is no answer.
        """
        assert self.place is not None, "all clips are answered"
        new = self.reviewed(self.clips[self.place], text)
        self._before.append((self.place, self.clips[self.place]))
        self.clips[self.place] = new
        self.done += 1
        return new

    def reviewed(self, clip: HeardClip, text: str) -> HeardClip:
        """Return the row of a clip after an answer; see `answer`."""
        key = self.key(text)
        if key == YES:
            return replace(clip, review=CONFIRMED, word=clip.label)
        if key == NO:
            return replace(clip, review=REFUSED, word="")
        if key == SKIP:
            return replace(clip, review=SKIPPED, word="")
        word = self._word(text.strip())
        return replace(clip, review=CONFIRMED if word == clip.label else CORRECTED, word=word)

    def undo(self) -> bool:
        """Take back the last answer, so that its clip is asked again; return whether there was one."""
        if not self._before:
            return False
        place, clip = self._before.pop()
        self.clips[place] = clip
        self.done -= 1
        return True

    def _word(self, text: str) -> str:
        if text in self.words:
            return text
        alike = [word for word in self.words if word.casefold() == text.casefold()]
        if len(alike) == 1:
            return alike[0]
        if self.has_numbers and text.isdecimal() and 1 <= int(text) <= len(self.words):
            return self.words[int(text) - 1]
        known = ", ".join(self.words)
        raise ConfigError(f"{text!r} is no answer: y, n, s, u, q, or a word: {known}")
