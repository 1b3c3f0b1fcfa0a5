/* From reset to main, with the arguments that QEMU was given (semihosting). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint32_t stack_top, bss_begin, bss_end;
extern int main(int argc, char **argv);
extern void initialise_monitor_handles(void);
extern void begin(void);

enum { GET_COMMAND_LINE = 0x15, MAX_ARGUMENTS = 8 };

static int semihosting(int operation, void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void begin(void)
{
    static char line[1024];
    static char *argv[MAX_ARGUMENTS];
    struct {
        char *text;
        int size;
    } asked = {line, sizeof line};
    int argc = 0;
    char *word;

    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* switches the floating-point unit on */
    memset(&bss_begin, 0, (size_t)((char *)&bss_end - (char *)&bss_begin));
    initialise_monitor_handles();
    semihosting(GET_COMMAND_LINE, &asked);
    for (word = strtok(line, " "); word && argc < MAX_ARGUMENTS; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    exit(main(argc, argv));
}

void _fini(void);

void _fini(void) /* which exit calls */
{
}

static void fault(void)
{
    _Exit(3);
}

union vector {
    void *stack;
    void (*handler)(void);
};

__attribute__((section(".vectors"), used)) static const union vector vectors[16] = {
    {.stack = &stack_top}, {.handler = begin}, {.handler = fault}, {.handler = fault},
    {.handler = fault},    {.handler = fault}, {.handler = fault},
};
