/* A word in the window where its score was greatest so far becomes an event. */
static int emit(audioconv_state *state, audioconv_event *events, int ended)
{
    const audioconv_candidate *best = &state->best;
    int64_t begin = best->begin * ROW_SAMPLES - ROW_BEFORE;
    int64_t end = (best->end - 1) * ROW_SAMPLES + ROW_AFTER;

    if (!state->has_best) {
        return 0;
    }
    if (ended && end > state->sample_count) {
        end = state->sample_count;
    }
    begin = begin < 0 ? 0 : begin;
    events->label = best->label;
    events->score = best->score;
    events->begin = begin < end ? begin : end;
    events->end = end;
    state->last = state->best;
    state->has_last = 1;
    state->last_end_of[best->label] = best->end;
    state->has_best = 0;
    return 1;
}

/* Whether what begins at a row is not the last event once more. */
static int may_follow(const audioconv_state *state, int label, int64_t window, int64_t begin)
{
    if (!state->has_last) {
        return 1;
    }
    if (begin < state->last.end || window - state->last.window < APART) {
        return 0;
    }
    return begin >= state->last_end_of[label] + state->refractory_rows;
}

/* Takes what is likeliest in the next window; returns the number of events, at most 1. */
static int pick(audioconv_state *state, int64_t window, int label, float score, audioconv_event *events, int ended)
{
    int found = 0;

    if (score >= state->threshold) {
        const int64_t middle = window < SMOOTHING_MIDDLE ? 0 : window - SMOOTHING_MIDDLE;
        const int64_t first = middle * HOP_ROWS - WINDOW_ROWS / 2;
        int begin_row, end_row;
        int64_t begin, end;
        /* Row 0 of the stream has the slot WINDOW_ROWS / 2. */
        word_extent(state, (int)((first + WINDOW_ROWS / 2) % LEVEL_ROWS), &begin_row, &end_row);
        begin = first + begin_row;
        end = first + end_row;
        if (state->has_best && begin >= state->best.end) { /* another word begins before this one was certain */
            found += emit(state, events, ended);
        }
        if (may_follow(state, label, window, begin)) {
            audioconv_candidate *best = &state->best;
            if (!state->has_best || score > best->score) {
                const int rises = !state->has_best || label != best->label ||
                                  (double)score > (double)best->score + RISE;
                best->first_heard = state->has_best ? best->first_heard : window;
                best->last_rise = rises ? window : best->last_rise;
                best->label = label;
                best->score = score;
                best->window = window;
                best->begin = begin;
                best->end = end;
                state->has_best = 1;
            }
        }
    }
    if (state->has_best && (window - state->best.last_rise >= CONFIRM || window - state->best.first_heard >= WAIT)) {
        found += emit(state, events + found, ended);
    }
    return found;
}

/* Evaluates the window that ends with the last row; returns the number of events, at most 1. */
static int take_window(audioconv_state *state, audioconv_event *events, int ended)
{
    float *newest = state->probabilities + (long)state->probability_slot * LABELS;
    int n, age, best;

    stream_window(state, state->scratch + INPUT);
    network(state->scratch);
    decide(state->scratch + OUTPUT, newest);
    state->probability_slot = (state->probability_slot + 1) % SMOOTHING;
    for (n = 0; n < LABELS; n++) { /* from the oldest to the newest, so that the sum is rounded as by audioconv */
        float total = 0.0f;
        for (age = 0; age < SMOOTHING; age++) {
            total += state->probabilities[(state->probability_slot + age) % SMOOTHING * LABELS + n];
        }
        state->scores[n] = total / (float)SMOOTHING;
    }
    best = likeliest(state->scores);
    return pick(state, state->window_count++, best, is_word[best] ? state->scores[best] : -1.0f, events, ended);
}

/* Goes on behind a row of this level; returns the number of events, at most 1. */
static int take_row(audioconv_state *state, float level, audioconv_event *events, int ended)
{
    int64_t beyond;

    state->levels[state->level_slot] = level;
    state->level_slot = (state->level_slot + 1) % LEVEL_ROWS;
    state->row_slot = (state->row_slot + 1) % WINDOW_ROWS;
    state->row_count++;
    beyond = state->row_count - (WINDOW_ROWS - WINDOW_ROWS / 2);
    return beyond >= 0 && beyond % HOP_ROWS == 0 ? take_window(state, events, ended) : 0;
}

void audioconv_init(audioconv_state *state)
{
    int n;

    memset(state, 0, sizeof *state);
    begin_rows(state);
    for (n = 0; n < LEVEL_ROWS; n++) {
        state->levels[n] = SILENCE_LEVEL;
    }
    state->level_slot = WINDOW_ROWS / 2 % LEVEL_ROWS;
    for (n = 0; n < LABELS; n++) {
        state->last_end_of[n] = INT64_MIN;
    }
    state->threshold = THRESHOLD;
    state->refractory_rows = REFRACTORY_ROWS;
}

int audioconv_push(audioconv_state *state, const int16_t *samples, int count, audioconv_event *events)
{
    int found = 0, complete;

    while (count > 0) {
        const int taken = fill(state, samples, count, &complete);
        samples += taken;
        count -= taken;
        state->sample_count += taken;
        if (complete) {
            const float level = stream_row(state);
            go_on(state);
            found += take_row(state, level, events + found, 0);
        }
    }
    return found;
}

int audioconv_flush(audioconv_state *state, audioconv_event *events)
{
    const int64_t rows = rows_of(state->sample_count);
    const int64_t windows = (rows + HOP_ROWS - 1) / HOP_ROWS;
    int found = 0, complete;

    while (state->row_count < rows) {
        fill(state, NULL, ROW_SAMPLES, &complete);
        if (complete) {
            const float level = stream_row(state);
            go_on(state);
            found += take_row(state, level, events + found, 1);
        }
    }
    while (state->window_count < windows) {
        const float level = silent_row(state);
        found += take_row(state, level, events + found, 1);
    }
    return found + emit(state, events + found, 1);
}
