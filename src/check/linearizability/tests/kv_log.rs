//! Reads logs of a string map: one EDN map a line.

use std::collections::BTreeMap;

use crate::check::models::kv::{Op, Ret};
use crate::history::{ClientId, History, Millis};

/// The history in `log`. The logs have no times: each event gets its line.
pub fn parse(log: &str) -> History<Op, Ret> {
    let mut history = History::new();
    let mut open = BTreeMap::new();
    for (line, text) in log.lines().enumerate() {
        let at = Millis(line as u64);
        let fields = fields(text);
        let process: u64 = fields[":process"].parse().unwrap();
        let f = fields[":f"].as_str();
        let (key, value) = (fields[":key"].clone(), fields[":value"].clone());
        match (fields[":type"].as_str(), f) {
            (":invoke", _) => {
                let op = match f {
                    ":get" => Op::Get { key },
                    ":put" => Op::Put { key, value },
                    ":append" => Op::Append { key, value },
                    _ => panic!("line {line}: {text}"),
                };
                let id = history.invoke(at, ClientId(process), op);
                assert!(open.insert(process, id).is_none(), "line {line}: process {process} is busy");
            }
            (":ok", f) => {
                let ret = if f == ":get" { Ret::Value(value) } else { Ret::Done };
                history.ok(at, open.remove(&process).unwrap(), ret).unwrap();
            }
            _ => panic!("line {line}: {text}"),
        }
    }
    history
}

/// The entries of `{:a 1, :b "two words"}`, strings without their quotes. No string in these logs escapes anything.
fn fields(text: &str) -> BTreeMap<&str, String> {
    let mut rest = text.trim_start_matches('{').trim_end_matches('}');
    let mut fields = BTreeMap::new();
    while let Some((name, after)) = rest.split_once(' ') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        fields.insert(name, value.to_owned());
        rest = after.trim_start_matches([',', ' ']);
    }
    fields
}
