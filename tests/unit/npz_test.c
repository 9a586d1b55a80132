/* npz: archives of every form that is read, each lie that is refused, unpacking in pieces. */
#include "runtime/calib/npz.h"
#include "tests/unit/arrays_build.h"

static Session *s;
static Str payload;

static int setup(void **state) {
    (void)state;
    s = session_open(&sys_real);
    Buf b = buf_on(s->arena);
    for (int i = 0; i < 300000; i++) {
        buf_char(&b, (char)((int64_t)i * i >> 7));
    }
    payload = buf_view(&b);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    session_close(s);
    return 0;
}

static Str two_members(int flags) {
    ZipBuild z = zip_begin(s->arena, flags);
    zip_add(&z, "a.npy", payload);
    zip_add(&z, "b/c.npy", (Str){"hello", 5});
    return zip_end(&z);
}

static bool keep(void *user, const void *bytes, size_t size) {
    Buf *b = user;
    memcpy(b->data + b->len, bytes, size); /* its room was made before: nothing is allocated */
    b->len += size;
    return true;
}

static bool stop(void *user, const void *bytes, size_t size) {
    (void)bytes;
    (void)size;
    ++*(int *)user;
    return false;
}

static bool unpack(Str zip, const NpzMember *m, Buf *out, Str *why) {
    *out = buf_on(s->arena);
    buf_repeat(out, ' ', m->size + 1);
    out->len = 0;
    return npz_unpack(s->arena, (const uint8_t *)zip.data, m, keep, out, why);
}

static void members_are_found_and_unpacked(void **state) {
    (void)state;
    for (int flags = 0; flags < ZIP_ENCRYPTED; flags++) {
        Str zip = two_members(flags), why = {0}, front;
        NpzDirectory d;
        if (!npz_directory(s->arena, (const uint8_t *)zip.data, zip.len, &d, &why)) {
            fail_msg("flags %d: %.*s", flags, STR_ARG(why));
        }
        assert_int_equal(d.count, 2);
        assert_str(d.members[1].name, "b/c.npy");
        Buf out;
        assert_true(unpack(zip, &d.members[0], &out, &why));
        assert_true(str_eq(buf_view(&out), payload));
        assert_true(unpack(zip, &d.members[1], &out, &why));
        assert_str(buf_view(&out), "hello");
        char buffer[100];
        assert_true(npz_front(s->arena, (const uint8_t *)zip.data, &d.members[0], buffer, 100,
                              &front, &why));
        assert_true(front.len == 100 && memcmp(front.data, payload.data, 100) == 0);
        int calls = 0;
        assert_false(
            npz_unpack(s->arena, (const uint8_t *)zip.data, &d.members[0], stop, &calls, &why));
        assert_int_equal(calls, 1);
        assert_int_equal(why.len, 0);
    }
}

static void wrong(Str zip, const char *part) {
    Str why = {0};
    NpzDirectory d;
    assert_false(npz_directory(s->arena, (const uint8_t *)zip.data, zip.len, &d, &why));
    if (!strstr(str_c(s->arena, why), part)) {
        fail_msg("\"%.*s\" does not say \"%s\"", STR_ARG(why), part);
    }
}

/* zip with the number of `bytes` bytes at `at` replaced; at < 0 counts from the end */
static Str with(Str zip, long at, uint64_t value, int bytes) {
    Str copy = str_copy(s->arena, zip);
    uint8_t *to = (uint8_t *)copy.data + (at < 0 ? (long)copy.len + at : at);
    for (int i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> 8 * i);
    }
    return copy;
}

