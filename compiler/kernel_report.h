/* The GPU kernels of a compiled recipe, for people and tools: `plan --kernels` lists them, `-d cuda`,
 * `-d ptx` and `-d sass` print them. PTX, SASS and the numbers of the list need NVRTC, no GPU. */
#ifndef COMPILER_KERNEL_REPORT_H
#define COMPILER_KERNEL_REPORT_H
#include "runtime/exec/schedule.h"

bool kernel_report_is_dump(Str name); /* cuda, ptx, sass */
void kernel_report_dump_names(Buf *out); /* for `-d list` */
/* arch: 90; 0: that of the GPU at hand, or sm_90 if there is none. get: the environment. False:
 * reported (E1106: NVRTC or a disassembler is missing; exit 4). */
bool kernel_report_dump(Session *s, const Schedule *schedule, Str name, int arch,
                        const char *(*get)(const char *variable), Buf *out);
/* Never fails: what NVRTC would say is left out, with a line why. */
void kernel_report_list(Session *s, const Schedule *schedule, int arch, Buf *out);
#endif
