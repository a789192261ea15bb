/* npy.h: NumPy arrays of the goldens: format 1.0, little-endian float32, C order. */
#ifndef FERRY_TESTS_NPY_H
#define FERRY_TESTS_NPY_H

#include <stddef.h>

struct npy {
    float *data; /* malloc'ed, npy_free */
    size_t shape[4];
    int dims;
    size_t count;
};

/* Fails the running test, naming the file, when it is not there or is anything else. */
struct npy npy_read(const char *path);
void npy_free(struct npy *a);

/* Largest absolute difference of n values; infinite when one of them is not a number. */
double max_difference(const float *a, const float *b, size_t n);

#endif
