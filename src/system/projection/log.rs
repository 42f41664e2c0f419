//! The event log as a dump has it.

use std::fmt;
use std::str::FromStr;

use projection::event::Event;

/// An event and its place in the log: `POSITION RESOURCE@SEQUENCE JSON`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the log.
    pub position: u64,
    /// The event.
    pub event: Event,
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stored { position, event } = self;
        let json = serde_json::to_string(event).expect("an event is plain data");
        write!(f, "{position} {} {json}", event.position)
    }
}

impl FromStr for Stored {
    type Err = String;
    fn from_str(line: &str) -> Result<Stored, String> {
        let mut words = line.splitn(3, ' ');
        let (Some(position), Some(place), Some(json)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("{line:?} has no three words"));
        };
        let position = position.parse().map_err(|error| format!("{position:?}: {error}"))?;
        let event: Event = serde_json::from_str(json).map_err(|error| format!("{json}: {error}"))?;
        if event.position.to_string() != place {
            return Err(format!("the event at {place} says that it is at {}", event.position));
        }
        Ok(Stored { position, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_as_it_was_written() {
        let json = r#"{"id":"e","type":"job.started","timestamp":"t","resourceId":"r1","userId":"u","version":1,"payload":{"jobId":"j","jobType":"t"},"metadata":{"sequenceNumber":3}}"#;
        let line = format!("7 r1@3 {json}");
        let stored: Stored = line.parse().expect("it is one");
        assert_eq!((stored.position, stored.event.position.sequence), (7, 3));
        assert_eq!(stored.to_string(), line);
        assert!(line.replacen("r1@3", "r1@4", 1).parse::<Stored>().unwrap_err().contains("says that it is at r1@3"));
        assert!("7 r1@3".parse::<Stored>().is_err());
    }
}
