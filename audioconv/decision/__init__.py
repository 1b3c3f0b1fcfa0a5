"""From probabilities to an answer: a word, or none of the words."""
