"""
A small service for tests: answers on a loopback port and does to itself what a path asks for.

Run as ``python program.py PORT``. One thread, no imports beyond the basics: it starts in a few hundredths of a second.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time

HELD = []


def spin(seconds: float) -> None:
    """Use *seconds* of CPU."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def act(path: str) -> str:
    """Do what *path* says and return the reply."""
    verb, _, value = path.strip("/").partition("/")
    if verb == "spin":
        spin(float(value))
    elif verb == "spin-in-child":
        subprocess.run([sys.executable, __file__, "spin", value], check=True)
    elif verb == "spin-unwaited":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        child = os.fork()
        if child == 0:
            spin(float(value))
            time.sleep(2.5)
            os._exit(0)
        return str(child)
    elif verb == "hold":
        HELD.append(bytearray(os.urandom(1 << 20) * int(value)))
    elif verb == "write":
        with open("written", "wb") as file:  # noqa: PTH123
            file.write(os.urandom(int(value) << 10))
            file.flush()
            os.fsync(file.fileno())
    elif verb == "child":
        child = subprocess.Popen(["sleep", "300"], start_new_session=value == "escaped", env={} if value == "bare" else None)
        HELD.append(child)
        return str(child.pid)
    elif verb == "say":
        print(value, flush=True)
    elif verb == "exit":
        os._exit(int(value))
    elif verb == "env":
        return json.dumps(dict(os.environ))
    return "ok"


def serve(port: int) -> None:
    """Answer one request after the other."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            stream, _ = listener.accept()
            with stream:
                line = stream.recv(4096).split(b" ")
                reply = act(line[1].decode()) if len(line) > 1 else ""
                stream.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(reply)}\r\n\r\n{reply}".encode())


if __name__ == "__main__":
    if sys.argv[1] == "spin":
        spin(float(sys.argv[2]))
    else:
        serve(int(sys.argv[1]))
