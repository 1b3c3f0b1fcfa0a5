/* One row of features from the windowed samples in `work`, (WORK_LENGTH): cosine coefficients of decibels. */
static void make_row(float *work, float *row)
{
    const float *weights = filters;
    const float *power;
    int band, k;

    power_spectrum(work);
    power = work + POWER_BEGIN;
    for (k = 0; k < WIDTH; k++) {
        row[k] = 0.0f;
    }
    for (band = 0; band < BANDS; band++) {
        float energy = 0.0f, decibels;
        for (k = 0; k < filter_lengths[band]; k++) {
            energy += weights[k] * power[POWER_STEP * (filter_begins[band] + k)];
        }
        weights += filter_lengths[band];
        decibels = 10.0f * log10f(energy > FLOOR ? energy : FLOOR);
        for (k = 0; k < WIDTH; k++) {
            row[k] += basis[band * WIDTH + k] * decibels;
        }
    }
}
