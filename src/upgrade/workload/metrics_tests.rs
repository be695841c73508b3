use rstest::rstest;

use super::*;

const PROM: (&str, &str) = ("metrics.reporter.prom.factory.class", PROMETHEUS);

#[rstest]
#[case::none(&[], None)]
#[case::by_default(&[PROM], Some(9249))]
#[case::given(&[PROM, ("metrics.reporter.prom.port", "9999")], Some(9999))]
#[case::a_range(&[PROM, ("metrics.reporter.prom.port", "9250-9260")], Some(9250))]
#[case::of_another(&[PROM, ("metrics.reporter.jmx.port", "8789")], Some(9249))]
#[case::any_free_one(&[PROM, ("metrics.reporter.prom.port", "0")], None)]
#[case::no_port(&[PROM, ("metrics.reporter.prom.port", "many")], None)]
#[case::named(&[PROM, ("metrics.reporters", "jmx, prom")], Some(9249))]
#[case::named_in_a_list(&[PROM, ("metrics.reporters", r#"["jmx","prom"]"#)], Some(9249))]
#[case::not_named(&[PROM, ("metrics.reporters", "jmx,prometheus")], None)]
#[case::pushed(
    &[("metrics.reporter.push.factory.class", "org.apache.flink.metrics.prometheus.PrometheusPushGatewayReporterFactory")],
    None
)]
fn a_reporter_has_a_port(#[case] entries: &[(&str, &str)], #[case] expected: Option<u16>) {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    assert_eq!(port(&entries), expected);
}
