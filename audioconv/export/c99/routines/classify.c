int audioconv_classify(const float *window, float *probabilities)
{
    static float scratch[SCRATCH];
    int answer;

    FILL;
    network(scratch);
    decide(scratch + OUTPUT, probabilities);
    answer = likeliest(probabilities);
    return is_word[answer] && probabilities[answer] >= CLIP_THRESHOLD ? answer : -1;
}
