//! What may go wrong at a call.

use fakes::faults::Fault;

/// In virtual time, on one thread.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// Whether a call changes nothing.
pub fn is_read(call: &str) -> bool {
    let reads = ["GET ", "LIST", "HEAD ", "flink GET", "store GET", "store LIST", "store HEAD"];
    reads.iter().any(|read| call.starts_with(read))
}

/// What may go wrong at a call, and for how many seconds the operator is down then: shortly, and longer than Flink keeps
/// the results of triggers. What a read does not find out it does not find out in any of three ways; and to die after it
/// is to die before the next call.
pub fn faults_at(at: usize, call: &str) -> Vec<(Fault, u64)> {
    if is_read(call) {
        let long = at.is_multiple_of(3).then_some((Fault::CrashBefore, 600));
        return [(Fault::CrashBefore, 1), (Fault::Refused, 0)].into_iter().chain(long).collect();
    }
    let crashes =
        [(Fault::CrashBefore, 1), (Fault::CrashBefore, 600), (Fault::CrashAfter, 1), (Fault::CrashAfter, 600)];
    crashes.into_iter().chain([(Fault::Refused, 0), (Fault::AnswerLost, 0)]).collect()
}
