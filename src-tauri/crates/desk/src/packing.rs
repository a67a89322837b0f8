//! A layer's picture, packed on a thread of its own while the layer is written: the writing thread has enough to do.

use model::Feature;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Features that change threads together.
const BATCH: usize = 256;
/// Batches under way before the writer waits.
const UNDER_WAY: usize = 16;

pub(crate) struct PackedBeside {
    batch: Vec<Feature>,
    features: Option<SyncSender<Vec<Feature>>>,
    parts: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<Vec<Vec<u8>>>>,
}

impl PackedBeside {
    pub(crate) fn start() -> Self {
        let (features, batches) = sync_channel::<Vec<Feature>>(UNDER_WAY);
        let (done, parts) = channel();
        let thread = std::thread::Builder::new().name("packing".into()).spawn(move || pack(&batches, &done)).ok();
        Self { batch: Vec::with_capacity(BATCH), features: Some(features), parts, thread }
    }

    fn send(&mut self) {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        // No thread there: nothing is packed, and the layer is read row by row.
        if let Some(features) = &self.features {
            let _ = features.send(batch);
        }
    }
}

fn pack(batches: &Receiver<Vec<Feature>>, parts: &Sender<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut packer = spatial::Packer::new();
    while let Ok(batch) = batches.recv() {
        for feature in batch {
            if let Some(part) = packer.push(&feature) {
                let _ = parts.send(part);
            }
        }
    }
    packer.finish()
}

impl store::Packing for PackedBeside {
    fn push(&mut self, feature: Feature) -> Option<Vec<u8>> {
        self.batch.push(feature);
        if self.batch.len() == BATCH {
            self.send();
        }
        self.parts.try_recv().ok()
    }

    fn finish(&mut self) -> Vec<Vec<u8>> {
        self.send();
        self.features = None;
        let last = self.thread.take().and_then(|thread| thread.join().ok());
        let mut all: Vec<Vec<u8>> = self.parts.try_iter().collect();
        // A packer that went down leaves nothing whole.
        last.map_or_else(Vec::new, |last| {
            all.extend(last);
            all
        })
    }
}
