use rstest::rstest;

use super::*;

#[rstest]
#[case::plain("0 3 * * 1-5", "0 3 * * 1,2,3,4,5")]
#[case::from_a_number_on("40/5 * * * *", "40,45,50,55 * * * *")]
#[case::steps("*/15 8-10/2 * * *", "0,15,30,45 8,10 * * *")]
#[case::a_step_of_one_is_every("0 3 */1 * 1", "0 3 * * 1")]
#[case::a_step_is_not("0 3 */10 * 1", "0 3 1,11,21,31 * 1")]
#[case::question_marks("? ? ? ? ?", "* * * * *")]
#[case::names("0 0 * jan-MAR Sun,sat", "0 0 * 1,2,3 0,6")]
#[case::lists("0,30 2,14 1,15 * *", "0,30 2,14 1,15 * *")]
#[case::blanks("  0   3 * * * ", "0 3 * * *")]
#[case::weekly("@weekly", "0 0 * * 0")]
#[case::yearly("@annually", "0 0 1 1 *")]
fn fields_are_put_into_numbers(#[case] expression: &str, #[case] expected: &str) {
    assert_eq!(plain(expression).as_deref(), Ok(expected));
}

#[rstest]
#[case::sunday("0 0 * * 7", "day of week: \"7\" is not within 0 and 6")]
#[case::over_the_end("0 0 * * SAT-SUN", "day of week: \"SAT-SUN\" ends before it begins")]
#[case::last("0 0 L * *", "day of month: \"L\" is not within 1 and 31")]
#[case::workday("0 0 15W * *", "day of month: \"15W\" is not within 1 and 31")]
#[case::nth("0 0 * * 1#2", "day of week: \"1#2\" is not within 0 and 6")]
#[case::a_name_elsewhere("MON 4 * * *", "minute: \"MON\" is not within 0 and 59")]
#[case::signed("+5 4 * * *", "minute: \"+5\" is not within 0 and 59")]
#[case::no_step("*/0 * * * *", "minute: \"*/0\" has no step above 0")]
#[case::nothing("1, * * * *", "minute: \"\" is not within 0 and 59")]
#[case::hour("0 24 * * *", "hour: \"24\" is not within 0 and 23")]
#[case::day_zero("0 0 0 * *", "day of month: \"0\" is not within 1 and 31")]
#[case::seconds("0 0 3 * * *", "it has 6 fields instead of 5")]
#[case::every("@every 1h", "there is no @every 1h")]
fn what_cron_job_refuses_is_refused(#[case] expression: &str, #[case] expected: &str) {
    assert_eq!(plain(expression).unwrap_err(), expected);
}
