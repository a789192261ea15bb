/* utf8.h: what is a character and what is not, for text that came from outside. */
#ifndef FERRY_BASE_UTF8_H
#define FERRY_BASE_UTF8_H

/* Bytes of the character that a NUL-terminated string begins with, 1 to 4; 0 when its first byte begins none
 * (RFC 3629: no surrogates, no overlong forms, nothing over U+10FFFF). The NUL counts as one byte. */
static inline int utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return 1;
    int length = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    unsigned char least = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (length == 0 || s[1] < least || s[1] > most)
        return 0;
    for (int i = 2; i < length; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return length;
}

#endif
