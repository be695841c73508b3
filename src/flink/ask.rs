//! Asking a JobManager until it has an answer that counts.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks again, `every` so long, until an answer is `enough` or `moment` is over; at least once. The last answer. For
/// moments in which a job is down and nothing else that a pass reads changes.
pub async fn ask_until<A, F: Future<Output = A>>(
    moment: Duration,
    every: Duration,
    mut ask: impl FnMut() -> F,
    enough: impl Fn(&A) -> bool,
) -> A {
    let end = Instant::now() + moment;
    loop {
        let answer = ask().await;
        if enough(&answer) || Instant::now() >= end {
            return answer;
        }
        sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn counted(moment: u64, enough: u32) -> u32 {
        let mut asked = 0;
        let ask = || {
            asked += 1;
            std::future::ready(asked)
        };
        ask_until(Duration::from_millis(moment), Duration::from_millis(10), ask, |n| *n >= enough).await
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_answer_or_the_moment() {
        assert_eq!(counted(0, 9).await, 1, "without a moment it is asked once");
        assert_eq!(counted(1000, 3).await, 3, "the first answer that is enough ends it");
        assert_eq!(counted(35, 99).await, 5, "at 0, 10, 20, 30 and 40 ms");
    }
}
