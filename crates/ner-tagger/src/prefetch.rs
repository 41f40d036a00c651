//! Work for the device, made ready while it computes (prefetching), and shared among a processor's threads.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use rayon::ThreadPoolBuilder;

/// The items in their order, each made on a thread of its own while the one before it is used: one is ready, or being made, at a time.
/// Where fewer are taken than there are, the thread ends with the item that it is at.
///
/// In a worker of a rayon pool the items are made as they are taken: making them may need that pool, whose workers would wait for it here.
pub fn prefetch<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut items: impl Iterator<Item = T> + Send + 'scope,
) -> Box<dyn Iterator<Item = T> + Send + 'scope> {
    if rayon::current_thread_index().is_some() {
        return Box::new(items);
    }
    let (sender, receiver) = sync_channel(0);
    scope.spawn(move || items.try_for_each(|item| sender.send(item)));
    Box::new(receiver.into_iter())
}

/// The results of work on items that are [prefetched](prefetch), in the order in which they are done: `threads` items are worked on at a time, each on
/// one thread whatever rayon would give it. Threads that share nothing wait for nothing.
///
/// Where there are fewer items than threads, or in a worker of a rayon pool, one item is worked on after the other, here, with all of rayon's
/// threads.
pub fn spread<'scope, T: Send + 'scope, R: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    items: impl Iterator<Item = T> + Send + 'scope,
    threads: usize,
    work: impl Fn(T) -> R + Send + Sync + 'scope,
) -> Box<dyn Iterator<Item = R> + 'scope> {
    if threads < 2 || rayon::current_thread_index().is_some() {
        return Box::new(prefetch(scope, items).map(work));
    }
    let mut items = prefetch(scope, items);
    let first: Vec<T> = items.by_ref().take(threads).collect();
    if first.len() < threads {
        return Box::new(first.into_iter().map(work));
    }
    let items = Arc::new(Mutex::new(first.into_iter().chain(items)));
    let work = Arc::new(work);
    let (sender, receiver) = sync_channel(threads);
    for _ in 0..threads {
        let (items, work, sender) = (Arc::clone(&items), Arc::clone(&work), sender.clone());
        let next = move || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        let all = move || {
            while let Some(item) = next() {
                if sender.send(work(item)).is_err() {
                    break; // nobody wants more
                }
            }
        };
        scope.spawn(
            move || match ThreadPoolBuilder::new().num_threads(1).build() {
                Ok(pool) => pool.install(all),
                Err(_) => all(), // no thread to be had: rayon's global pool divides each item's work
            },
        );
    }
    Box::new(receiver.into_iter())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::thread;
    use std::time::Duration;

    use rayon::prelude::*;

    use super::*;

    #[test]
    fn the_next_item_is_made_while_one_is_used_and_no_other() {
        const SOON: Duration = Duration::from_secs(60);
        let (made, heard) = channel();
        let items = (0..4).inspect(move |item| made.send(*item).unwrap());
        thread::scope(|scope| {
            let mut items = prefetch(scope, items);
            assert_eq!(items.next(), Some(0));
            // Nothing else is asked for, and yet:
            assert_eq!(heard.recv_timeout(SOON), Ok(0));
            assert_eq!(heard.recv_timeout(SOON), Ok(1));
            let more = heard.recv_timeout(Duration::from_millis(50));
            assert_eq!(more, Err(RecvTimeoutError::Timeout));
            assert_eq!(items.next(), Some(1));
            assert_eq!(heard.recv_timeout(SOON), Ok(2));
            drop(items);
        });
        // The thread has ended before its last item.
        assert_eq!(heard.recv(), Err(std::sync::mpsc::RecvError));
    }

    #[test]
    fn all_workers_of_a_pool_can_wait_for_items_that_need_the_pool() {
        let sum = |_| -> usize {
            thread::scope(|scope| {
                let items = (0..9).map(|item| rayon::join(|| item, || item));
                prefetch(scope, items).map(|(a, b)| a + b).sum()
            })
        };
        let sums: Vec<usize> = (0..64).into_par_iter().map(sum).collect();
        assert_eq!(sums, vec![72; 64]);
    }

    #[test]
    fn all_items_come_in_order() {
        thread::scope(|scope| {
            let items: Vec<usize> = prefetch(scope, 0..1000).collect();
            assert_eq!(items, (0..1000).collect::<Vec<_>>());
        });
    }

    #[test]
    fn spread_items_are_all_done_at_once_by_one_thread_each() {
        use std::sync::Barrier;
        const THREADS: usize = 3;
        let together = Barrier::new(THREADS);
        let work = |item: usize| {
            if item < THREADS {
                together.wait(); // comes back only where so many are here
            }
            (item, rayon::current_num_threads())
        };
        let mut done: Vec<_> =
            thread::scope(|scope| spread(scope, 0..100, THREADS, work).collect());
        done.sort_unstable();
        let expected: Vec<_> = (0..100).map(|item| (item, 1)).collect();
        assert_eq!(done, expected);
    }

    #[test]
    fn few_items_have_all_of_rayon_and_none_is_lost() {
        let work = |item| (item, rayon::current_num_threads());
        let all = rayon::current_num_threads();
        for count in 0..3 {
            let done: Vec<_> = thread::scope(|scope| spread(scope, 0..count, 3, work).collect());
            let expected: Vec<_> = (0..count).map(|item| (item, all)).collect();
            assert_eq!(done, expected);
        }
    }

    #[test]
    fn spreading_ends_where_nobody_wants_more() {
        let taken: Vec<u64> =
            thread::scope(|scope| spread(scope, 0.., 2, |item| item).take(5).collect());
        assert_eq!(taken.len(), 5);
    }
}
