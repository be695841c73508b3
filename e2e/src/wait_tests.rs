use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use super::*;

fn deployment(generation: i64, conditions: &Value) -> Value {
    json!({"metadata": {"name": "d", "generation": generation}, "status": {"conditions": conditions}})
}

#[tokio::test]
async fn a_deadline_tells_what_was_seen_last() {
    let mut looks = 0;
    let error = until::<()>("a thing", Duration::from_millis(150), async || {
        looks += 1;
        Ok(Seen::NotYet(format!("look {looks}")))
    })
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), format!("a thing: not within 150ms\nlook {looks}"));
    assert!(looks > 1);
}

#[tokio::test]
async fn what_can_never_come_is_not_waited_for() {
    let error =
        until::<()>("a thing", Duration::from_secs(60), async || Ok(Seen::Never("why".into()))).await.unwrap_err();
    assert!(error.to_string().ends_with("why"), "{error}");
}

#[tokio::test]
async fn a_failed_look_is_looked_at_again() {
    let mut looks = 0;
    let seen = until("a thing", Duration::from_secs(5), async || {
        looks += 1;
        if looks == 1 {
            bail!("no connection");
        }
        Ok(Seen::Yes(looks))
    })
    .await
    .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn a_condition_of_an_older_generation_does_not_hold() {
    // A kind of Kubernetes' own, because its conditions have no observedGeneration: that does not hold either.
    let parse = |value: Value| serde_json::from_value::<Deployment>(value).unwrap();
    let without = parse(deployment(2, &json!([{"type": "Available", "status": "True"}])));
    assert!(condition(&without, "Available").is_some());
    assert!(!holds(&without, "Available"));
    let pod = |seen: i64| -> k8s_openapi::api::core::v1::Pod {
        let conditions = json!([{"type": "Ready", "status": "True", "observedGeneration": seen}]);
        serde_json::from_value(deployment(2, &conditions)).unwrap()
    };
    assert!(holds(&pod(2), "Ready"));
    assert!(!holds(&pod(1), "Ready"));
}
