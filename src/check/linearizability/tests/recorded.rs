//! Histories of real systems whose verdicts are known.

use std::fs;
use std::path::Path;

use crate::check::linearizability::{Conclusion, Model, check, minimal_prefix};
use crate::check::models::{kv::Kv, register::Register};
use crate::history::History;

use super::{etcd_log, kv_log};

const BUDGET: u64 = 10_000_000;

#[test]
fn every_recorded_history_gets_its_known_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/histories");
    let verdicts = fs::read_to_string(folder.join("VERDICTS.txt")).unwrap();
    let mut files = 0;
    for line in verdicts.lines() {
        let (file, expected) = line.split_once(' ').unwrap();
        let log = fs::read_to_string(folder.join(file)).unwrap();
        let found = match file.split_once('/').unwrap().0 {
            "etcd" => verdict(file, &Register::new(), &etcd_log::parse(&log)),
            "kv" => verdict(file, &Kv, &kv_log::parse(&log)),
            folder => panic!("no parser for {folder}"),
        };
        assert_eq!(found, expected, "{file}");
        files += 1;
    }
    assert_eq!(files, 56);
}

/// The verdict in the words of `VERDICTS.txt`. What makes a history illegal must hold up on its own.
fn verdict<M: Model>(file: &str, model: &M, history: &History<M::Op, M::Ret>) -> &'static str {
    match check(model, history, BUDGET) {
        Conclusion::Unknown { explored, .. } => panic!("{file}: undecided after {explored} steps"),
        Conclusion::Linearizable { operations, explored, .. } => {
            assert!(
                operations > 30 && explored >= operations as u64,
                "{file}: {operations} operations, {explored} steps"
            );
            assert_eq!(minimal_prefix(model, history, BUDGET), None);
            "linearizable"
        }
        Conclusion::Illegal(found) => {
            assert!(!found.stuck.is_empty(), "{file}: nothing is stuck");
            assert!(found.order.len() + found.stuck.len() <= found.operations.len(), "{file}");
            let end = minimal_prefix(model, history, BUDGET).unwrap();
            assert!(end <= history.len(), "{file}");
            "not-linearizable"
        }
    }
}
