"""martin, a tile server, from ready MBTiles: what serving costs when every tile was made before."""

import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path

from protocol import serve, timed


class Martin:
    def __init__(self, program, archive):
        self.program, self.archive = program, Path(archive)
        self.process = None

    def prepare(self, _request):
        if self.process:
            return {}
        if not self.archive.exists():
            raise RuntimeError("no MBTiles to serve: tippecanoe made none")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [self.program, "--listen-addresses", f"127.0.0.1:{port}", "--cache-size", "0", str(self.archive)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", port)
                self.connection.connect()
                return {}
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("martin does not listen")

    def tile(self, tile):
        z, x, y = tile
        headers = {"Accept-Encoding": "gzip"}
        self.connection.request("GET", f"/{self.archive.stem}/{z}/{x}/{y}", headers=headers)
        response = self.connection.getresponse()
        body = response.read()
        if response.status not in (200, 204, 404):
            raise RuntimeError(f"status {response.status}")
        return body

    def tiles(self, request):
        milliseconds = [timed(self.tile, tile)[0] * 1e3 for tile in request["tiles"]]
        return {"seconds": sum(milliseconds) / 1e3, "milliseconds": milliseconds}

    def drop(self, _request):
        return {}

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


engine = Martin(sys.argv[1], sys.argv[2])
try:
    serve(engine)
finally:
    engine.close()
