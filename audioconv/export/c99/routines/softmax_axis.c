/* Softmax over the middle axis of (outer, count, inner), or its logarithm; `y` may be `x`. */
static void softmax_axis(int outer, int count, int inner, int logarithm, const float *x, float *y)
{
    int o, n, i;

    for (o = 0; o < outer; o++) {
        for (i = 0; i < inner; i++) {
            const float *in = x + (long)o * count * inner + i;
            float *out = y + (long)o * count * inner + i;
            float largest = in[0], total = 0.0f;
            for (n = 1; n < count; n++) {
                largest = in[n * inner] > largest ? in[n * inner] : largest;
            }
            for (n = 0; n < count; n++) {
                total += expf(in[n * inner] - largest);
            }
            for (n = 0; n < count; n++) {
                const float above = in[n * inner] - largest;
                out[n * inner] = logarithm ? above - logf(total) : expf(above) / total;
            }
        }
    }
}
