//! What is written down while the run goes on: trace, marks, digests, and on request the chain.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::run::Options;
use super::surroundings::Surroundings;
use crate::chain::Link;
use crate::record::{TraceEvent, What};

/// Collects what a [`Record`](crate::record::Record) is made of.
pub(super) struct Recorder {
    /// Whether messages and disk operations go into the trace as well as into the digest.
    detail: bool,
    pub trace: Vec<TraceEvent>,
    pub marks: BTreeMap<String, u64>,
    pub exits: Vec<(u64, String, String)>,
    pub refusals: Vec<(u64, String, String)>,
    pub awaited: Option<String>,
    /// Over core inputs, effects and marks, and what was seen of stores; none in a bare run.
    core: Option<Sha256>,
    /// Over everything; none in a bare run.
    bytes: Option<Sha256>,
    chain: Option<Chain>,
}

/// A link for everything that goes into the digest over everything.
struct Chain {
    links: Vec<Link>,
    surroundings: Surroundings,
}

impl Recorder {
    pub fn new(options: Options) -> Recorder {
        let Options { detail, chain, bare, log: _ } = options;
        Recorder {
            detail,
            trace: Vec::new(),
            awaited: None,
            marks: BTreeMap::new(),
            exits: Vec::new(),
            refusals: Vec::new(),
            core: (!bare).then(Sha256::new),
            bytes: (!bare).then(Sha256::new),
            chain: chain.then(|| Chain { links: Vec::new(), surroundings: Surroundings::begin() }),
        }
    }

    pub fn wants_detail(&self) -> bool {
        self.detail || self.chain.is_some()
    }

    /// An input, an effect or a mark of a core, or what was seen of a store.
    pub fn core(&mut self, at_ms: u64, host: &str, what: What, text: String) {
        fold(&mut self.core, at_ms, host, what, &[text.as_bytes()]);
        self.event(at_ms, host, what, text);
    }

    /// Something that belongs into every trace.
    pub fn event(&mut self, at_ms: u64, host: &str, what: What, text: String) {
        fold(&mut self.bytes, at_ms, host, what, &[text.as_bytes()]);
        self.link(at_ms, host, || format!("{what:?} {text}"));
        self.trace.push(TraceEvent { at_ms, host: host.to_owned(), what, text, message: None });
    }

    /// Something that there is so much of that only a replay wants to read it. `content` stands for it in the digest.
    pub fn detail(&mut self, at_ms: u64, host: &str, what: What, content: &[&[u8]], text: impl FnOnce() -> String) {
        self.in_detail(at_ms, host, what, None, content, text);
    }

    /// The same for what happens to a message, at one end of its way.
    pub fn message(&mut self, at_ms: u64, host: &str, number: u64, content: &[&[u8]], text: impl FnOnce() -> String) {
        self.in_detail(at_ms, host, What::Network, Some(number), content, text);
    }

    fn in_detail(
        &mut self,
        at_ms: u64,
        host: &str,
        what: What,
        message: Option<u64>,
        content: &[&[u8]],
        text: impl FnOnce() -> String,
    ) {
        fold(&mut self.bytes, at_ms, host, what, content);
        if !self.wants_detail() {
            return;
        }
        let text = text();
        self.link(at_ms, host, || format!("{what:?} {text}"));
        if self.detail {
            self.trace.push(TraceEvent { at_ms, host: host.to_owned(), what, text, message });
        }
    }

    /// A line for readers alone, in no digest.
    pub fn line(&mut self, at_ms: u64, host: &str, what: What, text: String) {
        self.trace.push(TraceEvent { at_ms, host: host.to_owned(), what, text, message: None });
    }

    /// Bytes for the digest over everything, and for no trace. `text` says in the chain what they are.
    pub fn fold(&mut self, at_ms: u64, host: &str, content: &[u8], text: impl FnOnce() -> String) {
        if let Some(bytes) = &mut self.bytes {
            bytes.update((content.len() as u64).to_le_bytes());
            bytes.update(content);
        }
        self.link(at_ms, host, text);
    }

