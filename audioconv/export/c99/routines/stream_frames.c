/* A row from the kept samples, and how loud it is, in dB. */
static float stream_row(audioconv_state *state)
{
    float *row = state->rows + (long)state->row_slot * WIDTH;
    float *work = state->scratch + WORK;
    float total = 0.0f;
    int n;

    for (n = 0; n < FFT_LENGTH; n++) {
        work[n] = 0.0f;
    }
    for (n = 0; n < WINDOW_LENGTH; n++) {
        work[WINDOW_BEGIN + n] = (float)state->kept[WINDOW_BEGIN + n] / 32768.0f * hann[n];
    }
    make_row(work, row);
    for (n = 0; n < LEVEL_WIDTH; n++) {
        total += row[n];
    }
    return total / LEVEL_DIVISOR;
}

/* A row of silence, which follows the stream. */
static float silent_row(audioconv_state *state)
{
    memcpy(state->rows + (long)state->row_slot * WIDTH, silence, sizeof silence);
    return SILENCE_LEVEL;
}

/* The features of the window that ends with the last row. */
static void stream_window(const audioconv_state *state, float *features)
{
    const long older = (long)(WINDOW_ROWS - state->row_slot) * WIDTH, newer = (long)state->row_slot * WIDTH;

    memcpy(features, state->rows + newer, (size_t)older * sizeof(float));
    memcpy(features + older, state->rows, (size_t)newer * sizeof(float));
}

static void begin_rows(audioconv_state *state)
{
    int row;

    for (row = 0; row < WINDOW_ROWS; row++) {
        memcpy(state->rows + (long)row * WIDTH, silence, sizeof silence);
    }
    state->filled = FFT_LENGTH / 2; /* the first frame is centred on sample 0 */
}

/* Takes samples up to the end of the next row, zeros where `samples` is NULL; returns how many. */
static int fill(audioconv_state *state, const int16_t *samples, int count, int *complete)
{
    int taken;

    if (state->filled < 0) { /* between frames that do not touch */
        taken = count < -state->filled ? count : -state->filled;
        state->filled += taken;
        *complete = 0;
        return taken;
    }
    taken = count < FFT_LENGTH - state->filled ? count : FFT_LENGTH - state->filled;
    if (samples) {
        memcpy(state->kept + state->filled, samples, (size_t)taken * sizeof(int16_t));
    } else {
        memset(state->kept + state->filled, 0, (size_t)taken * sizeof(int16_t));
    }
    state->filled += taken;
    *complete = state->filled == FFT_LENGTH;
    return taken;
}

/* Leaves the samples that the next row needs. */
static void go_on(audioconv_state *state)
{
    state->filled = FFT_LENGTH - ROW_SAMPLES;
    if (state->filled > 0) {
        memmove(state->kept, state->kept + ROW_SAMPLES, (size_t)state->filled * sizeof(int16_t));
    }
}

/* How many rows a stream of so many samples has. */
static int64_t rows_of(int64_t samples)
{
    return samples > 0 ? 1 + (samples + 2 * (FFT_LENGTH / 2) - FFT_LENGTH) / ROW_SAMPLES : 0;
}