static void lies_are_refused(void **state) {
    (void)state;
    Str zip = two_members(ZIP_DEFLATED);
    const uint8_t *end = (const uint8_t *)zip.data + zip.len - 22;
    const long directory = (long)(end[16] | end[17] << 8 | end[18] << 16);
    wrong((Str){"", 0}, "does not end");
    wrong((Str){"PK\3\4", 4}, "does not end");
    wrong(str_slice(zip, 0, zip.len - 1), "does not end");
    wrong(str_slice(zip, 9, zip.len), "directory");
    wrong(with(zip, -22 + 10, 3, 2), "disks");
    wrong(with(with(zip, -22 + 10, 3, 2), -22 + 8, 3, 2), "malformed");
    wrong(with(with(zip, -22 + 10, 60000, 2), -22 + 8, 60000, 2), "more than");
    wrong(with(zip, -22 + 12, 0xfffff, 4), "past its end");
    wrong(with(zip, directory, 0, 4), "malformed");
    wrong(with(zip, directory + 8, 1, 2), "encrypted");
    wrong(with(zip, directory + 10, 12, 2), "method 12");
    wrong(with(zip, directory + 10, 0, 2), "cannot be true");
    wrong(with(zip, directory + 20, 50, 4), "cannot be true");
    wrong(with(zip, directory + 20, 0xffffff, 4), "past the archive");
    wrong(with(zip, directory + 20, UINT32_MAX, 4), "zip64");
    wrong(with(zip, directory + 24, UINT32_MAX, 4), "zip64");
    wrong(with(zip, directory + 42, 1, 4), "not where");
    wrong(with(zip, directory + 46, 'X', 1), "is another");
    wrong(with(zip, 30, 'X', 1), "is another");
    ZipBuild z = zip_begin(s->arena, 0);
    zip_add(&z, "a.npy", payload);
    zip_add(&z, "a.npy", payload);
    wrong(zip_end(&z), "twice");
    Str big = two_members(ZIP_64);
    wrong(with(big, -22 - 20 + 8, 3, 8), "zip64 directory");
    wrong(with(big, -22 - 20 + 16, 2, 4), "disks");
    wrong(with(big, -22 - 20 - 56 + 24, 7, 8), "disks");
    wrong(with(big, -22 - 20 - 56 + 48, UINT64_MAX - 3, 8), "past its end");
}

/* two rows of the directory that share one member's bytes */
static void overlaps_are_refused(void **state) {
    (void)state;
    ZipBuild z = zip_begin(s->arena, 0);
    ZipBuild inner = zip_begin(s->arena, 0);
    zip_add(&inner, "b.npy", (Str){"inside", 6});
    zip_add(&z, "a.npy", buf_view(&inner.body)); /* its payload is a member, too */
    Buf row = buf_on(s->arena);
    buf_str(&row, buf_view(&inner.directory));
    row.data[42] = 35; /* where the inner header lies */
    buf_str(&z.directory, buf_view(&row));
    z.count++;
    wrong(zip_end(&z), "overlaps");
}

static void damage_is_seen(void **state) {
    (void)state;
    for (int deflated = 0; deflated < 2; deflated++) {
        Str zip = two_members(deflated ? ZIP_DEFLATED : 0), why = {0};
        NpzDirectory d;
        assert_true(npz_directory(s->arena, (const uint8_t *)zip.data, zip.len, &d, &why));
        Buf out;
        for (uint64_t at = 0; at < d.members[0].packed; at += 997) {
            Str hurt = with(zip, (long)(d.members[0].begin + at), 0x5a, 1);
            if (str_eq(hurt, zip)) {
                continue;
            }
            assert_false(unpack(hurt, &d.members[0], &out, &why));
            assert_true(why.len > 0);
        }
        NpzMember shorter = d.members[0], longer = d.members[0];
        shorter.size -= 1;
        longer.size += 1;
        assert_false(deflated && unpack(zip, &shorter, &out, &why));
        assert_false(deflated && unpack(zip, &longer, &out, &why));
        NpzMember cut = d.members[0];
        cut.packed -= 5;
        char buffer[100];
        assert_false(deflated && unpack(zip, &cut, &out, &why));
        cut.packed = 1;
        assert_false(deflated && npz_front(s->arena, (const uint8_t *)zip.data, &cut, buffer, 100,
                                           &(Str){0}, &why));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_found_and_unpacked, setup, teardown),
        cmocka_unit_test_setup_teardown(lies_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(overlaps_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_seen, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
