use super::{Amount, Contents};

#[test]
fn nothing_is_no_amount() {
    assert_eq!(Contents::Nothing.amount(), Amount::default());
}
