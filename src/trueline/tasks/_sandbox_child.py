"""The inner side of ``tasks.sandbox``: a script of its own that locks itself up and then runs what it was given. Standard library only.

Order: namespaces, a new root with Python's own files read-only and a small ``/tmp``, a process 1 without privileges; that one forks a
child for each check, watches the clock, and kills everything in its namespace after each. It reads one JSON job from standard input and
writes one JSON reply to standard output.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import platform
import resource
import select
import shutil
import signal
import struct
import sys
import time
import types
from typing import Any

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_MOUNT_SETATTR = 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_AT_FDCWD, _AT_RECURSIVE, _ATTR_READ_ONLY, _ATTR_NOSUID = -100, 0x8000, 1, 2
_DETACH = 2
#: Where a check writes its verdict.
_VERDICT = 3
_WORDS = 300

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), options.encode())


def _read_only(path: str, *, recursive: bool) -> None:
    attributes = struct.pack("QQQQ", _ATTR_READ_ONLY | _ATTR_NOSUID, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    _call("syscall", _MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, attributes, ctypes.c_size_t(len(attributes)))


def _stranger() -> int:
    """A user id that nobody has."""
    return (1 << 30) + int.from_bytes(os.urandom(3), "little")


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _namespaces() -> bool:
    """Enter namespaces of one's own; True where root made them, False where a user namespace did. Raises ``OSError``."""
    flags = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET
    if os.geteuid() == 0:
        if _libc.unshare(flags) == 0:
            return True
        _become(_stranger())
        _call("prctl", _DUMPABLE, 1, 0, 0, 0)  # else the maps below belong to root
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", flags | _NEWUSER)
    for name, content in (("setgroups", b"deny"), ("uid_map", b"%d %d 1" % (uid, uid)), ("gid_map", b"%d %d 1" % (gid, gid))):
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(file, content)
        os.close(file)
    return False


