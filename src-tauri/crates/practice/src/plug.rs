//! Connections that can be cut from outside: `axum::serve` leaves open ones running, a pulled plug does not.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The handle of one connection.
#[derive(Debug, Default)]
pub(crate) struct Plug {
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Plug {
    /// Ends the connection with a reset; what the kernel still holds is lost.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    #[cfg(test)]
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        // One task polls both directions, so one waker is enough. Registered before the look, so no cut is missed.
        self.waker.register(cx.waker());
        if self.cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

/// All open connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plugs(Arc<Mutex<Vec<Weak<Plug>>>>);

impl Plugs {
    fn add(&self, plug: &Arc<Plug>) {
        let mut all = self.0.lock();
        all.retain(|plug| plug.strong_count() > 0);
        all.push(Arc::downgrade(plug));
    }

    pub fn cut_all(&self) {
        for plug in self.0.lock().drain(..).filter_map(|plug| plug.upgrade()) {
            plug.cut();
        }
    }
}

/// The request extension that names the connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection(pub Arc<Plug>);

impl Connected<IncomingStream<'_, PluggedListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, PluggedListener>) -> Self {
        Self(stream.io().plug.clone())
    }
}

pub(crate) struct PluggedListener {
    listener: TcpListener,
    plugs: Plugs,
    /// Every stream holds a clone: when the receiver ends, all sockets are closed.
    alive: mpsc::Sender<()>,
}

impl PluggedListener {
    pub fn new(listener: TcpListener, plugs: Plugs, alive: mpsc::Sender<()>) -> Self {
        Self { listener, plugs, alive }
    }
}

impl Listener for PluggedListener {
    type Io = PluggedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (PluggedStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Events are small and must not wait for a full packet; without it they only come later.
                    let _ = stream.set_nodelay(true);
                    let plug = Arc::new(Plug::default());
                    self.plugs.add(&plug);
                    return (PluggedStream { stream, plug, _alive: self.alive.clone() }, address);
                }
                // Out of file handles, or the peer left already: neither is a reason to stop serving.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

pub(crate) struct PluggedStream {
    stream: TcpStream,
    plug: Arc<Plug>,
    _alive: mpsc::Sender<()>,
}

impl Drop for PluggedStream {
    fn drop(&mut self) {
        if self.plug.cut.load(Ordering::SeqCst) {
            // A reset instead of an orderly end; if the system refuses, the orderly end still closes.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for PluggedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.plug.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PluggedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.plug.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.plug.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.plug.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.plug.check(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
