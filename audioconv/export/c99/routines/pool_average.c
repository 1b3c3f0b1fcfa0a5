/* The average of each window; what lies outside of the input counts as zeros, or not at all with `inside`. */
static void pool_average(const window_sizes *s, int inside, const float *x, float *y)
{
    int row, column, r, c, i;

    for (row = 0; row < s->out_height; row++) {
        for (column = 0; column < s->out_width; column++) {
            int count = 0;
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
                    const float *in;
                    if (place < 0 || place >= s->width) {
                        continue;
                    }
                    in = x + ((long)line * s->width + place) * s->channels;
                    for (i = 0; i < s->channels; i++) {
                        y[i] += in[i];
                    }
                    count++;
                }
            }
            count = inside ? count : s->kernel_height * s->kernel_width;
            for (i = 0; i < s->channels; i++) {
                y[i] /= (float)count;
            }
            y += s->channels;
        }
    }
}
