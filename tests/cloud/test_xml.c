#include "cloud/storage/xml.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Elements as "depth name=text;". */
struct heard {
    char text[2000];
    int refuse_after; /* -1: take all */
};

static bool hear(void *arg, int depth, const char *name, const char *text, struct err *e)
{
    struct heard *h = arg;
    size_t used = strlen(h->text);
    if (h->refuse_after-- == 0)
        return err_set(e, ERR_CANCELLED, "enough");
    snprintf(h->text + used, sizeof h->text - used, "%d%s=%s;", depth, name, text);
    return true;
}

static void elements_come_with_their_text(void **state)
{
    static const struct {
        const char *xml, *heard;
    } cases[] = {
        {"<?xml version='1.0' encoding='UTF-8'?>\n<A xmlns='http://x/'>\n <B>1</B>\n <C a=\"x>y\"/>\n</A>\n",
         "1B=1;1C=;0A=;"},
        {"<A>&lt;&amp;&gt;&quot;&apos;&#65;&#x3042;</A>", "0A=<&>\"'A\xe3\x81\x82;"},
        {"<A><!-- <B>no</B> --><B >x</B ></A>", "1B=x;0A=;"},
        {"<A><B></B><B/></A>", "1B=;1B=;0A=;"},
        {"<A>  </A>", "0A=;"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct heard h = {.refuse_after = -1};
        struct err e = {0};
        if (!xml_read(cases[i].xml, strlen(cases[i].xml), hear, &h, &e))
            fail_msg("%s: %s", cases[i].xml, e.text);
        assert_string_equal(h.text, cases[i].heard);
    }
}

static void what_is_not_well_formed_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "text",
        "<A>",
        "<A></B>",
        "</A>",
        "<A/><B/>",
        "<A>&unknown;</A>",
        "<A>&amp</A>",
        "<A>&#0;</A>",
        "<A>&#xD800;</A>",
        "<A>&#x110000;</A>",
        "<A>&#;</A>",
        "<!DOCTYPE A [<!ENTITY x \"y\">]><A>&x;</A>",
        "<A><![CDATA[x]]></A>",
        "<A b='></A>",
        "<A <B></A>",
        "< A></A>",
        "<A><!-- ",
        "<?xml",
        "<A><B><C><D><E><F><G><H><I/></H></G></F></E></D></C></B></A>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct heard h = {.refuse_after = -1};
        struct err e = {0};
        if (xml_read(cases[i], strlen(cases[i]), hear, &h, &e))
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(strncmp(e.text, "XML: ", 5), 0);
    }
}

static void text_over_the_limit_is_refused(void **state)
{
    static char xml[XML_MAX_TEXT + 10];
    struct heard h = {.refuse_after = -1};
    struct err e = {0};
    (void)state;
    memset(xml, 'x', sizeof xml);
    memcpy(xml, "<A>", 3);
    assert_false(xml_read(xml, sizeof xml, hear, &h, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
}

static void listener_ends_the_reading(void **state)
{
    struct heard h = {.refuse_after = 1};
    struct err e = {0};
    (void)state;
    assert_false(xml_read("<A><B>1</B><C/></A>", 19, hear, &h, &e));
    assert_int_equal(e.kind, ERR_CANCELLED);
    assert_string_equal(h.text, "1B=1;");
}

static void elements_before_a_cut_are_told(void **state)
{
    struct heard h = {.refuse_after = -1};
    struct err e = {0};
    (void)state;
    assert_false(xml_read("<A><B>1</B><C>2", 15, hear, &h, &e));
    assert_string_equal(h.text, "1B=1;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_with_their_text),
        cmocka_unit_test(what_is_not_well_formed_is_refused),
        cmocka_unit_test(text_over_the_limit_is_refused),
        cmocka_unit_test(listener_ends_the_reading),
        cmocka_unit_test(elements_before_a_cut_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
