//! Reading on several threads: one finds where features end, some parse them and take them through the gate, and the
//! caller's gets them in the order of the file.
//!
//! A scanner's batch goes two ways: to whichever worker is free, and as a place in the queue to the caller, who waits for
//! the batches one after the other. A budget of bytes on the way holds the scanner back when the caller is slow.

use super::feature::{self, Parsed};
use super::quick::Room;
use crate::file::{Continue, FileCrs, Gate, Judged, ReadError, ReadOptions, Row, Rows, Shapes, Stopped, unharmed};
use model::Rejection;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope, available_parallelism};
use std::time::Duration;

/// A batch is sent on when it holds so many bytes, or so many rows.
const BATCH_BYTES: usize = 256 << 10;
const BATCH_ROWS: usize = 4_096;
/// What a row costs beside its bytes.
const ROW_BYTES: usize = 64;
/// One scanner keeps no more than these busy.
const MAX_WORKERS: usize = 6;
/// Well below the tenth of a second in which a read must stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// A stretch of the file, cut into rows.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    cuts: Vec<Cut>,
}

enum Cut {
    Row {
        number: u64,
        slice: Range<usize>,
        /// A geometry without a feature around it.
        bare: bool,
    },
    Bad(Rejection),
    Crs(FileCrs),
}

/// A batch after the workers.
struct Answer {
    rows: Vec<Answered>,
    shapes: Shapes,
}

enum Answered {
    Row(u64, Judged),
    Bad(Rejection),
    Crs(FileCrs),
}

struct Job {
    batch: Batch,
    answer: SyncSender<Answer>,
}

/// What the caller waits for next.
enum Turn {
    Batch {
        answer: Receiver<Answer>,
        cost: usize,
        /// Bytes of the file up to the batch's end.
        done: u64,
    },
    End(Result<(), ReadError>),
}

/// What the threads have in common.
struct Shared {
    stop: AtomicBool,
    /// Bytes of the file read so far.
    read: AtomicU64,
    /// Bytes between scanner and caller.
    under_way: Mutex<usize>,
    room: Condvar,
    limit: usize,
    /// Room of batches that were worked off, for the next.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn under_way(&self) -> MutexGuard<'_, usize> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room; a batch that is larger than all room goes alone. False when the read is to stop.
    fn take(&self, cost: usize) -> bool {
        let full = |used: &mut usize| *used > 0 && *used + cost > self.limit && !self.stopped();
        let mut used = self.room.wait_while(self.under_way(), full).unwrap_or_else(PoisonError::into_inner);
        *used += cost;
        !self.stopped()
    }

    /// Room for a batch: what is smaller than that fits without growing, but for its last row.
    fn bytes(&self) -> Vec<u8> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 8))
    }

    fn spare(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= BATCH_BYTES * 2 {
            bytes.clear();
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
    }

    fn give_back(&self, cost: usize) {
        *self.under_way() -= cost;
        self.room.notify_one();
    }
}

/// Ends the other threads when the caller leaves, on whatever way.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        // Under the lock, so that the scanner cannot miss it between its look and its wait.
        let used = self.0.under_way();
        self.0.stop.store(true, Ordering::Relaxed);
        drop(used);
        self.0.room.notify_all();
    }
}

/// A file that counts what is read of it and stops when told to.
pub(super) struct Watched<'a> {
    file: File,
    shared: &'a Shared,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shared.stopped() {
            return Err(io::Error::other(Stopped));
        }
        let read = self.file.read(buffer)?;
        self.shared.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Where the scanner puts what it finds.
pub(super) struct Feeder<'a> {
    path: &'a Path,
    shared: &'a Shared,
    jobs: Sender<Job>,
    turns: Sender<Turn>,
    batch: Batch,
}

