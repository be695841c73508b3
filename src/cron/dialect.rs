//! The cron dialect of `CronJob` (github.com/robfig/cron, version 3), put into plain lists of numbers, of which all dialects
//! think the same.

use std::collections::BTreeSet;

/// A field: its name, its smallest and largest value, and the names of its values from the smallest on.
struct Field(&'static str, u32, u32, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    Field("minute", 0, 59, &[]),
    Field("hour", 0, 23, &[]),
    Field("day of month", 1, 31, &[]),
    Field("month", 1, 12, &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]),
    Field("day of week", 0, 6, &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
];

/// Five fields of numbers, separated by commas, or `*`.
///
/// # Errors
/// What is wrong with the expression.
pub fn plain(expression: &str) -> Result<String, String> {
    let expression = match expression.trim() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other if other.starts_with('@') => return Err(format!("there is no {other}")),
        other => other,
    };
    let given: Vec<&str> = expression.split_whitespace().collect();
    if given.len() != FIELDS.len() {
        return Err(format!("it has {} fields instead of 5", given.len()));
    }
    let plain: Result<Vec<String>, String> = given.iter().zip(&FIELDS).map(|(text, field)| field.plain(text)).collect();
    Ok(plain?.join(" "))
}

impl Field {
    fn plain(&self, text: &str) -> Result<String, String> {
        let (mut values, mut every) = (BTreeSet::new(), false);
        for part in text.split(',') {
            let (from, to, step) = self.range(part)?;
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            // Only of such a one the other day field alone decides.
            every |= part.starts_with(['*', '?']) && step == 1;
            values.extend((from..=to).step_by(step));
        }
        if every {
            return Ok("*".to_owned());
        }
        Ok(values.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
    }

    /// From, to, and step.
    fn range(&self, part: &str) -> Result<(u32, u32, u32), String> {
        let Self(name, min, max, _) = *self;
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (min, max),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            // With a step it goes on to the end.
            None => (self.value(range)?, if step.is_some() { max } else { self.value(range)? }),
        };
        if from > to {
            return Err(format!("{name}: {range:?} ends before it begins"));
        }
        let step = step.map_or(Some(1), number).filter(|step| *step > 0);
        step.map(|step| (from, to, step)).ok_or_else(|| format!("{name}: {part:?} has no step above 0"))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let Self(name, min, max, names) = *self;
        let position = names.iter().position(|known| known.eq_ignore_ascii_case(text));
        let by_name = position.and_then(|at| u32::try_from(at).ok()).map(|at| at + min);
        let value = by_name.or_else(|| number(text)).filter(|value| (min..=max).contains(value));
        value.ok_or_else(|| format!("{name}: {text:?} is not within {min} and {max}"))
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
#[path = "dialect_tests.rs"]
mod tests;
