//! The proxy in front of protocols that are not HTTP: bytes go through as they come, and become what a bad line makes of them.

use super::Random;
use super::proxy::{Fault, Plan};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a fault still has to do.
struct Spoiling {
    fault: Fault,
    /// Byte of the answer.
    at: usize,
    random: Random,
    names: &'static str,
    /// Bytes that are still to be left out.
    hole: usize,
    done: bool,
}

/// What to do with a piece of the answer.
enum Piece {
    Bytes(Vec<u8>),
    /// These, and then the end.
    Last(Vec<u8>),
    Reset(Vec<u8>),
    /// These, and the rest a byte a second.
    Slow(Vec<u8>, Vec<u8>),
    /// These, and then nothing, for ever.
    Stall(Vec<u8>),
}

pub async fn pass(near: TcpStream, port: u16, plan: Arc<Mutex<Plan>>) {
    let (fault, length) = {
        let mut plan = plan.lock().unwrap();
        (plan.next(), plan.length)
    };
    let mut spoiling = fault.map(|(fault, seed, names)| {
        let mut random = Random(seed);
        Spoiling { fault, at: random.below(length.max(1)), random, names, hole: 0, done: false }
    });
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut from_near, mut near) = near.into_split();
    let (mut from_far, mut far) = far.into_split();
    let asking = async move {
        let _ = tokio::io::copy(&mut from_near, &mut far).await;
        let _ = far.shutdown().await;
        // Its end is not the end of what is answered.
        std::future::pending::<()>().await;
    };
    let answering = async {
        match spoiling.as_ref().map(|spoiling| spoiling.fault) {
            Some(Fault::EarlyEnd) => return,
            Some(Fault::Portal) => {
                let page = "HTTP/1.1 200 OK\r\n\r\n<!doctype html><html><body>Dang nhap Wi-Fi</body></html>";
                let _ = near.write_all(page.as_bytes()).await;
                let _ = near.shutdown().await;
                return;
            }
            _ => {}
        }
        let mut room = vec![0; 16 << 10];
        let mut seen = 0;
        while let Ok(read @ 1..) = from_far.read(&mut room).await {
            let piece = match &mut spoiling {
                None => {
                    plan.lock().unwrap().came += read;
                    Piece::Bytes(room[..read].to_vec())
                }
                Some(spoiling) => spoiling.piece(&room[..read], seen),
            };
            seen += read;
            let (Piece::Bytes(bytes)
            | Piece::Last(bytes)
            | Piece::Reset(bytes)
            | Piece::Slow(bytes, _)
            | Piece::Stall(bytes)) = &piece;
            let sent = near.write_all(bytes).await;
            if sent.is_err() {
                return;
            }
            match piece {
                Piece::Bytes(_) => {}
                Piece::Last(_) => break,
                Piece::Reset(_) => {
                    let _ = near.as_ref().set_zero_linger();
                    return;
                }
                Piece::Slow(_, rest) => {
                    for byte in rest {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        if near.write_all(&[byte]).await.is_err() {
                            return;
                        }
                    }
                }
                Piece::Stall(_) => tokio::time::sleep(Duration::from_secs(60)).await,
            }
        }
        let _ = near.shutdown().await;
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}

impl Spoiling {
    fn piece(&mut self, bytes: &[u8], seen: usize) -> Piece {
        if self.hole > 0 {
            let left_out = self.hole.min(bytes.len());
            self.hole -= left_out;
            return Piece::Bytes(bytes[left_out..].to_vec());
        }
        let mut bytes = bytes.to_vec();
        // Slow lines stay so; so do those that bring nothing but zeros.
        let lasting = self.done && matches!(self.fault, Fault::Slow | Fault::HalfGzip);
        let name = match self.fault {
            Fault::Letter => bytes.windows(self.names.len()).position(|here| here == self.names.as_bytes()),
            _ => None,
        };
        if let (Some(place), false) = (name, self.done) {
            self.done = true;
            bytes[place + 1] ^= 1;
            return Piece::Bytes(bytes);
        }
        if !lasting && (self.done || self.at >= seen + bytes.len()) {
            return Piece::Bytes(bytes);
        }
        self.done = true;
        let here = if lasting { 0 } else { self.at.saturating_sub(seen) };
        let rest = bytes.split_off(here);
        match self.fault {
            Fault::Cut | Fault::EarlyEnd | Fault::Portal => Piece::Last(bytes),
            Fault::Reset => Piece::Reset(bytes),
            Fault::Slow => Piece::Slow(bytes, rest),
            Fault::LengthUnder => Piece::Stall(bytes),
            Fault::Bit | Fault::Letter => {
                bytes.extend(rest);
                bytes[here] ^= if self.fault == Fault::Bit { 0x80 } else { 1 };
                Piece::Bytes(bytes)
            }
            Fault::LengthOver => {
                self.hole = 1 + self.random.below(500);
                let left_out = self.hole.min(rest.len());
                self.hole -= left_out;
                bytes.extend(&rest[left_out..]);
                Piece::Bytes(bytes)
            }
            Fault::Garbage => {
                bytes.extend((0..26).map(|_| u8::try_from(self.random.below(256)).unwrap_or_default()));
                bytes.extend(rest);
                Piece::Bytes(bytes)
            }
            Fault::HalfGzip => {
                bytes.resize(bytes.len() + rest.len(), 0);
                Piece::Bytes(bytes)
            }
            Fault::Twice => {
                let again = rest[..1 + self.random.below(rest.len().min(2_000))].to_vec();
                bytes.extend(again);
                bytes.extend(rest);
                Piece::Bytes(bytes)
            }
        }
    }
}
