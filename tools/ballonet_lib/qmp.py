"""QEMU's control channel (QMP): one JSON object a line over a unix socket; replies carry our id, events do not."""
import collections
import json
import os
import socket
import time


class QmpError(Exception):
    """QEMU refused a command, or went away."""


class Qmp:
    def __init__(self, path, deadline, alive=lambda: True):
        """Connects to the socket at @path as soon as QEMU has made it; gives up at @deadline (time.monotonic)."""
        self.events = collections.deque()
        self._next_id = 0
        self._buffer = b""
        self._socket = self._connect(path, deadline, alive)
        self._socket.settimeout(max(0.1, deadline - time.monotonic()))
        self._receive()  # the greeting
        self.command("qmp_capabilities")

    @staticmethod
    def _connect(path, deadline, alive):
        while True:
            # A unix socket's path is limited to 107 bytes: go through the directory's descriptor, whatever its length.
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                directory = os.open(os.path.dirname(path), os.O_PATH)
                try:
                    connection.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
                finally:
                    os.close(directory)
                return connection
            except OSError as error:
                connection.close()
                if not alive():
                    raise QmpError("QEMU is gone") from None
                if time.monotonic() > deadline:
                    raise QmpError(f"no QMP at {path}: {error}") from None
                time.sleep(0.005)

    def _receive(self):
        while b"\n" not in self._buffer:
            try:
                piece = self._socket.recv(65536)
            except TimeoutError:
                raise QmpError("QEMU does not answer on QMP") from None
            except OSError as error:
                raise QmpError(f"QMP broke: {error}") from None
            if not piece:
                raise QmpError("QEMU closed QMP")
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, command, timeout=30.0, **arguments):
        """What QEMU returns; raises QmpError with QEMU's own words if it refuses. Names may have _ for -."""
        self._next_id += 1
        request = {"execute": command, "id": self._next_id}
        if arguments:
            request["arguments"] = {key.replace("_", "-"): value for key, value in arguments.items()}
        self._socket.settimeout(timeout)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"QMP broke: {error}") from None
        while True:
            message = self._receive()
            if "event" in message:
                self.events.append(message)
            elif message.get("id") == self._next_id:
                if "error" in message:
                    raise QmpError(f"{command}: {message['error'].get('desc', message['error'])}")
                return message["return"]

    def close(self):
        self._socket.close()
