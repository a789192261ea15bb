/* crc32c.h: CRC-32C (Castagnoli), as Cloud Storage reports it for every object.
 *
 * Reflected polynomial 0x82F63B78, start and final xor 0xFFFFFFFF: "123456789" gives 0xE3069283 (RFC 3720,
 * appendix B.4). Uses the CPU's instruction where there is one. Stateless; any thread. */
#ifndef FERRY_BASE_CRC32C_H
#define FERRY_BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` stands for followed by bytes[0..size); 0 is the CRC of nothing. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* The readable twin, and what a CPU without the instruction runs: four bits at a time. */
uint32_t crc32c_ref(uint32_t crc, const void *bytes, size_t size);

/* The CRC of A followed by B, from those of A and B and the length of B: multiplication by x^(8 * size_b)
 * modulo the polynomial. O(log size_b). */
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t size_b);

enum { CRC32C_TEXT = 9 };

/* As Cloud Storage writes it: 4 bytes, big-endian, in base64 ("4waSgw=="). */
void crc32c_print(uint32_t crc, char out[CRC32C_TEXT]);
bool crc32c_parse(const char *text, size_t size, uint32_t *crc); /* false: not eight such characters */

#endif
