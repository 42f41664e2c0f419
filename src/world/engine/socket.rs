//! Sockets that fall silent when their host dies.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether one incarnation of a host still lives. A restarted host has a new one.
#[derive(Clone, Debug, Default)]
pub(in crate::world) struct Lifeline(Arc<AtomicBool>);

impl Lifeline {
    pub fn cut(&self) {
        self.0.store(true, Relaxed);
    }

    pub fn is_cut(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Returns at once while the host lives, and never once it is dead.
    pub async fn hold(&self) {
        // Nobody wakes a task of a dead host: it is dropped at the end of the step.
        poll_fn(|_| if self.is_cut() { Poll::Pending } else { Poll::Ready(()) }).await;
    }
}

/// A simulated TCP connection.
#[derive(Debug)]
pub struct TcpStream {
    inner: turmoil::net::TcpStream,
    lifeline: Lifeline,
}

impl TcpStream {
    /// The address of this end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.lifeline.is_cut() { Poll::Pending } else { Pin::new(&mut self.inner).poll_read(cx, buf) }
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.lifeline.is_cut() { Poll::Pending } else { Pin::new(&mut self.inner).poll_write(cx, buf) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lifeline.is_cut() { Poll::Pending } else { Pin::new(&mut self.inner).poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lifeline.is_cut() { Poll::Pending } else { Pin::new(&mut self.inner).poll_shutdown(cx) }
    }
}

/// A simulated socket that accepts connections.
pub struct TcpListener {
    inner: turmoil::net::TcpListener,
    lifeline: Lifeline,
}

impl TcpListener {
    pub(in crate::world) async fn bind(port: u16, lifeline: &Lifeline) -> io::Result<TcpListener> {
        let inner = turmoil::net::TcpListener::bind(("0.0.0.0", port)).await?;
        Ok(TcpListener { inner, lifeline: lifeline.clone() })
    }

    /// Waits for the next connection; also says where it comes from.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.lifeline.hold().await;
        let (inner, peer) = self.inner.accept().await?;
        self.lifeline.hold().await;
        Ok((TcpStream { inner, lifeline: self.lifeline.clone() }, peer))
    }

    /// The address that was bound, with the port that was chosen if none was asked for.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl std::fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpListener").field("local_addr", &self.inner.local_addr().ok()).finish()
    }
}

/// Sends a SYN when first polled, and ends when the other side has accepted or refused: at once, because turmoil's
/// SYN-ACK does not travel. The caller has to account for the way back.
pub(in crate::world) async fn dial(address: IpAddr, port: u16, lifeline: &Lifeline) -> io::Result<TcpStream> {
    let inner = turmoil::net::TcpStream::connect((address, port)).await?;
    Ok(TcpStream { inner, lifeline: lifeline.clone() })
}
