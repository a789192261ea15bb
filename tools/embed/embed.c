/* embed.c: a page as a C file, with the Content-Security-Policy that lets its own script and style run and
 * nothing else: their hashes. Run by the build.
 *
 *   embed NAME PAGE.html > OUT.c      const unsigned char NAME[], const size_t NAME_size, const char
 * NAME_policy[]
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PAGE = 1 << 20 };

static void die(const char *what)
{
    fprintf(stderr, "embed: %s\n", what);
    exit(1);
}

/* 'sha256-…' of what stands in the one element of that name (CSP Level 3, section 8.4). */
static void print_hash(const char *page, const char *begin_tag, const char *end_tag)
{
    unsigned char digest[SHA256_DIGEST_LENGTH], text[64];
    const char *begin = strstr(page, begin_tag);
    const char *end = begin ? strstr(begin, end_tag) : NULL;
    if (!end || strstr(end, begin_tag))
        die("a page has one script and one style");
    begin += strlen(begin_tag);
    SHA256((const unsigned char *)begin, (size_t)(end - begin), digest);
    EVP_EncodeBlock(text, digest, sizeof digest);
    printf("'sha256-%s'", (const char *)text);
}

int main(int argc, char **argv)
{
    static char page[MAX_PAGE + 1];
    FILE *in = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!in)
        die("embed NAME PAGE.html");
    size_t size = fread(page, 1, MAX_PAGE, in);
    if (!feof(in) || strlen(page) != size)
        die("the page is too large, or has a NUL");
    fclose(in);
    printf("#include <stddef.h>\n\nextern const unsigned char %s[];\nextern const size_t %s_size;\n", argv[1],
           argv[1]);
    printf("extern const char %s_policy[];\n\nconst unsigned char %s[] = {", argv[1], argv[1]);
    for (size_t i = 0; i < size; i++)
        printf("%s%d,", i % 24 ? "" : "\n    ", (unsigned char)page[i]);
    printf("\n};\nconst size_t %s_size = sizeof %s;\nconst char %s_policy[] =\n    \"default-src 'none'; "
           "script-src ",
           argv[1], argv[1], argv[1]);
    print_hash(page, "<script>", "</script>");
    printf("; style-src ");
    print_hash(page, "<style>", "</style>");
    printf("; connect-src 'self'; img-src data:; media-src blob:; \"\n    \"base-uri 'none'; form-action "
           "'none'; "
           "frame-ancestors 'none'\";\n");
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
