/* The likeliest of the classes that may be an answer. */
static int likeliest(const float *probabilities)
{
    int n, best = -1;

    for (n = 0; n < LABELS; n++) {
        if (may_answer[n] && (best < 0 || probabilities[n] > probabilities[best])) {
            best = n;
        }
    }
    return best;
}