impl Feeder<'_> {
    /// A row from its slice of the file, which ends at `done`.
    pub(super) fn row(&mut self, number: u64, slice: &[u8], bare: bool, done: u64) -> Result<(), ReadError> {
        if slice.len() >= BATCH_BYTES {
            // A huge one waits for its room before there is a second copy of it.
            self.send(done)?;
            self.take(slice.len() + ROW_BYTES)?;
            let cuts = vec![Cut::Row { number, slice: 0..slice.len(), bare }];
            return self.dispatch(Batch { bytes: slice.to_vec(), cuts }, slice.len() + ROW_BYTES, done);
        }
        if self.batch.bytes.capacity() == 0 {
            self.batch.bytes = self.shared.bytes();
        }
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(slice);
        let slice = start..self.batch.bytes.len();
        self.add(Cut::Row { number, slice, bare }, done)
    }

    pub(super) fn bad(&mut self, rejection: Rejection, done: u64) -> Result<(), ReadError> {
        self.add(Cut::Bad(rejection), done)
    }

    pub(super) fn crs(&mut self, crs: FileCrs) {
        self.batch.cuts.push(Cut::Crs(crs));
    }

    fn add(&mut self, cut: Cut, done: u64) -> Result<(), ReadError> {
        self.batch.cuts.push(cut);
        if self.batch.bytes.len() >= BATCH_BYTES || self.batch.cuts.len() >= BATCH_ROWS {
            self.send(done)?;
        }
        Ok(())
    }

    fn send(&mut self, done: u64) -> Result<(), ReadError> {
        if self.batch.cuts.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let cost = batch.bytes.len() + batch.cuts.len() * ROW_BYTES;
        self.take(cost)?;
        self.dispatch(batch, cost, done)
    }

    fn take(&self, cost: usize) -> Result<(), ReadError> {
        if self.shared.take(cost) { Ok(()) } else { Err(self.stopped()) }
    }

    fn dispatch(&self, batch: Batch, cost: usize, done: u64) -> Result<(), ReadError> {
        let (answer, waiting) = sync_channel(1);
        self.jobs.send(Job { batch, answer }).map_err(|_| self.stopped())?;
        self.turns.send(Turn::Batch { answer: waiting, cost, done }).map_err(|_| self.stopped())
    }

    fn stopped(&self) -> ReadError {
        ReadError::Cancelled { path: self.path.to_path_buf() }
    }
}

/// Runs `scan` on a thread of its own, and gives `rows` what it finds. `scan` gets the file and where to put its rows.
///
/// # Errors
/// What `scan` or `rows` say, whichever comes first in the file; `cancelled`; `io` where no threads can be had.
pub(super) fn run(
    path: &Path,
    options: &ReadOptions<'_>,
    gate: &Gate<'_>,
    rows: &mut dyn Rows,
    progress: &mut dyn FnMut(u64, u64) -> Continue,
    scan: &(dyn Fn(Watched<'_>, &mut Feeder<'_>) -> Result<(), ReadError> + Sync),
) -> Result<(), ReadError> {
    let wrong = |error| ReadError::from_io(path, &error);
    let file = File::open(path).map_err(wrong)?;
    let total = file.metadata().map_err(wrong)?.len();
    let batches = usize::try_from(total / BATCH_BYTES as u64 + 1).unwrap_or(usize::MAX);
    let workers = available_parallelism().map_or(1, usize::from).min(MAX_WORKERS).min(batches);
    let shared = Shared {
        stop: AtomicBool::new(false),
        read: AtomicU64::new(0),
        under_way: Mutex::new(0),
        room: Condvar::new(),
        limit: (workers * 3 + 2) * BATCH_BYTES,
        spare: Mutex::default(),
    };
    let (jobs, queue) = channel();
    let queue = Mutex::new(queue);
    let (turns, waiting) = channel();
    std::thread::scope(|scope| {
        let _leaving = Leaving(&shared);
        start_workers(scope, workers, &queue, options, gate, &shared).map_err(wrong)?;
        let shared = &shared;
        let scanner = move || {
            let last = turns.clone();
            let mut feeder = Feeder { path, shared, jobs, turns, batch: Batch::default() };
            let end = unharmed(0, || {
                let end = scan(Watched { file, shared }, &mut feeder);
                // What was found before the error counts.
                feeder.send(shared.read.load(Ordering::Relaxed)).and(end)
            });
            let broken = |panic: Rejection| Err(ReadError::Io { path: path.to_path_buf(), reason: panic.reason });
            // Nobody waits any more when this cannot be sent.
            let _ = last.send(Turn::End(end.unwrap_or_else(broken)));
        };
        Builder::new().name("geojson-scan".into()).spawn_scoped(scope, scanner).map_err(wrong)?;
        // What is read may be ahead of what is handed over; progress goes forward only.
        let mut reached = 0;
        let mut go_on = |done: u64| {
            reached = done.max(reached);
            match progress(reached, total.max(reached)) {
                Continue::Yes => Ok(()),
                Continue::No => Err(ReadError::Cancelled { path: path.to_path_buf() }),
            }
        };
        let mut last_good = 0;
        loop {
            let read = || shared.read.load(Ordering::Relaxed);
            match wait(path, &waiting, &mut || go_on(read()))? {
                Turn::Batch { answer, cost, done } => {
                    let answer = wait(path, &answer, &mut || go_on(read()))?;
                    go_on(done)?;
                    hand_over(answer, rows, &mut last_good)?;
                    shared.give_back(cost);
                }
                Turn::End(Err(ReadError::Truncated { path, .. })) => {
                    return Err(ReadError::Truncated { path, last_good_row: last_good });
                }
                Turn::End(end) => {
                    go_on(read())?;
                    return end;
                }
            }
        }
    })
}

