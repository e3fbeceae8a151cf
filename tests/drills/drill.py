"""What the drills share: real aicos processes on a private cluster, a client, and a scripted provider of models."""

import atexit
import contextlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "a heron waits in the reeds"


def say(text=""):
    print(text, flush=True)


def binary(named, profile):
    """The program to try: the named one, or else the one of the profile, built if need be."""
    if named:
        return Path(named).resolve()
    command = ["cargo", "build", "--locked", "--quiet", "--bin", "aicos"] + (
        ["--release"] if profile == "release" else []
    )
    if subprocess.run(command, cwd=ROOT).returncode != 0:
        raise SystemExit("aicos could not be built.")
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / profile / "aicos"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def resident(pid):
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def share(values, part):
    """The value below which this part of the values lies (nearest rank)."""
    values = sorted(values)
    return values[min(len(values) - 1, max(0, -(-int(part * 1000) * len(values) // 1000) - 1))]


def spread(values, unit="ms"):
    """The three figures that say how long something takes."""
    return "  ".join(f"p{part * 100:.0f} {share(values, part):,.0f} {unit}" for part in (0.5, 0.95, 0.99))


def figure(name, value, note=""):
    """A line of the table that a drill ends with."""
    say(f"{name:<24}{value:>8}   {note}".rstrip())


# Quick drills run an unoptimised program, and beside other work: they find what hangs, and are no race.
QUICK_SLACK = 3


def judge(faults, name, value, most, unit="s", slack=1):
    """A figure that has a limit; a fault when it is above."""
    most *= slack
    figure(f"{name}, {unit}", f"{value:,.2f}", f"at most {most:g}")
    if value > most:
        faults.append(f"{name}: {value:,.2f} {unit} instead of {most:g} at the most")


def tally(names):
    """How many there are of each."""
    return ", ".join(f"{count} {name}" for name, count in sorted(Counter(names).items()))


def verdict(faults):
    """Says what is wrong; the exit code."""
    for fault in faults:
        say(f"VIOLATED  {fault}")
    say("The drill FAILED." if faults else "The drill passed.")
    return 1 if faults else 0


class House:
    """A data folder with a private cluster, and the processes that use it. Ends them all and removes itself at exit."""

    def __init__(self, aicos, keep=False):
        self.aicos = aicos
        self.scratch = Path(tempfile.mkdtemp(prefix="aicos-drill-"))
        # PostgreSQL does not run as root: the account that it runs as has to get through.
        self.scratch.chmod(0o755)
        self.data = self.scratch / "data"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.children = []
        self.keep = keep
        atexit.register(self.close)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def start(self, name, *words, **settings):
        """Starts a process; nothing of this shell configures it. `settings` are environment variables."""
        environment = {key: os.environ[key] for key in ("PATH", "HOME", "AICOS_POSTGRES_BIN") if key in os.environ}
        command = [self.aicos, "--data-dir", self.data, *words]
        if "serve" in words:
            # A worker that were told the same would take the address while the server is down.
            command += ["--listen", f"127.0.0.1:{self.port}"]
        with open(self.scratch / f"{name}.log", "ab") as log:
            child = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.scratch,
                env={**environment, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # So that Ctrl-C reaches this program alone, which ends them in order.
                start_new_session=True,
            )
        self.children.append(child)
        return child

    def serve(self, **settings):
        """Starts a server, and waits until it is ready."""
        child = self.start("server", "serve", **settings)
        until = time.monotonic() + 120
        while not self.is_ready():
            if child.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"aicos did not start:\n{self.log('server')}")
            time.sleep(0.02)
        return child

    def get(self, address, patience=5):
        """The status of an address; none when nobody answers in time."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
            connection.request("GET", address)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None

    def is_ready(self):
        return self.get("/readyz") == 200

    def log(self, name):
        return (self.scratch / f"{name}.log").read_text()[-3000:]

    def command(self, *words):
        """Runs a command to its end; its exit code and what it printed."""
        command = [str(self.aicos), "--data-dir", str(self.data), *words]
        done = subprocess.run(command, cwd=self.scratch, capture_output=True, text=True)
        return done.returncode, done.stdout

    def sql(self, text):
        """Runs SQL as the superuser of the private cluster, with the psql beside its programs."""
        lines = (self.data / "pg" / "postmaster.pid").read_text().splitlines()
        environment = {
            **os.environ,
            "PGHOST": lines[4].strip(),
            "PGPORT": lines[3].strip(),
            "PGUSER": "postgres",
            "PGDATABASE": "aicos",
            "PGPASSWORD": (self.data / "superuser.password").read_text().strip(),
        }
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"SQL failed: {done.stderr}")
        return done.stdout.strip()

    def postmaster(self):
        """The first process of the private cluster."""
        return int((self.data / "pg" / "postmaster.pid").read_text().split()[0])

    def restart_database(self):
        """Kills the private cluster and starts it anew, as after a crash; it is ready when this returns."""
        folder = self.data / "pg"
        program = Path(f"/proc/{self.postmaster()}/exe").resolve().with_name("pg_ctl")
        owner = folder.stat()
        account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        log = self.data / "postgresql.log"
        command = [program, "restart", "--mode=immediate", "--wait", "--silent", "--pgdata", folder, "--log", log]
        restarted = subprocess.run(
            [str(word) for word in command], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **account
        )
        if restarted.returncode != 0:
            raise SystemExit("PostgreSQL did not start again.")

    @contextlib.contextmanager
    def frozen_database(self):
        """Stops every process of the private cluster for a while; its connections stay open."""
        first = self.postmaster()
        # It first, so that no child is born meanwhile.
        os.kill(first, signal.SIGSTOP)
        stopped = [first]
        try:
            for entry in Path("/proc").iterdir():
                with contextlib.suppress(OSError, IndexError, ValueError):
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == first:
                        os.kill(int(entry.name), signal.SIGSTOP)
                        stopped.append(int(entry.name))
            yield
        finally:
            for process in stopped:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGCONT)

    def close(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if not self.children or self.keep:
            return
        # Whoever was killed could not stop the cluster; a command that comes and goes is its last user.
        if (self.data / "pg" / "postmaster.pid").exists():
            self.command("migrate")
        self.children.clear()
        shutil.rmtree(self.scratch, ignore_errors=True)


class Refused(Exception):
    """The server answered with an error."""


class Client:
    """A person who has signed up, with an organization of their own. Not to be shared by threads."""

    def __init__(self, port, token=None, organization=None, headers=None):
        self.port, self.token, self.organization, self.headers = port, token, organization, headers or {}
        self.connection, self.used = None, 0
        # Of the last answer: its status, and when it said to come again.
        self.status, self.retry_after = None, None

    @classmethod
    def sign_up(cls, port, name="Heron Works", email=None, headers=None):
        client = cls(port, headers=headers)
        person = {
            "email": email or f"ada.{time.time_ns()}@example.com",
            "password": PASSWORD,
            "name": "Ada",
            "organizationName": name,
        }
        made = client.do("signup", person, "accessToken organization { id }")
        client.token, client.organization = made["accessToken"], made["organization"]["id"]
        return client

    def again(self):
        """The same person on another connection."""
        return Client(self.port, self.token, self.organization, self.headers)

    def ask(self, query, **variables):
        """The data of a request; OSError when the server is gone meanwhile, or sends a change away: whether it was
        made is not known. Waits where the server says so."""
        while True:
            answer = self.send(query, variables)
            errors = answer.get("errors")
            if not errors:
                return answer["data"]
            code = errors[0]["extensions"]["code"]
            if self.status == 503 and query.startswith("mutation"):
                raise OSError(f"sent away: {code}")
            if code != "RATE_LIMITED" and self.status != 503:
                raise Refused(json.dumps(errors))
            time.sleep(int(self.retry_after or errors[0]["extensions"]["retryAfter"]))

    def send(self, query, variables):
        headers = {"content-type": "application/json", **self.headers}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        # One that rests for long the server closes.
        if time.monotonic() - self.used > 3:
            self.connection = None
        self.used = time.monotonic()
        try:
            self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.connection.request("POST", "/graphql", json.dumps({"query": query, "variables": variables}), headers)
            response = self.connection.getresponse()
            self.status, self.retry_after = response.status, response.getheader("retry-after")
            return json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.connection = None
            raise OSError(str(error)) from error

    def do(self, field, given, selection):
        """The payload of a mutation, which must succeed."""
        kind = field[0].upper() + field[1:] + "Input"
        query = (
            f"mutation ($input: {kind}!) {{ {field}(input: $input) {{ {selection} userErrors {{ code message }} }} }}"
        )
        payload = self.ask(query, input=given)[field]
        if payload["userErrors"]:
            raise Refused(json.dumps(payload["userErrors"]))
        return payload

    def insist(self, field, given, selection, patience=90):
        """The same, however often the server goes away: with an idempotency key that is one call."""
        until = time.monotonic() + patience
        while True:
            try:
                return self.do(field, given, selection)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def all(self, connection, selection, arguments="", first=100):
        """Every node of a connection of the organization, page by page."""
        nodes, after = [], None
        query = f"""query ($id: ID!, $after: String) {{ organization(id: $id) {{
            page: {connection}(first: {first}, after: $after {arguments})
                {{ nodes {{ {selection} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"""
        while True:
            page = self.ask(query, id=self.organization, after=after)["organization"]["page"]
            nodes += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return nodes

    def learn(self, title, text, key=None):
        given = {"organizationId": self.organization, "title": title, "text": text, "idempotencyKey": key}
        return self.insist("documentCreate", given, "document { id } job { id }")

    def wait(self, job, patience=120):
        """A job, once it has ended."""
        until = time.monotonic() + patience
        while True:
            found = self.ask("query ($id: ID!) { job(id: $id) { status error { message } } }", id=job)["job"]
            if found["status"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return found
            if time.monotonic() > until:
                raise SystemExit(f"In vain waited for a job: {found}")
            time.sleep(0.05)

    def idle(self, patience=300):
        """Waits until no job of the organization waits or runs."""
        until = time.monotonic() + patience
        count = lambda status: f"{status.lower()}: jobs(filter: {{status: {status}}}) {{ totalCount }}"
        query = f"query ($id: ID!) {{ organization(id: $id) {{ {count('QUEUED')} {count('RUNNING')} }} }}"
        while any(found["totalCount"] for found in self.ask(query, id=self.organization)["organization"].values()):
            if time.monotonic() > until:
                raise SystemExit("In vain waited for the jobs to end.")
            time.sleep(0.2)


class Provider:
    """A provider of models that speaks OpenAI's chat format, one piece of a scripted answer after another.

    Its address ends in the name of whoever calls, so that it knows which process is at work.
    """

    PROMPT_TOKENS, COMPLETION_TOKENS = 11, 7

    def __init__(self, pieces, pause, begin=lambda caller, question: None, end=lambda caller, question, whole: None):
        """`pieces` of an answer come `pause()` seconds apart; `begin` and `end` are told of every call."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                caller = self.path.split("/")[1]
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                question = body["messages"][-1]["content"].rsplit("Question: ", 1)[1]
                begin(caller, question)
                whole = False
                try:
                    self.send_response(200)
                    self.send_header("content-type", "text/event-stream")
                    self.end_headers()
                    for piece in pieces:
                        time.sleep(pause())
                        self.event(body, [{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
                    time.sleep(pause())
                    self.event(body, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
                    counted = {"prompt_tokens": outer.PROMPT_TOKENS, "completion_tokens": outer.COMPLETION_TOKENS}
                    self.event(body, [], usage=counted)
                    self.wfile.write(b"data: [DONE]\n\n")
                    whole = True
                except OSError:
                    # Whoever asked is gone.
                    pass
                end(caller, question, whole)

            def event(self, body, choices, **more):
                chunk = {"object": "chat.completion.chunk", "model": body["model"], "choices": choices, **more}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.port = server.server_address[1]

    def url(self, caller):
        return f"http://127.0.0.1:{self.port}/{caller}/v1"
