//! Places and those who wait for one.

use super::*;

#[tokio::test]
async fn calls_past_the_places_wait_and_past_the_queue_are_turned_away() {
    let limits = generous()
        .with(limits::CONCURRENCY, 1)
        .and_then(|limits| limits.with(limits::QUEUE, 1))
        .and_then(|limits| limits.with(limits::CPU_PURE_MS, 50))
        .unwrap();
    let plugin = plugin("evil", "", limits).await;
    // The first takes the place at its first poll and keeps it for its CPU budget, the second
    // waits, the third is one too many. `join!` polls them in this order.
    let (first, second, third) = tokio::join!(
        biased;
        plugin.call(in_room("evil:loop")),
        plugin.call(in_room("evil:nothing")),
        plugin.call(in_room("evil:nothing")),
    );
    assert_eq!(first, Err(Fault::CpuExceeded { limit_ms: 50 }));
    one_draft(second);
    assert_eq!(third, Err(Fault::Unavailable));
    assert_eq!(plugin.waiting(), 0);
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_its_place_back() {
    let limits = generous().with(limits::CONCURRENCY, 1).unwrap();
    let plugin = plugin("evil", "", limits).await;
    {
        let mut running = std::pin::pin!(plugin.call(in_room("evil:loop")));
        let polled = futures_poll_once(running.as_mut()).await;
        assert!(polled.is_none(), "a loop has no result after one poll");
    }
    one_draft(plugin.call(in_room("evil:nothing")).await);
}

async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_call_that_never_got_a_place_does_not_blame_the_plugin() {
    let limits = generous()
        .with(limits::CONCURRENCY, 1)
        .and_then(|limits| limits.with(limits::WALL_PURE_MS, 40))
        .unwrap();
    let plugin = plugin("evil", "", limits).await;
    let (first, second) = tokio::join!(
        biased;
        plugin.call(in_room("evil:loop")),
        async {
            let waiting = plugin.call(in_room("evil:loop"));
            fn is_send<T: Send>(future: T) -> T {
                future
            }
            is_send(waiting).await
        },
    );
    assert_eq!(first, Err(Fault::DeadlineExceeded { limit_ms: 40 }));
    // Whether the second got the place in its last moment is up to the timer; if it did, it ran out
    // of time.
    assert!(
        matches!(second, Err(Fault::Unavailable | Fault::DeadlineExceeded { .. })),
        "{second:?}"
    );
}
