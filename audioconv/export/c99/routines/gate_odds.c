/* The gate's score: the logarithm of the odds of the likeliest word against all other classes. */
static double gate_score(const float *logits, double largest_word)
{
    double largest = -HUGE_VAL, total = 0.0;
    int n, likeliest = -1;

    for (n = 0; n < LABELS; n++) {
        if (likeliest < 0 && is_word[n] && (double)logits[n] == largest_word) {
            likeliest = n;
        } else if ((double)logits[n] > largest) {
            largest = (double)logits[n];
        }
    }
    for (n = 0; n < LABELS; n++) {
        if (n != likeliest) {
            total += exp((double)logits[n] - largest);
        }
    }
    return largest_word - (largest + log(total));
}
