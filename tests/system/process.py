"""Processes: started in sessions of their own, logs in files, ended by their own number only."""

import ctypes
import os
import re
import signal
import socket
import subprocess

from waiting import PATIENT, Failure, now, wait_for

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
# Below the range that the kernel takes for outgoing connections, and each harness has a block of
# its own: what was killed, or has not started yet, finds its port free, whoever runs beside.
_BLOCKS, _BLOCK_PORTS, _FIRST_PORT = 50, 200, 20000
_claim = None  # held for as long as this process lives
_ports = []


def _claim_block():
    """Numbers that no other harness gives out: whose they are says a socket that has a name only in
    the kernel, so that nothing is left behind by who is killed."""
    for number in range(_BLOCKS):
        block = (os.getpid() + number) % _BLOCKS
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0ixn-test-ports-{block}")
        except OSError:
            claim.close()
            continue
        first = _FIRST_PORT + block * _BLOCK_PORTS
        return claim, list(range(first, first + _BLOCK_PORTS))
    raise Failure(f"{_BLOCKS} harnesses run already, there are no ports for one more")


def free_port():
    """A port of loopback that nobody uses, another one at every call."""
    global _claim
    if _claim is None:
        _claim, _ports[:] = _claim_block()
    for _ in _ports:
        port = _ports.pop(0)
        _ports.append(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failure(f"no free port from {min(_ports)} to {max(_ports)} on loopback")


def _die_with_parent():
    # Also when the harness itself is killed: nothing is left behind.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def children_of(pid):
    """Numbers of the direct children of a process."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(text) for text in file.read().split()]
    except OSError:
        return []


def signal_pid(pid, number):
    """Sends a signal; a process that is gone by now is not an error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def is_alive(pid):
    """True while the process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


class Process:
    """One program with its output in a file; its standard output in another one when asked."""

    def __init__(self, name, command, log_path, cwd=None, keep_stdout=False):
        self.name = name
        self.killed = False  # by us
        self.command = [str(part) for part in command]
        self.log_path = log_path
        self.stdout_path = log_path + ".out" if keep_stdout else None
        with open(log_path, "ab") as log:
            log.write(f"# {' '.join(self.command)}\n".encode())
            log.flush()
            self.log_start = log.tell()
            stdout = open(self.stdout_path, "wb") if keep_stdout else log
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=log, cwd=cwd,
                start_new_session=True, preexec_fn=_die_with_parent)
            if keep_stdout:
                stdout.close()

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        """What this start of the program has logged so far."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def log_end(self):
        return "\n".join(self.log().splitlines()[-8:])

    def output(self):
        with open(self.stdout_path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()

    def wait_log(self, pattern, seconds=PATIENT):
        """Waits until a line of this start's log matches; a Failure when the program ends first."""
        expression = re.compile(pattern)

        def found():
            match = expression.search(self.log())
            if not match and not self.alive():
                raise Failure(f"{self.name} ended with code {self.popen.returncode} before it "
                              f"logged \"{pattern}\":\n{self.log_end()}")
            return match

        return wait_for(f"{self.name} logging \"{pattern}\"", found, seconds)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.killed = True
        self.popen.kill()
        self.popen.wait()

    def stop(self, seconds=PATIENT):
        """SIGTERM; a Failure when it does not end in time, or with another code than 0."""
        if not self.alive():
            return
        self.popen.terminate()
        code = self.wait(seconds)
        if code != 0:
            raise Failure(f"{self.name} ended with code {code} after SIGTERM:\n{self.log_end()}")

    def wait(self, seconds=PATIENT):
        """Its exit code; a Failure when it runs on."""
        deadline = now() + seconds
        try:
            return self.popen.wait(max(0.01, deadline - now()))
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} (process {self.pid}) did not end within {seconds} s:\n"
                          f"{self.log_end()}") from None


def run(command, seconds=120, check=True):
    """Runs a command to its end and gives its output; a Failure when it fails or takes too long."""
    command = [str(part) for part in command]
    # A session of its own: a Ctrl-C ends the harness, which then cleans up.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True) as popen:
        try:
            out, err = popen.communicate(timeout=seconds)
        except BaseException:
            popen.kill()
            popen.communicate()
            raise
    out, err = out.decode(errors="replace"), err.decode(errors="replace")
    if check and popen.returncode != 0:
        raise Failure(f"\"{' '.join(command)}\" ended with code {popen.returncode}: "
                      f"{(err or out).strip()[-1500:]}")
    return out, err, popen.returncode
