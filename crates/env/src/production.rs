//! The real world: tokio's sockets and threads, the system's clock and entropy.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use graph::Millis;
use tokio::net::{TcpListener, TcpStream};

use crate::claim::{self, Claim, ClaimError};
use crate::environment::{BoxFuture, Connection, Environment, Listener, Observation, Point};

/// The environment of a process that really runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Production;

impl Environment for Production {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Connection)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            let local_address = listener.local_addr()?.to_string();
            Ok(Box::new(Tcp { listener, local_address }) as Box<dyn Listener>)
        })
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the rule sends everybody")]
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the rule sends everybody")]
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let task = tokio::task::spawn_blocking(work);
        Box::pin(async move {
            match task.await {
                Ok(()) => {}
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime is shutting down: the work was never done, so nobody may go on as if it had been.
                Err(_) => std::future::pending().await,
            }
        })
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the rule sends everybody")]
    fn utc_now(&self) -> Millis {
        // A clock set before 1970 reads as 1970: wrong by less than failing would be.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn entropy(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has no entropy source");
    }

    fn vfs(&self) -> Option<&str> {
        None
    }

    fn claim(&self, folder: &Path) -> Result<Claim, ClaimError> {
        claim::claim(folder)
    }

    fn persist(&self, path: &Path) -> io::Result<()> {
        let file = match File::options().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let mut buffer = vec![0; 1 << 20];
        let mut offset = 0;
        loop {
            let len = match file.read_at(&mut buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if len == 0 {
                break;
            }
            file.write_all_at(&buffer[..len], offset)?;
            offset += len as u64;
        }
        file.sync_all()?;
        let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    fn point(&self, _: Point) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn observe(&self, core: &'static str, observation: Observation<'_>) {
        match observation {
            Observation::Input(input) => tracing::trace!(core, ?input),
            Observation::Effect(effect) => tracing::trace!(core, ?effect),
            Observation::Mark(mark) => tracing::debug!(core, ?mark),
        }
    }
}

struct Tcp {
    listener: TcpListener,
    local_address: String,
}

impl Listener for Tcp {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Connection, String)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Connection, peer.to_string()))
        })
    }

    fn local_address(&self) -> String {
        self.local_address.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persisting_leaves_the_content_and_needs_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        Production.persist(&path).unwrap();
        assert!(!path.exists());
        // More than one buffer, and not a multiple of it.
        let content: Vec<u8> = (0..(3 << 20) + 17_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        Production.persist(&path).unwrap();
        assert!(std::fs::read(&path).unwrap() == content);
    }

    #[test]
    fn what_cannot_be_persisted_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        Production.persist(folder.path()).unwrap_err();
    }
}
