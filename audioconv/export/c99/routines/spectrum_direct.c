/* The power of each bin of FFT_LENGTH windowed samples in `work`: that of bin k is left at `work[FFT_LENGTH + k]`. The
   length is no power of two, so each bin is a sum of products. */
static void power_spectrum(float *work)
{
    int k, n;

    for (k = 0; k < BINS; k++) {
        float real = 0.0f, imaginary = 0.0f;
        int root = WINDOW_BEGIN * k % FFT_LENGTH;
        for (n = WINDOW_BEGIN; n < WINDOW_BEGIN + WINDOW_LENGTH; n++) {
            real += work[n] * roots[2 * root];
            imaginary += work[n] * roots[2 * root + 1];
            root = (root + k) % FFT_LENGTH;
        }
        work[FFT_LENGTH + k] = real * real + imaginary * imaginary;
    }
}
