"""From logits to an answer: one of the words, or "none of these"."""
