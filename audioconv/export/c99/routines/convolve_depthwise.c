/* One filter for each channel. */
static void convolve_depthwise(const window_sizes *s, const float *x, const weight *weights, const float *scale,
                               const float *bias, float *y)
{
    int row, column, r, c, i;

    for (row = 0; row < s->out_height; row++) {
        for (column = 0; column < s->out_width; column++) {
            for (i = 0; i < s->channels; i++) {
                y[i] = 0.0f;
            }
            for (r = 0; r < s->kernel_height; r++) {
                const int line = row * s->stride_height - s->top + r * s->dilation_height;
                if (line < 0 || line >= s->height) {
                    continue;
                }
                for (c = 0; c < s->kernel_width; c++) {
                    const int place = column * s->stride_width - s->left + c * s->dilation_width;
                    const weight *w = weights + (long)(r * s->kernel_width + c) * s->channels;
                    const float *in;
                    if (place < 0 || place >= s->width) {
                        continue;
                    }
                    in = x + ((long)line * s->width + place) * s->channels;
                    for (i = 0; i < s->channels; i++) {
                        y[i] += in[i] * (float)w[i];
                    }
                }
            }
            for (i = 0; i < s->channels; i++) {
                y[i] = y[i] * (scale ? scale[i] : 1.0f) + (bias ? bias[i] : 0.0f);
            }
            y += s->channels;
        }
    }
}
