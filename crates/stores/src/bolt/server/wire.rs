//! A session's messages on a byte stream.

use std::io;
use std::pin::pin;

use bolt_proto::Message;
use bolt_proto::error::DeserializationError;
use bolt_proto::version::V4_4;
use env::Stream;
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use tokio::io::{BufReader, BufWriter};
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::BoltBackend;
use super::session::{Answer, Session};

const MAGIC: [u8; 4] = [0x60, 0x60, 0xB0, 0x17];

/// Serves until the client says goodbye, goes away or breaks the protocol.
pub(super) async fn serve<B: BoltBackend>(stream: impl Stream, mut session: Session<'_, B>) -> io::Result<()> {
    let mut stream = BufReader::new(BufWriter::new(stream)).compat();
    let mut hello = [0; 20];
    stream.read_exact(&mut hello).await?;
    if hello[..4] != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a Bolt handshake"));
    }
    let offered = hello[4..].chunks_exact(4).any(|offer| speaks_4_4([offer[0], offer[1], offer[2], offer[3]]));
    let agreed = if offered { V4_4 } else { 0 };
    stream.write_all(&agreed.to_be_bytes()).await?;
    stream.flush().await?;
    if !offered {
        return Ok(());
    }
    loop {
        let message = {
            let mut reading = pin!(Message::from_stream(&mut stream));
            loop {
                let Some(deadline) = session.deadline() else { break reading.await };
                tokio::select! {
                    biased;
                    message = &mut reading => break message,
                    () = tokio::time::sleep_until(deadline) => session.time_out(),
                }
            }
        };
        let message = match message {
            Ok(message) => message,
            Err(DeserializationError::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(DeserializationError::IoError(error)) => return Err(error),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        let Answer { messages, close } = session.handle(message);
        for message in messages {
            let chunks = message.into_chunks().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            for chunk in chunks {
                stream.write_all(&chunk).await?;
            }
        }
        // Requests that came in one packet are answered in one.
        if close || stream.get_ref().buffer().is_empty() {
            stream.flush().await?;
        }
        if close {
            return stream.close().await;
        }
    }
}

/// Whether an offer, `[0, range, minor, major]`, includes version 4.4.
fn speaks_4_4([_, range, minor, major]: [u8; 4]) -> bool {
    major == 4 && minor >= 4 && minor.saturating_sub(range) <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_a_version_or_a_range() {
        assert!(speaks_4_4([0, 0, 4, 4]));
        assert!(speaks_4_4([0, 4, 4, 4]));
        assert!(speaks_4_4([0, 2, 6, 4]));
        assert!(!speaks_4_4([0, 1, 6, 4]));
        assert!(!speaks_4_4([0, 0, 3, 4]));
        assert!(!speaks_4_4([0, 0, 4, 5]));
        assert!(!speaks_4_4([0, 0, 0, 0]));
    }
}
