/* The power of each bin of FFT_LENGTH windowed samples in `work`: that of bin k is left at `work[2 * k]`, below half the
   length. A complex transform of half the length (radix 2, in place) takes even and odd samples as its two parts. */
static void power_spectrum(float *work)
{
    const int half = FFT_LENGTH / 2;
    int span, begin, i, j;

    for (i = 1, j = 0; i < half; i++) { /* into the order of reversed bits */
        int bit = half >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            const float real = work[2 * i], imaginary = work[2 * i + 1];
            work[2 * i] = work[2 * j];
            work[2 * i + 1] = work[2 * j + 1];
            work[2 * j] = real;
            work[2 * j + 1] = imaginary;
        }
    }
    for (span = 1; span < half; span *= 2) {
        for (i = 0; i < span; i++) {
            const float cosine = roots[2 * (i * (half / span))];
            const float sine = roots[2 * (i * (half / span)) + 1];
            for (begin = i; begin < half; begin += 2 * span) {
                float *a = work + 2 * begin, *b = a + 2 * span;
                const float real = b[0] * cosine - b[1] * sine, imaginary = b[0] * sine + b[1] * cosine;
                b[0] = a[0] - real;
                b[1] = a[1] - imaginary;
                a[0] += real;
                a[1] += imaginary;
            }
        }
    }
    /* Bin k and bin half - k are made of frequency k and frequency half - k. */
    work[0] = (work[0] + work[1]) * (work[0] + work[1]);
    for (i = 1; i <= half / 2; i++) {
        float *low = work + 2 * i, *high = work + 2 * (half - i);
        const float even_real = 0.5f * (low[0] + high[0]), even_imaginary = 0.5f * (low[1] - high[1]);
        const float odd_real = 0.5f * (low[1] + high[1]), odd_imaginary = 0.5f * (high[0] - low[0]);
        const float cosine = roots[2 * i], sine = roots[2 * i + 1];
        const float real = odd_real * cosine - odd_imaginary * sine;
        const float imaginary = odd_real * sine + odd_imaginary * cosine;
        low[0] = (even_real + real) * (even_real + real) + (even_imaginary + imaginary) * (even_imaginary + imaginary);
        high[0] = (even_real - real) * (even_real - real) + (imaginary - even_imaginary) * (imaginary - even_imaginary);
    }
}
