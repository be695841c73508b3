use serde_json::json;

use super::*;

fn event(user: &str, code: i64, message: &str) -> String {
    json!({
        "kind": "Event", "verb": "list", "requestURI": "/api/v1/secrets?limit=1", "user": {"username": user},
        "objectRef": {"resource": "secrets"}, "responseStatus": {"code": code, "message": message}
    })
    .to_string()
}

#[test]
fn only_what_the_operator_may_not_have_is_reported() {
    let operator = "system:serviceaccount:flink-savepoint-operator:manager";
    let lines = [
        event(operator, 200, ""),
        event(operator, 403, "secrets is forbidden"),
        event(operator, 403, "unable to create new content in namespace x because it is being terminated"),
        event(operator, 409, "conflict"),
        event("system:serviceaccount:default:default", 403, "pods is forbidden"),
        event("admin", 403, operator),
    ];
    let mut audit = Audit::default();
    audit.add(&lines.join("\n")).unwrap();
    assert_eq!(audit.requests, 4);
    assert_eq!(audit.forbidden, ["list secrets /api/v1/secrets?limit=1: secrets is forbidden"]);
}
