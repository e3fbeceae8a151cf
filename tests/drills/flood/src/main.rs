//! An open-loop load: requests leave when they are due, whether the ones before were answered or not.
//!
//!     flood ADDRESS FILE RATE SECONDS CONNECTIONS
//!
//! FILE holds whole HTTP/1.1 requests, each after a line with its length; they are sent round and round. RATE is how many
//! are due in a second; with 0 each connection sends its next one as soon as it is answered, which finds out how many a
//! server can answer. What it saw is printed as JSON, in all and second by second.
//!
//! A request whose time comes while every connection waits for an answer is sent late, and its wait counts from when it
//! was due. One that is a second late is given up: by then, whoever wanted it has gone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{sleep, sleep_until, timeout};

/// How late a request may leave.
const LATE: Duration = Duration::from_secs(1);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(35);

type Anyhow<T> = Result<T, Box<dyn Error>>;

/// What happened to the requests that were due in one second.
#[derive(Default, Clone)]
struct Second {
    statuses: BTreeMap<u16, u64>,
    /// Microseconds until the answer, of those that were answered 200.
    waits: Vec<u32>,
    broken: u64,
    given_up: u64,
    /// Sent away without being told when to come again.
    silent: u64,
}

struct Load {
    address: String,
    requests: Vec<Vec<u8>>,
    rate: u64,
    begin: Instant,
    end: Instant,
    next: Cell<u64>,
    seconds: RefCell<Vec<Second>>,
}

impl Load {
    /// The next request and when it is due; none when the time is over.
    fn next(&self) -> Option<(&[u8], Instant)> {
        let number = self.next.get();
        self.next.set(number + 1);
        let now = Instant::now();
        let due = match self.rate {
            0 => now,
            rate => self.begin + Duration::from_nanos(number * 1_000_000_000 / rate),
        };
        let place = usize::try_from(number).ok()? % self.requests.len();
        (due < self.end && now < self.end + LATE).then(|| (&self.requests[place][..], due))
    }

    fn note(&self, due: Instant, what: impl FnOnce(&mut Second)) {
        let place = due.saturating_duration_since(self.begin).as_secs() as usize;
        let mut seconds = self.seconds.borrow_mut();
        if seconds.len() <= place {
            seconds.resize(place + 1, Second::default());
        }
        what(&mut seconds[place]);
    }

    async fn run(self: Rc<Self>) {
        let mut line: Option<Line> = None;
        while let Some((request, due)) = self.next() {
            sleep_until(due.into()).await;
            if due.elapsed() > LATE {
                self.note(due, |second| second.given_up += 1);
                continue;
            }
            match timeout(PATIENCE, self.ask(&mut line, request)).await {
                Ok(Ok(answer)) => self.note(due, |second| {
                    *second.statuses.entry(answer.status).or_default() += 1;
                    if answer.status == 200 {
                        second.waits.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    second.silent += u64::from(matches!(answer.status, 429 | 503) && !answer.says_when);
                }),
                _ => {
                    line = None;
                    self.note(due, |second| second.broken += 1);
                    // Whoever is not let in does not storm the door.
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    async fn ask(&self, line: &mut Option<Line>, request: &[u8]) -> Anyhow<Answer> {
        if line.is_none() {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            *line = Some(Line { stream, buffer: Vec::with_capacity(16 * 1024) });
        }
        let open = line.as_mut().ok_or("no line")?;
        open.stream.write_all(request).await?;
        let answer = open.answer().await?;
        if answer.closes {
            *line = None;
        }
        Ok(answer)
    }
}

/// A connection.
struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
}

struct Answer {
    status: u16,
    says_when: bool,
    closes: bool,
}

impl Line {
    async fn answer(&mut self) -> Anyhow<Answer> {
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed".into());
            }
            let Some(head) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..head])?.to_ascii_lowercase();
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let answer = Answer {
                status: text.get(9..12).ok_or("no status")?.parse()?,
                says_when: field("retry-after:").is_some(),
                closes: field("connection:") == Some("close"),
            };
            let size: usize = field("content-length:").ok_or("no length")?.parse()?;
            while self.buffer.len() < head + 4 + size {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err("the answer broke off".into());
                }
            }
            return Ok(answer);
        }
    }
}

fn read(file: &str) -> Anyhow<Vec<Vec<u8>>> {
    let (bytes, mut requests) = (std::fs::read(file)?, Vec::new());
    let mut rest = &bytes[..];
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let size: usize = std::str::from_utf8(&rest[..end])?.trim().parse()?;
        requests.push(rest.get(end + 1..end + 1 + size).ok_or("a request is cut short")?.to_vec());
        rest = &rest[end + 1 + size..];
    }
    if requests.is_empty() { Err("there are no requests".into()) } else { Ok(requests) }
}

/// The value below which this part of the sorted values lies, in milliseconds.
fn share(values: &[u32], part: f64) -> f64 {
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.max(1) - 1).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
}

fn json(second: &mut Second) -> String {
    second.waits.sort_unstable();
    let statuses: Vec<_> =
        second.statuses.iter().map(|(status, count)| format!("\"{status}\":{count}")).collect();
    format!(
        "{{\"statuses\":{{{}}},\"broken\":{},\"given_up\":{},\"silent\":{},\"p50\":{:.2},\"p99\":{:.2},\"most\":{:.2}}}",
        statuses.join(","),
        second.broken,
        second.given_up,
        second.silent,
        share(&second.waits, 0.5),
        share(&second.waits, 0.99),
        share(&second.waits, 1.0),
    )
}

fn main() -> Anyhow<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, file, rate, seconds, connections] = &words[..] else {
        return Err("usage: flood ADDRESS FILE RATE SECONDS CONNECTIONS".into());
    };
    let begin = Instant::now() + Duration::from_millis(50);
    let load = Rc::new(Load {
        address: address.clone(),
        requests: read(file)?,
        rate: rate.parse()?,
        begin,
        end: begin + Duration::from_secs(seconds.parse()?),
        next: Cell::new(0),
        seconds: RefCell::default(),
    });
    let connections: usize = connections.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let running: Vec<_> =
            (0..connections).map(|_| tokio::task::spawn_local(Rc::clone(&load).run())).collect();
        for one in running {
            one.await?;
        }
        Ok::<_, tokio::task::JoinError>(())
    })?;
    let mut seconds = load.seconds.take();
    let mut all = Second::default();
    for second in &seconds {
        for (status, count) in &second.statuses {
            *all.statuses.entry(*status).or_default() += count;
        }
        all.waits.extend(&second.waits);
        all.broken += second.broken;
        all.given_up += second.given_up;
        all.silent += second.silent;
    }
    let mut text = format!("{{\"all\":{},\"seconds\":[", json(&mut all));
    for (place, second) in seconds.iter_mut().enumerate() {
        write!(text, "{}{}", if place > 0 { "," } else { "" }, json(second))?;
    }
    println!("{text}]}}");
    Ok(())
}
