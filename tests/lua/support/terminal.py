"""terminal.py PROGRAM [ARGUMENT...]: runs it at a pseudo-terminal and plays the lines of standard input:
  send TEXT    types it (Python's escapes: \\t, \\n, \\x03 is Ctrl-C)
  expect TEXT  waits until it has been printed since the last match; after ten seconds the test has failed
Prints what came, without the escapes of the terminal; the exit code is that of the program, 99 after a failure."""
import os
import pty
import re
import select
import sys
import time

sys.stdin.reconfigure(encoding="utf-8")
steps = [line.rstrip("\n").partition(" ") for line in sys.stdin]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])

seen = ""


def read(seconds):
    global seen
    if not select.select([terminal], [], [], seconds)[0]:
        return False
    try:
        data = os.read(terminal, 65536).decode("utf-8", "replace")
    except OSError:
        return False
    seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]", "", data)
    return bool(data)


def fail(what):
    print(seen)
    print("not seen: " + what)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    sys.exit(99)


place = 0
for what, _, text in steps:
    text = text.encode("utf-8").decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
    if what == "send":
        time.sleep(0.05)
        os.write(terminal, text.encode("utf-8"))
    else:
        end = time.time() + 10
        while text not in seen[place:]:
            if time.time() > end:
                fail(text)
            read(0.2)
        place = seen.index(text, place) + len(text)
while read(5):
    pass
print(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
