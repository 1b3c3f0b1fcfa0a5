/* A row is a piece of the samples; returns how loud it is, in dB. */
static float stream_row(audioconv_state *state)
{
    const int16_t *row = state->rows + (long)state->row_slot * ROW_SAMPLES;
    float total = 0.0f;
    int n;

    for (n = 0; n < ROW_SAMPLES; n++) {
        const float sample = (float)row[n] / 32768.0f;
        total += sample * sample;
    }
    return 10.0f * log10f(total / (float)ROW_SAMPLES + 1e-10f);
}

/* A row of silence, which follows the stream. */
static float silent_row(audioconv_state *state)
{
    memset(state->rows + (long)state->row_slot * ROW_SAMPLES, 0, ROW_SAMPLES * sizeof(int16_t));
    return SILENCE_LEVEL;
}

/* The samples of the window that ends with the last row. */
static void stream_window(const audioconv_state *state, float *features)
{
    long place = (long)state->row_slot * ROW_SAMPLES;
    int n;

    for (n = 0; n < CLIP_SAMPLES; n++) {
        features[n] = (float)state->rows[place] / 32768.0f;
        place = place + 1 < (long)WINDOW_ROWS * ROW_SAMPLES ? place + 1 : 0;
    }
}

static void begin_rows(audioconv_state *state)
{
    memset(state->rows, 0, sizeof state->rows);
    state->filled = 0;
}

/* Takes samples up to the end of the next row, zeros where `samples` is NULL; returns how many. */
static int fill(audioconv_state *state, const int16_t *samples, int count, int *complete)
{
    int16_t *row = state->rows + (long)state->row_slot * ROW_SAMPLES;
    const int taken = count < ROW_SAMPLES - state->filled ? count : ROW_SAMPLES - state->filled;

    if (samples) {
        memcpy(row + state->filled, samples, (size_t)taken * sizeof(int16_t));
    } else {
        memset(row + state->filled, 0, (size_t)taken * sizeof(int16_t));
    }
    state->filled += taken;
    *complete = state->filled == ROW_SAMPLES;
    return taken;
}

static void go_on(audioconv_state *state)
{
    state->filled = 0;
}

/* How many rows a stream of so many samples has. */
static int64_t rows_of(int64_t samples)
{
    return (samples + ROW_SAMPLES - 1) / ROW_SAMPLES;
}
