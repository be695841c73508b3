use rstest::rstest;

use super::OperatorId;

/// Ids that Flink's `StreamGraphHasherV2` gave.
#[rstest]
#[case("", "00000000000000000000000000000000")]
#[case("a", "897859f6655555855a890e51483ab5e6")]
#[case("counter", "0da08f51eaa85fc298e176a139b3649a")]
#[case("buffer", "3983d6bb2f0a45b638461bc99138f22f")]
#[case("numbers-source", "5900d2cb0a81c830ac5f9c198a565783")]
#[case("totals", "8eeed16b661251f13cfc6a3c5e75c420")]
#[case("sink", "2e588ce1c86a9d46e2e85186773ce4fd")]
#[case("finite-counter", "ca3610338adb590fdce2a572f993a37c")]
#[case("my-operator-uid-longer-than-sixteen-bytes", "11ea2ca7948d305d881b9b43560be6a4")]
#[case("ünïcødé", "b92da0c39d21748bc902596153d46d0a")]
fn a_uid_gives_flinks_id(#[case] uid: &str, #[case] id: &str) {
    assert_eq!(OperatorId::of_uid(uid).to_string(), id);
    assert_eq!(id.parse(), Ok(OperatorId::of_uid(uid)));
    assert_eq!(id.to_uppercase().parse(), Ok(OperatorId::of_uid(uid)));
}

#[rstest]
#[case("counter")]
#[case("")]
#[case("+da08f51eaa85fc298e176a139b3649a")]
#[case("0da08f51eaa85fc298e176a139b3649")]
#[case("0da08f51eaa85fc298e176a139b3649aa")]
#[case("0da08f51eaa85fc298e176a139b3649g")]
fn other_text_is_no_id(#[case] text: &str) {
    let error = text.parse::<OperatorId>().unwrap_err();
    assert!(error.to_string().contains("32 hexadecimal digits"), "{error}");
}

#[test]
fn json_has_the_digits() {
    let id = OperatorId::of_uid("counter");
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(json, "\"0da08f51eaa85fc298e176a139b3649a\"");
    assert_eq!(serde_json::from_str::<OperatorId>(&json).unwrap(), id);
    assert!(serde_json::from_str::<OperatorId>("\"counter\"").is_err());
}
