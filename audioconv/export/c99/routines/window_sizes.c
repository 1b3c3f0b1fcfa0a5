/* Sizes of a convolution or a pooling. Arrays are (height, width, channels); weights are (kernel height, kernel width,
   channels of a group, outputs). `top` and `left` count the zeros before the input. */
typedef struct {
    int height, width, channels;
    int out_height, out_width, outputs;
    int kernel_height, kernel_width;
    int stride_height, stride_width;
    int dilation_height, dilation_width;
    int top, left;
    int groups;
} window_sizes;
