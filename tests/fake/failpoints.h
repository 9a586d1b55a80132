/* Which call of a fake library fails. A list, from the environment or a test:
 *
 *     ENTRY:N:CODE[:forever],...      the N-th call of ENTRY (of `any`: of all) returns CODE, once
 *                                     or from then on; calls are counted from failpoints_set on
 *
 * CODE may also be `hang` (never returns), `spin` (the same, busy) or `crash` (SIGSEGV). Each
 * library has its own; callers hold its lock. */
#ifndef TESTS_FAKE_FAILPOINTS_H
#define TESTS_FAKE_FAILPOINTS_H

/* Counts the call; its code, or 0. */
int failpoint(const char *entry);
/* Replaces the list (NULL: empty) and forgets the counts. Aborts when it makes no sense. */
void failpoints_set(const char *list);
unsigned long failpoints_calls(const char *entry); /* so far; `any`: of all entries */
#endif
