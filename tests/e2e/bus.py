"""An emulated AWS (ministack) for a command: bus.py COMMAND …

Starts the emulator on a free port of 127.0.0.1, runs the command with its address in ROLLCALL_TEST_AWS, and ends it.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

HOST = "127.0.0.1"


def free_port():
    with socket.create_server((HOST, 0)) as listening:
        return listening.getsockname()[1]


def main(command):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w") as log:
        environment = {**os.environ, "BIND_HOST": HOST, "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0", "TMPDIR": folder}
        ministack = pathlib.Path(sys.executable).parent / "ministack"
        emulator = subprocess.Popen([ministack], env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                    break
                time.sleep(0.05)
            return subprocess.run(command, env={**os.environ, "ROLLCALL_TEST_AWS": f"http://{HOST}:{port}"}).returncode
        finally:
            emulator.terminate()
            emulator.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
