/* The rows of a clip, with zeros around it, from its samples: (CLIP_SAMPLES) to (WINDOW_ROWS, WIDTH). */
static void clip_features(const float *samples, float *work, float *rows)
{
    int row, n;

    for (row = 0; row < WINDOW_ROWS; row++) {
        const long begin = (long)row * ROW_SAMPLES - FFT_LENGTH / 2 + WINDOW_BEGIN;
        for (n = 0; n < FFT_LENGTH; n++) {
            work[n] = 0.0f;
        }
        for (n = 0; n < WINDOW_LENGTH; n++) {
            if (begin + n >= 0 && begin + n < CLIP_SAMPLES) {
                work[WINDOW_BEGIN + n] = samples[begin + n] * hann[n];
            }
        }
        make_row(work, rows + (long)row * WIDTH);
    }
}
