"""An engine in a process of its own, spoken to line by line (the words are in `src/main.rs`)."""

import json
import subprocess


class Missing(Exception):
    """A peer that cannot take part; the text says why."""


class Engine:
    def __init__(self, command, log):
        self.log = log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
            )

    def ask(self, verb, **request):
        try:
            self.process.stdin.write(json.dumps({"do": verb, **request}) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            with open(self.log) as errors:
                raise Missing(f"ended: {errors.read().strip()[-200:]}")
        answer = json.loads(answer)
        if "error" in answer:
            raise Missing(answer["error"])
        return answer

    def close(self):
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Engines:
    """Starts engines when they are first needed and ends them together."""

    def __init__(self, commands, logs):
        self.commands, self.logs = commands, logs
        self.running = {}

    def __getitem__(self, name):
        if name not in self.running:
            if name not in self.commands:
                raise Missing("not installed")
            command = self.commands[name]
            if isinstance(command, Missing):
                raise command
            self.running[name] = Engine(command, self.logs / f"{name}.log")
        return self.running[name]

    def close(self, *names):
        for name in names or list(self.running):
            if engine := self.running.pop(name, None):
                engine.close()
