"""What the benchmark measures beside requests: how many jobs get through the queue, and how fast pictures and films are made."""

import json
import shutil
import statistics
import subprocess
import threading
import time
import urllib.request

TEXT = "Rest is no luxury. Whoever sleeps well decides well, and whoever decides well sleeps better."
FILM_SECONDS = 8
WORKERS = 4
CALLERS = 16


class Caller:
    """Somebody who leads an organization of the benchmark's, with one of its projects."""

    def __init__(self, aicos, session, user):
        self.aicos = aicos
        self.url = f"http://127.0.0.1:{aicos.port}"
        self.token = aicos.token(session, user)
        seen = self.ask("{ organization { projects(first: 1) { nodes { id } } } }", {})
        self.project = seen["organization"]["projects"]["nodes"][0]["id"]

    def ask(self, query, variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        head = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/graphql", body, head), timeout=60) as answer:
            value = json.load(answer)
        if value.get("errors"):
            raise SystemExit(f"aicos answers wrongly: {value}")
        return value["data"]

    def mutate(self, field, of, more, select):
        query = f"mutation($input: {of}!) {{ {field}(input: $input) {{ {select} userErrors {{ code message }} }} }}"
        made = self.ask(query, {"input": {"projectId": self.project, "language": "EN", **more}})[field]
        if made["userErrors"]:
            raise SystemExit(f"{field} is refused: {made}")
        return made

    def ended(self, job):
        while True:
            seen = self.ask("query($id: ID!) { job(id: $id) { status error { message } startedAt finishedAt } }", {"id": job})["job"]
            if seen["status"] in ("FAILED", "CANCELLED"):
                raise SystemExit(f"a job came to nothing: {seen}")
            if seen["status"] == "SUCCEEDED":
                return seen
            time.sleep(0.05)


def jobs_through(aicos, database, leading, count):
    """Jobs a second from the first that is asked for to the last that has ended, of an agent that computes little."""
    callers = [Caller(aicos, *leading[index]) for index in range(CALLERS)]
    number = count // CALLERS

    def ask(caller):
        for _ in range(number):
            caller.mutate("hashtagResearch", "HashtagResearchInput", {"text": TEXT, "count": 5}, "job { id }")

    begun = database.query("select clock_timestamp()")
    threads = [threading.Thread(target=ask, args=[caller]) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while int(database.query(f"select count(*) from jobs where created_at >= '{begun}' and finished_at is null")) > 0:
        time.sleep(0.2)
    done, seconds = database.query(
        "select count(*) filter (where status = 'SUCCEEDED'), extract(epoch from max(finished_at) - min(created_at))"
        f" from jobs where created_at >= '{begun}'"
    ).split("\t")
    if int(done) != number * CALLERS:
        raise SystemExit(f"{done} of {number * CALLERS} jobs succeeded")
    return int(done) / float(seconds)


def floor_through(floor, env, count):
    done = subprocess.run([floor, "queue", str(count), str(CALLERS), str(WORKERS)], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the floor's queue failed: {done.stderr[-2000:]}")
    return float(done.stdout)


def slides(caller, count):
    """Milliseconds for a slide of 1080×1350, as PNG and as JPEG, stored, from the call to the answer."""
    took = []
    for number in range(count):
        begun = time.monotonic()
        caller.mutate("visualPostCreate", "VisualPostCreateInput", {"text": TEXT, "slides": 1, "seed": number, "wait": True}, "job { status }")
        took.append(time.monotonic() - begun)
    return statistics.median(took) * 1000


def film(caller):
    """Seconds for a film of 1080×1920 with panning pictures, and the film."""
    begun = time.monotonic()
    scenes = ["Rest is no luxury.", "Whoever sleeps well decides well."]
    asked = {"scenes": scenes, "durationSeconds": FILM_SECONDS, "kind": "KEN_BURNS", "seed": 1}
    job = caller.mutate("videoGenerate", "VideoGenerateInput", asked, "job { id }")["job"]["id"]
    caller.ended(job)
    took = time.monotonic() - begun
    seen = caller.ask("query($id: ID!) { job(id: $id) { result { ... on Video { video { url } durationSeconds } } } }", {"id": job})
    video = seen["job"]["result"]["video"]
    address = video["url"].replace(caller.aicos.address, caller.url)
    with urllib.request.urlopen(address, timeout=60) as answer:
        return took, answer.read()


def encode_again(scratch, content):
    """Seconds that ffmpeg's x264 takes for the same film on as many cores, decoding it included."""
    path = scratch / "film.mp4"
    path.write_bytes(content)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-c:v", "libx264", "-preset", "veryfast", "-f", "null", "-"]
    begun = time.monotonic()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - begun


def measure(aicos, database, leading, floor, env, scratch, rounds, count, say):
    """The rows of the table, each a name, a figure and what it is compared with."""
    pairs = []
    for number in range(rounds):
        halves = [lambda: jobs_through(aicos, database, leading, count), lambda: floor_through(floor, env, 10 * count)]
        order = (0, 1) if number % 2 == 0 else (1, 0)
        found = {half: halves[half]() for half in order}
        pairs.append((found[0], found[1]))
    rate, ratio = (statistics.median(values) for values in ([a for a, _ in pairs], [a / b for a, b in pairs]))
    rows = [("jobs through the queue", f"{rate:,.0f} a second", f"{ratio:.3f} of a queue by hand with nothing in it")]
    caller = Caller(aicos, *leading[CALLERS])
    slides(caller, 1)
    rows.append(("a slide, 1080×1350, PNG and JPEG", f"{slides(caller, 8):,.0f} ms", "–"))
    films = [film(caller) for _ in range(rounds)]
    took = statistics.median(seconds for seconds, _ in films)
    beside = "– (ffmpeg is missing)"
    if shutil.which("ffmpeg"):
        ratios = [encode_again(scratch, content) / seconds for seconds, content in films]
        beside = f"{statistics.median(ratios):.2f} of the speed of ffmpeg's x264 (veryfast), which only encodes it again"
    rows.append((f"a film of {FILM_SECONDS} s, 1080×1920, 30 frames/s", f"{took:.1f} s ({FILM_SECONDS / took:.2f} × real time)", beside))
    for row in rows:
        say("  ".join(row))
    return rows
