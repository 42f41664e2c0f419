//! Reads Jepsen's logs of one compare-and-set register.

use std::collections::BTreeMap;

use crate::check::models::register::{Op, Ret};
use crate::history::{ClientId, History, Millis, OpId};

/// The history in `log`. The logs have no times: each event gets its line.
pub fn parse(log: &str) -> History<Op<u64>, Ret<u64>> {
    let mut history = History::new();
    let mut open: BTreeMap<u64, (OpId, &str)> = BTreeMap::new();
    for (line, text) in log.lines().enumerate() {
        let Some(event) = text.strip_prefix("INFO  jepsen.util - ") else { continue };
        // Columns are separated by a tab in most logs, by blanks in some; only the last may hold a blank.
        let fields: Vec<&str> = event.split_whitespace().collect();
        let [process, kind, f, value @ ..] = &fields[..] else { panic!("line {line}: {text}") };
        let (kind, f, value) = (*kind, *f, value.join(" "));
        let at = Millis(line as u64);
        let process = process.parse().unwrap();
        if kind == ":invoke" {
            let id = history.invoke(at, ClientId(process), op(f, &value));
            assert!(open.insert(process, (id, f)).is_none(), "line {line}: process {process} is busy");
            continue;
        }
        let (id, invoked) = open.remove(&process).unwrap();
        assert_eq!(f, invoked, "line {line}: process {process} completes what it did not invoke");
        let done = match (kind, f) {
            (":ok", ":read") => history.ok(at, id, Ret::Read(number(&value))),
            (":ok", ":write") => history.ok(at, id, Ret::Written),
            (":ok", ":cas") => history.ok(at, id, Ret::Cas(true)),
            // It did compare: another value is an answer too.
            (":fail", ":cas") => history.ok(at, id, Ret::Cas(false)),
            (":fail", _) => history.fail(at, id, value),
            (":info", _) => history.info(at, id, value),
            _ => panic!("line {line}: {text}"),
        };
        done.unwrap();
    }
    history
}

fn op(f: &str, value: &str) -> Op<u64> {
    match f {
        ":read" => Op::Read,
        ":write" => Op::Write(number(value).unwrap()),
        ":cas" => {
            let (from, to) = value.trim_matches(['[', ']']).split_once(' ').unwrap();
            Op::Cas { from: from.parse().unwrap(), to: to.parse().unwrap() }
        }
        _ => panic!("unknown operation {f}"),
    }
}

fn number(value: &str) -> Option<u64> {
    (value != "nil").then(|| value.parse().unwrap())
}
