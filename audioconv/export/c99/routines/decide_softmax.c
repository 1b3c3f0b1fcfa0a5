/* Probabilities from logits: softmax after the temperature. In double precision, so that they are rounded once. */
static void decide(const float *logits, float *probabilities)
{
    double largest = (double)logits[0], total = 0.0;
    int n;

    for (n = 1; n < LABELS; n++) {
        largest = (double)logits[n] > largest ? (double)logits[n] : largest;
    }
    for (n = 0; n < LABELS; n++) {
        total += exp(((double)logits[n] - largest) / TEMPERATURE);
    }
    for (n = 0; n < LABELS; n++) {
        probabilities[n] = (float)(exp(((double)logits[n] - largest) / TEMPERATURE) / total);
    }
}
