//! Work for the device, made ready while it computes.

use std::sync::mpsc::sync_channel;
use std::thread::Scope;

/// The items in their order, each made on a thread of its own while the one before it is used: one is ready, or being made, at a time.
/// Where fewer are taken than there are, the thread ends with the item that it is at.
///
/// In a worker of a rayon pool the items are made as they are taken: making them may need that pool, whose workers would wait for it here.
pub fn ahead<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut items: impl Iterator<Item = T> + Send + 'scope,
) -> Box<dyn Iterator<Item = T> + 'scope> {
    if rayon::current_thread_index().is_some() {
        return Box::new(items);
    }
    let (sender, receiver) = sync_channel(0);
    scope.spawn(move || items.try_for_each(|item| sender.send(item)));
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
            let mut items = ahead(scope, items);
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
                ahead(scope, items).map(|(a, b)| a + b).sum()
            })
        };
        let sums: Vec<usize> = (0..64).into_par_iter().map(sum).collect();
        assert_eq!(sums, vec![72; 64]);
    }

    #[test]
    fn all_items_come_in_order() {
        thread::scope(|scope| {
            let items: Vec<usize> = ahead(scope, 0..1000).collect();
            assert_eq!(items, (0..1000).collect::<Vec<_>>());
        });
    }
}
