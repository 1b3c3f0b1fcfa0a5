/* Copies rows of `width` numbers to every `stride`th place. */
static void copy_rows(int rows, int width, int stride, const float *x, float *y)
{
    int row;

    for (row = 0; row < rows; row++) {
        memcpy(y + (long)row * stride, x + (long)row * width, (size_t)width * sizeof(float));
    }
}
