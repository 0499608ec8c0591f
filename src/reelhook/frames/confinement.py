"""Confines the process that decodes files of strangers. It imports the standard library only.

The limit of open files is the main wall, on every Unix: with three descriptors open and three
allowed, no file, socket or process can be opened. On Linux a filter of system calls refuses all
but those that decoding needs.
"""

import contextlib
import ctypes
import errno
import os
import resource
import signal
import sys

MEMORY_BYTES = 900 * 1024 * 1024
PRIORITY_LOWEST = 19
NOBODY = 65534
_DESCRIPTORS = 3
"""The file, the output, and a place for errors."""

# include/uapi/linux: prctl.h, seccomp.h, audit.h, bpf_common.h.
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_KILL_PROCESS, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET = 0, 4
"""Where `struct seccomp_data` has the number of the call and the architecture."""
_ARCHITECTURES = {
    # Each with the numbers of its calls: read, write, lseek, mmap, mprotect, munmap, mremap,
    # madvise, brk, futex, clock_gettime, getrandom, rt_sigreturn, rt_sigprocmask, sched_yield,
    # exit, exit_group. From arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h.
    "x86_64": (
        0xC000003E,
        (0, 1, 8, 9, 10, 11, 25, 28, 12, 202, 228, 318, 15, 14, 24, 60, 231),
    ),
    "aarch64": (
        0xC00000B7,
        (63, 64, 62, 222, 226, 215, 216, 233, 214, 98, 113, 278, 139, 135, 124, 93, 94),
    ),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def end_with_the_server(server: int) -> None:
    """Let the system kill this process when the server ends, if the system is Linux.

    `server` is its process id.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:
        sys.exit(1)


def confine(*, cpu_seconds: int, wall_seconds: int) -> None:
    """Give up every right that decoding does not need, for good.

    All modules must be loaded by now. What a system does not have is left out.
    """
    server = os.getppid()
    os.closerange(_DESCRIPTORS, 65536)
    _yield_to_all()
    # It ends by itself on every system, even if the server is gone.
    signal.alarm(wall_seconds)
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _drop_privileges()
    # Linux forgets this when the user changes.
    end_with_the_server(server)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    if sys.platform == "linux":
        _filter_calls()


def _yield_to_all() -> None:
    """Take the processor only when nobody wants it, and be the first to go if memory is short."""
    os.nice(PRIORITY_LOWEST)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with (
            contextlib.suppress(OSError),
            open("/proc/self/oom_score_adj", "w", encoding="ascii") as score,
        ):
            score.write("1000")


def _limit(kind: int, value: int) -> None:
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (value, value))


def _drop_privileges() -> None:
    if os.geteuid() != 0:
        return
    with contextlib.suppress(OSError):
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _filter_calls() -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    known = _ARCHITECTURES.get(os.uname().machine)
    if known is None or sys.maxsize < 2**32:
        return
    architecture, calls = known
    instructions = [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        _Instruction(_JUMP_IF_EQUAL, 1, 0, architecture),
        _Instruction(_RETURN, 0, 0, _KILL_PROCESS),
        _Instruction(_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    for call in calls:
        instructions += [
            _Instruction(_JUMP_IF_EQUAL, 0, 1, call),
            _Instruction(_RETURN, 0, 0, _ALLOW),
        ]
    instructions.append(_Instruction(_RETURN, 0, 0, _REFUSE))
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