    fn link(&mut self, at_ms: u64, host: &str, text: impl FnOnce() -> String) {
        let Some(Chain { links, surroundings }) = &mut self.chain else { return };
        let so_far: [u8; 32] = self.bytes.clone().unwrap_or_default().finalize().into();
        let digest = u64::from_be_bytes(*so_far.first_chunk().expect("32 bytes begin with 8"));
        links.push(Link { at_ms, host: host.to_owned(), text: text(), digest, around: surroundings.look() });
    }

    /// The chain so far; empty where none was asked for.
    pub fn take_chain(&mut self) -> Vec<Link> {
        self.chain.as_mut().map(|chain| std::mem::take(&mut chain.links)).unwrap_or_default()
    }

    /// The digest over what cores did and what was seen of stores, and that over everything; empty in a bare run.
    pub fn digests(&self) -> (String, String) {
        let hex = |hash: &Option<Sha256>| hash.clone().map(hex).unwrap_or_default();
        (hex(&self.core), hex(&self.bytes))
    }
}

/// Lengths go in as well, so that a boundary cannot move unnoticed.
fn fold(hash: &mut Option<Sha256>, at_ms: u64, host: &str, what: What, content: &[&[u8]]) {
    let Some(hash) = hash else { return };
    hash.update(at_ms.to_le_bytes());
    hash.update([what as u8, content.len() as u8]);
    for part in [&[host.as_bytes()], content].into_iter().flatten() {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cores_do_is_in_the_first_digest_and_a_boundary_cannot_move() {
        let digests = |record: &dyn Fn(&mut Recorder)| {
            let mut recorder = Recorder::new(Options::default());
            record(&mut recorder);
            recorder.digests()
        };
        let (core, bytes) = digests(&|_| {});
        let (same_core, other_bytes) = digests(&|r| r.detail(1, "a", What::Network, &[b"x"], String::new));
        assert_eq!(core, same_core);
        assert_ne!(bytes, other_bytes);
        let joined = digests(&|r| r.core(1, "ab", What::Input, "c".into()));
        let split = digests(&|r| r.core(1, "a", What::Input, "bc".into()));
        assert_ne!(joined.0, split.0);
        assert_ne!(joined.0, digests(&|r| r.core(2, "ab", What::Input, "c".into())).0);
    }

    #[test]
    fn detail_is_in_the_trace_on_request_only_and_in_the_digest_always() {
        let (mut brief, mut full) =
            (Recorder::new(Options::default()), Recorder::new(Options { detail: true, ..Options::default() }));
        for recorder in [&mut brief, &mut full] {
            recorder.detail(1, "a", What::Disk, &[b"write"], || "write".to_owned());
        }
        assert_eq!((brief.trace.len(), full.trace.len()), (0, 1));
        assert_eq!(brief.digests(), full.digests());
    }

    #[test]
    fn the_chain_has_a_link_for_each_part_of_the_digest_and_parts_where_the_digest_does() {
        let record = |secret: &[u8]| {
            let mut recorder = Recorder::new(Options { chain: true, ..Options::default() });
            recorder.core(1, "a", What::Input, "core input".into());
            recorder.detail(2, "b", What::Network, &[secret], || "sent".to_owned());
            recorder.fold(3, "c", b"same", || "the end".to_owned());
            assert_eq!(recorder.trace.len(), 1, "the chain puts nothing into the trace");
            (recorder.digests(), recorder.take_chain())
        };
        let ((core, bytes), chain) = record(b"x");
        let ((core_too, other_bytes), other) = record(b"y");
        assert!(core == core_too && bytes != other_bytes);
        let texts: Vec<_> = chain.iter().map(|link| (link.at_ms, &*link.host, &*link.text)).collect();
        assert_eq!(texts, [(1, "a", "Input core input"), (2, "b", "Network sent"), (3, "c", "the end")]);
        let same: Vec<_> = chain.iter().zip(&other).map(|(link, other)| link.digest == other.digest).collect();
        assert_eq!(same, [true, false, false]);
    }
}
