/* Four outputs are summed at a time: each input is then read once for four products. */
static void convolve(const window_sizes *s, const float *x, const weight *weights, const float *scale,
                     const float *bias, float *y)
{
    const int depth = s->channels / s->groups;
    const int share = s->outputs / s->groups;
    int row, column, group, k, r, c, i, j;

    for (row = 0; row < s->out_height; row++) {
        for (column = 0; column < s->out_width; column++) {
            for (group = 0; group < s->groups; group++) {
                for (k = 0; k < share; k += 4) {
                    const int used = share - k < 4 ? share - k : 4;
                    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
                    for (r = 0; r < s->kernel_height; r++) {
                        const int line = row * s->stride_height - s->top + r * s->dilation_height;
                        if (line < 0 || line >= s->height) {
                            continue;
                        }
                        for (c = 0; c < s->kernel_width; c++) {
                            const int place = column * s->stride_width - s->left + c * s->dilation_width;
                            const float *in;
                            const weight *w;
                            if (place < 0 || place >= s->width) {
                                continue;
                            }
                            in = x + ((long)line * s->width + place) * s->channels + group * depth;
                            w = weights + (long)(r * s->kernel_width + c) * depth * s->outputs + group * share + k;
                            if (used == 4) {
                                for (i = 0; i < depth; i++) {
                                    sum[0] += in[i] * (float)w[0];
                                    sum[1] += in[i] * (float)w[1];
                                    sum[2] += in[i] * (float)w[2];
                                    sum[3] += in[i] * (float)w[3];
                                    w += s->outputs;
                                }
                            } else {
                                for (i = 0; i < depth; i++) {
                                    for (j = 0; j < used; j++) {
                                        sum[j] += in[i] * (float)w[j];
                                    }
                                    w += s->outputs;
                                }
                            }
                        }
                    }
                    for (j = 0; j < used; j++) {
                        const int out = group * share + k + j;
                        y[out] = sum[j] * (scale ? scale[out] : 1.0f) + (bias ? bias[out] : 0.0f);
                    }
                }
            }
            y += s->outputs;
        }
    }
}
