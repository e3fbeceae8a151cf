"""People who write all the while and insist, each in an organization of their own, and what must be true in the end."""

import bisect
import threading
import time
from collections import Counter

from drill import Client, Refused, tally

# What a server may answer: done, come again later, come again when there is room.
ALLOWED = (200, 429, 503)
# Whoever was sent away comes again after this long, whatever was said: the drills measure when it works again.
INSISTENCE = 0.05
CREATE = """mutation ($input: ProjectCreateInput!) {
    projectCreate(input: $input) { project { id } userErrors { code message } } }"""
LOOK = "query ($id: ID!) { viewer { name } organization(id: $id) { id name projects(first: 5) { nodes { name } } } }"


class Writer(threading.Thread):
    """Makes projects, each with an idempotency key and until it is acknowledged, and looks at them in between."""

    def __init__(self, crowd, number):
        super().__init__(daemon=True)
        self.crowd, self.number = crowd, number
        self.client = Client.sign_up(crowd.house.port, f"House {number}")
        # The names of the projects that were acknowledged, and the jobs; when each was asked for first.
        self.made, self.jobs = [], []
        # Of every attempt: when it began and ended, and its status or what became of its connection.
        self.seen = []

    def fault(self, text):
        self.crowd.faults.append(f"writer {self.number}: {text}")

    def attempt(self, query, variables):
        """One attempt; its data, or none when it is worth trying again."""
        begun = time.monotonic()
        try:
            answer, status = self.client.send(query, variables), self.client.status
        except OSError:
            answer, status = {}, "gone"
        self.seen.append((begun, time.monotonic(), status))
        errors = [error["extensions"]["code"] for error in answer.get("errors", [])]
        if status == 503 and self.client.retry_after is None:
            self.fault("a 503 did not say when to come again")
        if status not in (*ALLOWED, "gone"):
            self.fault(f"was answered {status}: {errors}")
        if status == 200 and not errors:
            return answer["data"]
        if any(code not in ("UNAVAILABLE", "TIMEOUT", "RATE_LIMITED") for code in errors):
            self.fault(f"was answered {status} with {errors}")
        return None

    def insist(self, query, variables):
        while not self.crowd.given_up.is_set():
            data = self.attempt(query, variables)
            if data is not None:
                return data
            time.sleep(INSISTENCE)
        return None

    def run(self):
        try:
            place = 0
            while not self.crowd.stopped.is_set():
                place += 1
                self.write(f"{self.number}:{place}")
                self.look()
                if place % 20 == 0:
                    self.add_document(f"{self.number}:{place}")
                time.sleep(self.crowd.pause)
        except Exception as error:
            self.fault(f"stopped: {error!r}")

    def write(self, name):
        given = {"organizationId": self.client.organization, "name": name, "idempotencyKey": name}
        data = self.insist(CREATE, {"input": given})
        if data is None:
            return
        if data["projectCreate"]["userErrors"]:
            self.fault(f"was refused: {data['projectCreate']['userErrors']}")
        self.made.append(name)

    def add_document(self, name):
        given = {"organizationId": self.client.organization, "title": name, "text": f"House {name} has a garden."}
        query = "mutation ($input: DocumentCreateInput!) { documentCreate(input: $input) { job { id } } }"
        data = self.insist(query, {"input": {**given, "idempotencyKey": f"document {name}"}})
        if data is not None:
            self.jobs.append(data["documentCreate"]["job"]["id"])

    def look(self):
        data = self.attempt(LOOK, {"id": self.client.organization})
        if data is not None:
            found = data["organization"]
            names = [project["name"] for project in found["projects"]["nodes"]]
            own = found["id"] == self.client.organization and found["name"] == f"House {self.number}"
            if not own or any(":" in name and not name.startswith(f"{self.number}:") for name in names):
                self.crowd.foreign.append((self.number, found))

    def first_success(self, moment):
        """When something that began after a moment first succeeded; none when nothing did."""
        begun = bisect.bisect_left(self.seen, (moment,))
        return next((end for _, end, status in self.seen[begun:] if status == 200), None)


class Crowd:
    """Everybody who writes."""

    def __init__(self, house, count, pause=0.01):
        self.house, self.pause = house, pause
        self.faults, self.foreign = [], []
        self.stopped, self.given_up = threading.Event(), threading.Event()
        self.writers = [Writer(self, number) for number in range(count)]

    def start(self):
        for writer in self.writers:
            writer.start()

    def recovered(self, moment, patience=60):
        """Waits until everybody has succeeded again with something begun after a moment; how long the first took, and
        the last."""
        until = time.monotonic() + patience
        while True:
            ends = [writer.first_success(moment) for writer in self.writers]
            if None not in ends:
                return min(ends) - moment, max(ends) - moment
            if time.monotonic() > until:
                raise SystemExit(f"{ends.count(None)} writers did not recover within {patience} seconds.")
            time.sleep(0.02)

    def stop(self):
        """Lets everybody finish what they are at."""
        self.stopped.set()
        for writer in self.writers:
            writer.join(60)
        self.given_up.set()

    def attempts(self):
        return [seen for writer in self.writers for seen in writer.seen]

    def statuses(self):
        return tally(str(status) for _, _, status in self.attempts())

    def check(self):
        """What the server says of everything in the end: the figures, and the faults."""
        lost, duplicated, stuck, made = 0, 0, 0, 0
        for writer in self.writers:
            # The connection of before may be gone.
            client = writer.client.again()
            projects = client.all("projects", "id name")
            names = Counter(project["name"] for project in projects if ":" in project["name"])
            made += len(writer.made)
            lost += sum(names[name] == 0 for name in writer.made)
            duplicated += sum(count - 1 for count in names.values())
            entries = client.all("auditLog", "targetId", ', filter: {outcome: DONE, actions: ["project.create"]}')
            targets = Counter(entry["targetId"] for entry in entries)
            if any(targets[project["id"]] != 1 for project in projects if ":" in project["name"]):
                self.faults.append(f"writer {writer.number}: the audit log does not have each project once")
            try:
                client.idle(60)
            except SystemExit:
                stuck += 1
            jobs = {job["id"]: job["status"] for job in client.all("jobs", "id status")}
            stuck += sum(jobs.get(job) != "SUCCEEDED" for job in writer.jobs)
            if set(jobs) - set(writer.jobs):
                self.faults.append(f"writer {writer.number}: {len(jobs) - len(writer.jobs)} jobs too many")
        code, said = self.house.command("audit", "verify")
        if code != 0:
            self.faults.append(f"the audit log's chain is broken: {said}")
        figures = {
            "acknowledged writes": made,
            "lost": lost,
            "duplicated": duplicated,
            "jobs": sum(len(writer.jobs) for writer in self.writers),
            "jobs stuck": stuck,
            "wrong-tenant answers": len(self.foreign),
        }
        for name in ("lost", "duplicated", "jobs stuck", "wrong-tenant answers"):
            if figures[name]:
                self.faults.append(f"{figures[name]} {name}")
        return figures, list(self.faults)
