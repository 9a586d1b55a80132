"""Runs a command; measures wall time and the largest RssAnon + RssShmem seen (bytes)."""
import subprocess
import threading
import time


def resident(pid):
    """Anonymous and shared memory of a process now: what it holds besides mapped files."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return sum(int(line.split()[1]) * 1024 for line in status
                       if line.startswith(("RssAnon:", "RssShmem:")))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def measure(command, **options):
    """(seconds, peak bytes, standard output); raises when the command fails."""
    begin = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, **options)
    peak, done = [0], threading.Event()

    def poll():
        while not done.wait(0.003):
            peak[0] = max(peak[0], resident(child.pid))

    watcher = threading.Thread(target=poll)
    watcher.start()
    out, err = child.communicate()
    seconds = time.monotonic() - begin
    done.set()
    watcher.join()
    if child.returncode:
        raise RuntimeError(f"{command}: exit {child.returncode}\n{out}{err}")
    return seconds, peak[0], out
