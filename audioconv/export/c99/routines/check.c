/* Runs a model: windows or a stream from a file, what it gives as text. */
#include "NAME.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float window[INPUT_SIZE];

static int classify(FILE *file)
{
    float probabilities[AUDIOCONV_LABELS];
    int n;

    while (fread(window, sizeof(float), INPUT_SIZE, file) == INPUT_SIZE) {
        printf("%d", audioconv_classify(window, probabilities));
        for (n = 0; n < AUDIOCONV_LABELS; n++) {
            printf(" %.9g", (double)probabilities[n]);
        }
        printf("\n");
    }
    return 0;
}

#if LISTENS
static audioconv_state state;

static int show(const audioconv_event *events, int count, int bound, int64_t windows)
{
    int n;

    if (count > bound) {
        fprintf(stderr, "%d events, the bound is %d\n", count, bound);
        return 1;
    }
    for (n = 0; n < count; n++) {
        printf("event %d %ld %ld %.9g\n", events[n].label, (long)events[n].begin, (long)events[n].end,
               (double)events[n].score);
    }
    if (state.window_count > windows) {
        printf("scores");
        for (n = 0; n < AUDIOCONV_LABELS; n++) {
            printf(" %.9g", (double)state.scores[n]);
        }
        printf("\n");
    }
    return 0;
}

static int hear(FILE *file, int block, float threshold)
{
    int16_t *samples = malloc((size_t)block * sizeof(int16_t));
    audioconv_event *events = malloc((size_t)(AUDIOCONV_MAX_EVENTS(block) + AUDIOCONV_FLUSH_EVENTS) * sizeof *events);
    int failed = samples == NULL || events == NULL;
    size_t count;

    audioconv_init(&state);
    if (threshold >= 0.0f) {
        state.threshold = threshold;
    }
    while (!failed && (count = fread(samples, sizeof(int16_t), (size_t)block, file)) > 0) {
        const int64_t windows = state.window_count;
        const int found = audioconv_push(&state, samples, (int)count, events);
        failed = show(events, found, AUDIOCONV_MAX_EVENTS((int)count), windows);
    }
    if (!failed) {
        const int found = audioconv_flush(&state, events);
        printf("flush\n");
        failed = show(events, found, AUDIOCONV_FLUSH_EVENTS, state.window_count);
    }
    printf("state %lu\n", (unsigned long)sizeof state);
    free(samples);
    free(events);
    return failed;
}
#endif

int main(int argc, char **argv)
{
    FILE *file = argc > 2 ? fopen(argv[2], "rb") : NULL;
    int failed = 1;

    if (file == NULL) {
        return 1;
    }
    if (strcmp(argv[1], "classify") == 0) {
        failed = classify(file);
    }
#if LISTENS
    if (strcmp(argv[1], "listen") == 0 && argc > 4) {
        failed = hear(file, atoi(argv[3]), (float)atof(argv[4]));
    }
#endif
    fclose(file);
    return failed;
}
