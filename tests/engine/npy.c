#include "npy.h"

#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads "(128, 3000)" or "(24,)" behind 'shape': */
static void parse_shape(struct npy *a, const char *text)
{
    const char *at = strchr(text, '(');
    a->count = 1;
    while (at && *++at != ')' && a->dims < 4) {
        char *end;
        size_t n = strtoul(at, &end, 10);
        a->shape[a->dims++] = n;
        a->count *= n;
        at = strpbrk(end, ",)");
        if (at && *at == ')')
            break;
        if (at && at[1] == ' ')
            at++;
    }
}

struct npy npy_read(const char *path)
{
    struct npy a = {0};
    struct file_map file = {0};
    struct err e = {0};
    if (!file_map(&file, path, &e))
        fail_msg("%s", e.text);
    const unsigned char *bytes = file.data;
    if (file.size < 10 || memcmp(bytes, "\x93NUMPY\x01\x00", 8) != 0)
        fail_msg("%s: not NumPy format 1.0", path);
    size_t header_size = bytes[8] | (size_t)bytes[9] << 8;
    char header[512] = {0};
    if (header_size >= sizeof header || 10 + header_size > file.size)
        fail_msg("%s: header of %zu bytes", path, header_size);
    memcpy(header, bytes + 10, header_size);
    const char *shape = strstr(header, "'shape':");
    if (!shape || !strstr(header, "'<f4'") || !strstr(header, "'fortran_order': False"))
        fail_msg("%s: expected little-endian float32 in C order, got %s", path, header);
    parse_shape(&a, shape);
    if (file.size != 10 + header_size + a.count * sizeof *a.data)
        fail_msg("%s: %zu bytes do not match shape %s", path, file.size, shape);
    a.data = malloc(a.count * sizeof *a.data);
    assert_non_null(a.data);
    memcpy(a.data, bytes + 10 + header_size, a.count * sizeof *a.data);
    file_unmap(&file);
    return a;
}

void npy_free(struct npy *a)
{
    free(a->data);
    *a = (struct npy){0};
}

double max_difference(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most))
            most = isnan(d) ? INFINITY : d;
    }
    return most;
}
