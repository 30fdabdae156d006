"""What must not be survived ends in the right panic, from any CPU: the reason, who called, status 37."""
import pytest
from ballonet_lib import Kind

#        kind             what the first line says                    a function on the way there
CRASHES = (
    ("assert",         "assertion failed",                         "crash_assert"),
    ("in-interrupt",   "assertion failed",                         "crash_assert"),
    ("null-call",      "call of a NULL function pointer",          "crash_null_call"),
    ("null-read",      "NULL pointer access: read of 0x8",         "crash_null_read"),
    ("wild-read",      "which is not mapped",                      "crash_wild_read"),
    ("non-canonical",  "a non-canonical address",                  "crash_non_canonical"),
    ("write-text",     "which is read-only",                       "crash_write_text"),
    ("exec-data",      "which is data",                            "crash_exec_data"),
    ("stack-overflow", 'stack overflow in thread "crash"',         "crash_stack_overflow_deeper"),
    ("double-fault",   "double fault",                             "crash_double_fault"),
    ("double-free",    "double free",                              "crash_double_free"),
    ("divide",         "divide error",                             "crash_divide"),
    ("undefined",      "invalid opcode",                           "crash_undefined"),
)


@pytest.mark.parametrize("cpu", [0, 1, 3])
@pytest.mark.parametrize("kind, reason, function", CRASHES, ids=[crash[0] for crash in CRASHES])
def test_panic(boot, kind, reason, function, cpu):
    guest = boot(memory="256M", smp=4)
    guest.send(f"crash {kind} {cpu}\n")
    ending = guest.wait(20)
    assert ending.kind is Kind.PANIC
    assert reason in ending.detail
    report = guest.console[guest.console.index("panic: "):]
    assert f"panic: CPU {cpu}" in report
    trace = report[report.index("Call trace:"):]
    assert function + "+0x" in trace
    assert report.rstrip().endswith("panic: end")


@pytest.mark.parametrize("mode, kind, reason, function", [
    ("debug", "lock-order", "lock order inversion", "crash_lock_order"),
    ("kasan", "use-after-free", "kasan: write of 8 bytes", "crash_use_after_free"),
], ids=["lock-order", "use-after-free"])
def test_what_only_a_checking_build_sees(boot, mode, kind, reason, function):
    guest = boot(memory="512M", smp=2, mode=mode)
    guest.send(f"crash {kind} 1\n")
    ending = guest.wait(20)
    assert ending.kind is Kind.PANIC
    assert reason in ending.detail
    assert function in guest.console
