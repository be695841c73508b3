use super::*;

fn entry(id: &str, result: &str) -> HistoryEntry {
    serde_json::from_value(serde_json::json!({"id": id, "to": 1, "result": result})).unwrap()
}

#[test]
fn what_is_recovered_pushes_no_upgrade_out() {
    let recovered = (0..10).map(|n| entry(&format!("recovery-{n}"), "Recovered"));
    let upgrades = ["3", "2", "1"].map(|id| entry(id, "Succeeded"));
    let mut history: Vec<HistoryEntry> = recovered.chain(upgrades).collect();
    cut(&mut history, 2);
    let ids: Vec<&str> = history.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["recovery-0", "recovery-1", "3", "2"], "the newest of each");
}