def _new_root(root: str, paths: list[str], megabytes: int) -> None:
    """A root directory that holds ``paths`` read-only, /dev/null and an empty /tmp; nothing else of the machine can be reached."""
    machine = platform.machine()
    if machine not in _PIVOT_ROOT:
        raise OSError(0, f"no isolation on {machine} processors")
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=400,mode=755")
    for path in paths:
        inside = root + path
        if os.path.islink(path):
            os.symlink(os.readlink(path), inside)
            continue
        os.makedirs(inside, exist_ok=True)
        _mount(path, inside, None, _BIND | _REC)
        _read_only(inside, recursive=True)
    os.mkdir(root + "/dev")
    with open(root + "/dev/null", "wb"):
        _mount("/dev/null", root + "/dev/null", None, _BIND)
    os.mkdir(root + "/tmp")
    _mount("tmpfs", root + "/tmp", "tmpfs", _NOSUID | _NODEV | _NOEXEC, f"size={megabytes}m,nr_inodes=256,mode=1777")
    _read_only(root, recursive=False)
    os.chdir(root)
    _call("syscall", _PIVOT_ROOT[machine], b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/tmp")


def _drop_privileges(as_root: bool) -> None:
    if as_root:
        _become(_stranger())
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _call("syscall", _CAPSET[platform.machine()], header, nothing)
    for option, value in ((_NO_NEW_PRIVS, 1), (_DUMPABLE, 0), (_PDEATHSIG, int(signal.SIGKILL))):
        _call("prctl", option, value, 0, 0, 0)


def _limits(seconds: float, memory: int, megabytes: int, n_processes: int) -> None:
    wanted = {
        resource.RLIMIT_CPU: math.ceil(seconds) + 1,
        resource.RLIMIT_AS: memory << 20,
        resource.RLIMIT_FSIZE: megabytes << 20,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_NPROC: n_processes,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in wanted.items():
        resource.setrlimit(kind, (most, most))


def _trespass(event: str, arguments: tuple[Any, ...]) -> str | None:
    """What a program must not do, in words; the namespaces hold without it, but what was tried counts as failed."""
    if event.startswith("socket."):
        return None if event == "socket.__new__" and arguments[1] == 1 else "opened a socket"  # 1: within the machine
    if event in ("os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "os.spawn", "subprocess.Popen", "pty.spawn"):
        return "started a process"
    if event in ("os.kill", "os.killpg", "signal.pthread_kill"):
        return "sent a signal"
    if event.startswith("ctypes."):
        return "called a library by its address"
    if event == "open" and not isinstance(arguments[0], int):
        mode, flags = arguments[1] or "", arguments[2] or 0
        writes = any(letter in mode for letter in "wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if writes and path != "/dev/null" and not path.startswith("/tmp/"):
            return "wrote outside its folder"
    return None


def _check(job: dict[str, Any], check: str, secret: str, n_processes: int) -> None:
    """In a child of its own: run the program, then the check; never returns."""

    def end(words: str) -> None:
        os.write(_VERDICT, f"{secret} {words}"[:_WORDS].encode("utf-8", "replace") + b"\n")
        os._exit(0)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if words := _trespass(event, arguments):
            end(words)

    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    try:
        _limits(job["seconds"], job["memory"], job["megabytes"], n_processes)
        if job["watch"]:
            sys.addaudithook(watch)
        for source, name in ((job["program"], "<program>"), (job["setup"], "<setup>"), (check, "<check>")):
            exec(compile(source, name, "exec"), module.__dict__)
    except BaseException as error:  # noqa: BLE001 - whatever the program raised is its verdict
        end(f"{type(error).__name__}: {error}")
    end("ok")


def _fork_check(job: dict[str, Any], check: str, n_processes: int) -> str:
    """Run one check in a child and return its verdict in words, ``ok`` where it passed."""
    readable, writable = os.pipe()
    secret = os.urandom(16).hex()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for target in (0, 1, 2):
            os.dup2(null, target)
        os.dup2(writable, _VERDICT)
        os.closerange(_VERDICT + 1, 256)
        _check(job, check, secret, n_processes)
    os.close(writable)
    said, until, over = b"", time.monotonic() + job["seconds"], False
    while b"\n" not in said and len(said) < 2 * _WORDS:
        left = until - time.monotonic()
        over = left <= 0 or not select.select([readable], [], [], left)[0]
        part = b"" if over else os.read(readable, _WORDS)
        if not part:
            break
        said += part
    os.close(readable)
    status = _kill_all()
    words = said.split(b"\n", 1)[0].decode("utf-8", "replace")
    if words.startswith(secret + " "):
        return words[len(secret) + 1 :]
    if over or status == signal.SIGXCPU:
        return f"ran longer than {job['seconds']:g} s"
    return f"died of signal {status}" if status else "ended without a verdict"


def _kill_all() -> int:
    """Kill every other process of this namespace and wait for all; the signal of which the first died, if of one of its own."""
    first = -1
    ready, status = os.waitpid(-1, os.WNOHANG)
    if ready:
        first = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.wait()
    except (ChildProcessError, ProcessLookupError):  # nobody is left
        return max(first, 0)


def _supervise(job: dict[str, Any], as_root: bool) -> None:
    """Process 1 of the namespace: one check after the other, each in an empty folder."""
    _drop_privileges(as_root)
    verdicts = []
    for check in job["checks"]:
        # counted with the check itself: this process, and where there is a user namespace the one that made it
        verdicts.append(_fork_check(job, check, 2 if as_root else 3))
        for name in os.listdir("/tmp"):
            path = os.path.join("/tmp", name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
    os.write(1, json.dumps({"verdicts": verdicts}).encode())


def main() -> None:
    """Read the job, lock up, run."""
    job = json.loads(sys.stdin.buffer.read())
    try:
        as_root = _namespaces()
        _new_root(job["root"], job["paths"], job["megabytes"])
    except OSError as error:
        os.write(1, json.dumps({"refused": str(error)}).encode())
        return
    child = os.fork()
    if child == 0:
        try:
            _supervise(job, as_root)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
