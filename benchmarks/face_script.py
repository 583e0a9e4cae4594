"""A model that says the same text over and over, one token a step for every request at work; it stands for a GPU's.

The text and the pace are those of the variables FACE_TEXT and FACE_STEP_S. What is said is `text` and then the end
token, and all of it again for a request that does not stop there.
"""

import os
from collections.abc import Sequence
from typing import Final

TEXT: Final = os.environ.get("FACE_TEXT", "The cat sat on the mat and looked out of the window at the rain.")
STEP_S: Final = float(os.environ.get("FACE_STEP_S", "0.01"))


class Script:
    """Token ids of the text, then the end token, then the text again."""

    def __init__(self, text_ids: Sequence[int], end_id: int) -> None:
        self._ids = [*text_ids, end_id]
        self._end_id = end_id

    def token(self, at: int, *, may_end: bool = True) -> int:
        """The token at this place of the answer; its first word stands for an end that may not be said yet."""
        found = self._ids[at % len(self._ids)]
        return self._ids[0] if found == self._end_id and not may_end else found