/// The next of `channel`; asks from time to time whether to go on.
fn wait<T>(
    path: &Path,
    channel: &Receiver<T>,
    go_on: &mut dyn FnMut() -> Result<(), ReadError>,
) -> Result<T, ReadError> {
    loop {
        match channel.recv_timeout(PATIENCE) {
            Ok(next) => return Ok(next),
            Err(RecvTimeoutError::Timeout) => go_on()?,
            Err(RecvTimeoutError::Disconnected) => {
                let reason = "a thread that reads it has ended early".to_owned();
                return Err(ReadError::Io { path: path.to_path_buf(), reason });
            }
        }
    }
}

fn hand_over(answer: Answer, rows: &mut dyn Rows, last_good: &mut u64) -> Result<(), ReadError> {
    let Answer { rows: answered, mut shapes } = answer;
    for row in answered {
        match row {
            Answered::Row(number, judged) => {
                *last_good = number;
                match judged {
                    Judged::Held(row) => rows.row(row)?,
                    Judged::Passed(passed) => rows.passed(passed, &mut shapes)?,
                }
            }
            Answered::Bad(rejection) => rows.bad(rejection)?,
            Answered::Crs(crs) => rows.crs(crs),
        }
    }
    Ok(())
}

/// Starts at least one and at most `count` threads that work off `queue` until it is closed.
fn start_workers<'scope>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    queue: &'scope Mutex<Receiver<Job>>,
    options: &'scope ReadOptions<'_>,
    gate: &'scope Gate<'_>,
    shared: &'scope Shared,
) -> io::Result<()> {
    for started in 0..count {
        let work = move || {
            let mut room = Room::naming(&options.map);
            loop {
                // Not in the loop's condition: the lock must go before the work begins.
                let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(Job { batch, answer }) = job else { return };
                // Nobody waits for it when the read has stopped.
                let _ = answer.send(work_off(batch, gate, shared, &mut room));
            }
        };
        match Builder::new().name(format!("geojson-{started}")).spawn_scoped(scope, work) {
            Err(error) if started == 0 => return Err(error),
            Err(_) => break,
            Ok(_) => {}
        }
    }
    Ok(())
}

fn work_off(batch: Batch, gate: &Gate<'_>, shared: &Shared, room: &mut Room) -> Answer {
    let mut shapes = Shapes::default();
    let mut rows = Vec::with_capacity(batch.cuts.len());
    for cut in batch.cuts {
        if shared.stopped() {
            break;
        }
        rows.push(match cut {
            Cut::Row { number, slice, bare } => {
                let bytes = &batch.bytes[slice];
                let read = unharmed(number, || read_row(number, bytes, bare, gate, &mut shapes, room));
                match read.and_then(|read| read) {
                    Ok(judged) => Answered::Row(number, judged),
                    Err(rejection) => Answered::Bad(rejection),
                }
            }
            Cut::Bad(rejection) => Answered::Bad(rejection),
            Cut::Crs(crs) => Answered::Crs(crs),
        });
    }
    shared.spare(batch.bytes);
    Answer { rows, shapes }
}

fn read_row(
    number: u64,
    bytes: &[u8],
    bare: bool,
    gate: &Gate<'_>,
    shapes: &mut Shapes,
    room: &mut Room,
) -> Result<Judged, Rejection> {
    let parsed =
        if bare { feature::parse_geometry(bytes, number) } else { feature::parse_quickly(bytes, number, room) };
    let Parsed { id, geometry, mut properties } = parsed?;
    room.renaming.apply(&mut properties);
    Ok(gate.pass(Row { number, id, key: None, geometry, properties, bytes: bytes.len() }, shapes))
}
