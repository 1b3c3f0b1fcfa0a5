/* Probabilities from logits: a gate tells whether it is a word, and a softmax which; the other classes share the rest. In
   double precision, so that they are rounded once. */
static void decide(const float *logits, float *probabilities)
{
    double largest[2] = {-HUGE_VAL, -HUGE_VAL}, total[2] = {0.0, 0.0}, share[2];
    double score;
    int n;

    for (n = 0; n < LABELS; n++) {
        const int kind = is_word[n];
        largest[kind] = (double)logits[n] > largest[kind] ? (double)logits[n] : largest[kind];
    }
    for (n = 0; n < LABELS; n++) {
        total[is_word[n]] += exp(((double)logits[n] - largest[is_word[n]]) / TEMPERATURE);
    }
    score = gate_score(logits, largest[1]);
    share[1] = 1.0 / (1.0 + exp(-(GATE_SCALE * score + GATE_OFFSET)));
    share[0] = 1.0 - share[1];
    for (n = 0; n < LABELS; n++) {
        const int kind = is_word[n];
        const double odds = exp(((double)logits[n] - largest[kind]) / TEMPERATURE);
        probabilities[n] = (float)(share[kind] * odds / total[kind]);
    }
}
