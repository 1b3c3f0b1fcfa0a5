/* Adds the products of one tap: `depth` inputs with `count` outputs each, of which a row of weights has `outputs`. Four
   inputs at a time, so that a sum is read and written once for four products; compilers make vectors of the outputs. */
static void add_tap(const float *restrict in, const weight *restrict w, int depth, int count, int outputs,
                    float *restrict y)
{
    int i, j;

    for (i = 0; i + 4 <= depth; i += 4) {
        const float a = in[i], b = in[i + 1], c = in[i + 2], d = in[i + 3];
        const weight *restrict w1 = w + outputs, *restrict w2 = w1 + outputs, *restrict w3 = w2 + outputs;
        for (j = 0; j < count; j++) {
            y[j] += a * (float)w[j] + b * (float)w1[j] + (c * (float)w2[j] + d * (float)w3[j]);
        }
        w = w3 + outputs;
    }
    for (; i < depth; i++) {
        for (j = 0; j < count; j++) {
            y[j] += in[i] * (float)w[j];
        }
        w += outputs;
    }
}

static void convolve(const window_sizes *s, const float *x, const weight *weights, const float *scale,
                     const float *bias, float *y)
{
    const int depth = s->channels / s->groups;
    const int share = s->outputs / s->groups;
    int row, column, group, r, c, k;

    for (row = 0; row < s->out_height; row++) {
        for (column = 0; column < s->out_width; column++) {
            for (k = 0; k < s->outputs; k++) {
                y[k] = 0.0f;
            }
            for (r = 0; r < s->kernel_height; r++) {
                const int line = row * s->stride_height - s->top + r * s->dilation_height;
                if (line < 0 || line >= s->height) {
                    continue;
                }
                for (c = 0; c < s->kernel_width; c++) {
                    const int place = column * s->stride_width - s->left + c * s->dilation_width;
                    const weight *w = weights + (long)(r * s->kernel_width + c) * depth * s->outputs;
                    const float *in;
                    if (place < 0 || place >= s->width) {
                        continue;
                    }
                    in = x + ((long)line * s->width + place) * s->channels;
                    for (group = 0; group < s->groups; group++) {
                        add_tap(in + group * depth, w + group * share, depth, share, s->outputs, y + group * share);
                    }
                }
            }
            for (k = 0; k < s->outputs; k++) {
                y[k] = y[k] * (scale ? scale[k] : 1.0f) + (bias ? bias[k] : 0.0f);
            }
            y += s->outputs;
        }
    }
}
