/* The largest number of each window; what lies outside of the input is none of them. */
static void pool_max(const window_sizes *s, const float *x, float *y)
{
    int row, column, r, c, i;

    for (row = 0; row < s->out_height; row++) {
        for (column = 0; column < s->out_width; column++) {
            for (i = 0; i < s->channels; i++) {
                y[i] = -FLT_MAX;
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
                        y[i] = in[i] > y[i] ? in[i] : y[i];
                    }
                }
            }
            y += s->channels;
        }
    }
}
