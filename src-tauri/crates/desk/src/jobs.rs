//! Long work: told to all windows with its progress, stopped when a person asks.

use crate::Desk;
use crate::api::{Event, Failure, Job, JobState};
use crate::args::CancelJobArgs;
use crate::words;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// Progress is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// A running job's handle. Dropped without [`JobHandle::finish`], it counts as failed.
pub(crate) struct JobHandle {
    desk: Arc<Desk>,
    id: u32,
    cancel: Arc<AtomicBool>,
    told: Mutex<Option<Instant>>,
    finished: bool,
}

impl Desk {
    /// Starts a job; `kind` is a word the locale has a title for under `job.<kind>`.
    pub(crate) fn begin_job(self: &Arc<Self>, kind: &str) -> JobHandle {
        self.begin_job_for(kind, None)
    }

    /// As [`Desk::begin_job`], for one source.
    pub(crate) fn begin_job_for(self: &Arc<Self>, kind: &str, source: Option<&str>) -> JobHandle {
        let job = Job {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            kind: kind.to_owned(),
            title: words::title(&format!("job.{kind}")),
            source: source.map(str::to_owned),
            done: 0,
            total: 0,
            state: JobState::Running,
        };
        let cancel = Arc::new(AtomicBool::new(false));
        let id = job.id;
        self.jobs.lock().push((job.clone(), cancel.clone()));
        self.tell(&Event::Job { job });
        JobHandle { desk: self.clone(), id, cancel, told: Mutex::new(None), finished: false }
    }

    pub(crate) fn running_jobs(&self) -> Vec<Job> {
        self.jobs.lock().iter().map(|(job, _)| job.clone()).collect()
    }

    pub(crate) async fn cancel_job(&self, args: CancelJobArgs) -> Result<(), Failure> {
        match self.jobs.lock().iter().find(|(job, _)| job.id == args.id) {
            Some((_, cancel)) => {
                cancel.store(true, Ordering::Relaxed);
                Ok(())
            }
            None => Err(self.failure("no_job", [("id", args.id.to_string().as_str())])),
        }
    }
}

impl JobHandle {
    /// Tells how far it is; false when a person asked to stop.
    pub(crate) fn progress(&self, done: u64, total: u64) -> bool {
        let mut jobs = self.desk.jobs.lock();
        if let Some((job, _)) = jobs.iter_mut().find(|(job, _)| job.id == self.id) {
            job.done = done;
            job.total = total;
            let mut told = self.told.lock();
            if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                *told = Some(Instant::now());
                let job = job.clone();
                drop(jobs);
                self.desk.tell(&Event::Job { job });
            }
        }
        !self.cancel.load(Ordering::Relaxed)
    }

    /// Waits until a person asks to stop.
    pub(crate) async fn cancelled(&self) {
        while !self.cancel.load(Ordering::Relaxed) {
            tokio::time::sleep(TELL_EVERY).await;
        }
    }

    pub(crate) fn finish(mut self, state: JobState) {
        self.end(state);
    }

    fn end(&mut self, state: JobState) {
        self.finished = true;
        let mut jobs = self.desk.jobs.lock();
        if let Some(place) = jobs.iter().position(|(job, _)| job.id == self.id) {
            let (mut job, _) = jobs.remove(place);
            drop(jobs);
            job.state = state;
            if state == JobState::Done {
                job.done = job.total;
            }
            self.desk.tell(&Event::Job { job });
        }
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        if !self.finished {
            self.end(JobState::Failed);
        }
    }
}
