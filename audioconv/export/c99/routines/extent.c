/* The level of a row of a window, which begins at a slot of the levels; beyond its ends that of its first and last. */
static float level_at(const audioconv_state *state, int slot, int row)
{
    row = row < 0 ? 0 : row < WINDOW_ROWS ? row : WINDOW_ROWS - 1;
    return state->levels[(slot + row) % LEVEL_ROWS];
}

/* The rows of what stands out most in a window: of several sounds, the one with most of its loudness above the threshold,
   and nearest to the middle; all rows where nothing stands out. */
static void word_extent(audioconv_state *state, int slot, int *first, int *end)
{
    float *smooth = state->scratch, *sorted = state->scratch + WINDOW_ROWS;
    const int above = EXTENT_ROW + 1 < WINDOW_ROWS ? EXTENT_ROW + 1 : EXTENT_ROW;
    float background, loudest, threshold, weight_of_best = -1.0f;
    int row, n;

    for (row = 0; row < WINDOW_ROWS; row++) {
        float total = 0.0f;
        for (n = 0; n < EXTENT_SMOOTHING; n++) {
            total += level_at(state, slot, row + n - EXTENT_SMOOTHING / 2);
        }
        smooth[row] = total / (float)EXTENT_SMOOTHING;
        for (n = row; n > 0 && sorted[n - 1] > smooth[row]; n--) {
            sorted[n] = sorted[n - 1];
        }
        sorted[n] = smooth[row];
    }
    background = sorted[EXTENT_ROW] + (sorted[above] - sorted[EXTENT_ROW]) * EXTENT_PART;
    loudest = sorted[WINDOW_ROWS - 1];
    threshold = background + EXTENT_STEP * (loudest - background);
    *first = 0;
    *end = WINDOW_ROWS;
    if (loudest - background < EXTENT_CONTRAST) {
        return;
    }
    for (row = 0; row < WINDOW_ROWS;) {
        float total = 0.0f;
        int begin, last;
        if (smooth[row] <= threshold) {
            row++;
            continue;
        }
        begin = last = row;
        for (; row < WINDOW_ROWS && row - last - 1 <= EXTENT_PAUSE; row++) {
            if (smooth[row] > threshold) {
                const float from_middle = 2.0f * (float)row / (float)(WINDOW_ROWS - 1) - 1.0f;
                total += (smooth[row] - threshold) * (1.05f - fabsf(from_middle));
                last = row;
            }
        }
        if (total > weight_of_best) {
            weight_of_best = total;
            *first = begin;
            *end = last + 1;
        }
    }
}
