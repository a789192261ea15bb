/* object_json.c: what the JSON API says of a file, so that nginx can be a bucket (bench/bucket/serve).
 *
 *   bench_object_json BASE NAME FILE     one object resource on stdout; BASE is the server, https://HOST:PORT
 */
#include "base/crc32c.h"
#include "base/err.h"
#include "base/file.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct file_map m = {0};
    struct err e = {0};
    if (argc != 4 || !file_map(&m, argv[3], &e)) {
        fprintf(stderr, "bench_object_json BASE NAME FILE: %s\n", e.text);
        return 1;
    }
    const char *base = argv[1], *name = argv[2];
    char crc[CRC32C_TEXT];
    crc32c_print(crc32c(0, m.data, m.size), crc);
    printf("{\"kind\":\"storage#object\",\"id\":\"bench/%s/1\",\"name\":\"%s\",\"bucket\":\"bench\",", name,
           name);
    printf("\"generation\":\"1\",\"metageneration\":\"1\",\"contentType\":\"application/octet-stream\",");
    printf("\"storageClass\":\"STANDARD\",\"size\":\"%zu\",\"crc32c\":\"%s\",\"etag\":\"CAE=\",", m.size,
           crc);
    printf("\"timeCreated\":\"2026-01-01T00:00:00.000Z\",\"updated\":\"2026-01-01T00:00:00.000Z\",");
    printf("\"mediaLink\":\"%s/download/storage/v1/b/bench/o/%s?generation=1&alt=media\"}\n", base, name);
    file_unmap(&m);
    return 0;
}
