//! The helper program that tells a job's operators: its answer is the name of a plan.

use serde_json::{Value, json};

use super::settings::{JobScript, Main};

/// Its class.
pub(super) const CLASS: &str = "dev.savepoints.helper.Preflight";

/// The operators of which the recorded snapshots have something, with their uids.
const OPERATORS: [(&str, &str); 5] = [
    ("5900d2cb0a81c830ac5f9c198a565783", "numbers-source"),
    ("0da08f51eaa85fc298e176a139b3649a", "counter"),
    ("3983d6bb2f0a45b638461bc99138f22f", "buffer"),
    ("8eeed16b661251f13cfc6a3c5e75c420", "totals"),
    ("2e588ce1c86a9d46e2e85186773ce4fd", "sink"),
];

/// What it says of the job in the jar that its first argument names.
pub(super) fn answer(jars: &[(String, JobScript)], args: &[String]) -> String {
    let jar = args.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let failure = |kind: &str, message: &str| json!({"failure": {"kind": kind, "message": message}});
    let Some((_, script)) = jars.iter().find(|(name, _)| name == jar) else {
        return failure("MainFailed", "JAR file does not exist").to_string();
    };
    let lacks = script.vertices.last().filter(|_| script.main == Main::LacksOperator);
    let has = |id: &str| lacks.is_none_or(|lacks| lacks.id != id);
    let operators = OPERATORS.iter().filter(|(id, _)| has(id));
    match &script.main {
        Main::Throws(message) => failure("MainFailed", &format!("java.lang.IllegalArgumentException: {message}")),
        Main::Hangs(message) => failure("TimedOut", message),
        Main::Works | Main::LacksOperator => {
            let operators = operators
                .map(|(id, uid)| json!({"id": id, "uid": uid, "name": uid, "parallelism": 2, "generated": false}));
            json!({"operators": operators.collect::<Value>()})
        }
    }
    .to_string()
}
