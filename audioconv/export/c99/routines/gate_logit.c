/* The gate's score: the largest logit of a word. */
static double gate_score(const float *logits, double largest_word)
{
    (void)logits;
    return largest_word;
}
