use super::super::queue::{End, Queue, Turn, Waiting, Wish};

/// Even numbers are choosy.
impl Wish for u32 {
    fn is_choosy(&self) -> bool {
        self.is_multiple_of(2)
    }
}

impl Wish for () {
    fn is_choosy(&self) -> bool {
        false
    }
}

type Numbers = Queue<u32, u32>;

/// Serves `slots` answers: each waiter gets its own wish back.
fn serve(queue: &Numbers, mut slots: usize) {
    queue.serve(|&wish| {
        if slots == 0 {
            return Turn::Stop;
        }
        slots -= 1;
        Turn::Serve(wish)
    });
}

async fn is_answered(waiting: &mut Waiting<'_, u32, u32>) -> bool {
    tokio::select! {
        biased;
        answer = waiting.answer() => answer.is_some(),
        () = std::future::ready(()) => false,
    }
}

#[tokio::test]
async fn the_first_in_line_is_served_first_and_nobody_else() {
    let queue = Numbers::new(3);
    let mut line: Vec<_> = (0..3).map(|n| queue.enter(n, End::Back).expect("a place")).collect();
    assert!(queue.enter(3, End::Back).is_none(), "no place is left");
    for turn in 0..3 {
        serve(&queue, 1);
        assert_eq!(line[turn].answer().await, Some(turn as u32), "its own");
        for later in &mut line[turn + 1..] {
            assert!(!is_answered(later).await, "one answer, one waiter");
        }
    }
    assert!(queue.is_empty(), "all are out of line before they are dropped");
}

#[tokio::test]
async fn who_was_served_before_comes_first_and_is_always_let_in() {
    let queue = Numbers::new(1);
    let _behind = queue.enter(1, End::Back).expect("a place");
    let mut first = queue.enter(2, End::Front).expect("let in");
    assert_eq!(queue.len(), 2, "one more than there are places");
    serve(&queue, 1);
    assert_eq!(first.answer().await, Some(2), "before the other");
}

#[test]
fn who_leaves_frees_its_place_at_once() {
    let queue = Numbers::new(1);
    let waiting = queue.enter(1, End::Back).expect("a place");
    assert!(queue.enter(2, End::Back).is_none(), "taken");
    drop(waiting);
    assert!(queue.is_empty(), "out of line");
    assert!(queue.enter(2, End::Back).is_some(), "free again");
}

#[test]
fn only_those_who_want_what_all_want_bar_the_way() {
    let queue = Numbers::new(3);
    let choosy = queue.enter(2, End::Back).expect("a place");
    assert!(
        !queue.is_barred() && !queue.is_empty(),
        "who waits for something of its own is passed"
    );
    let ordinary = queue.enter(1, End::Back).expect("a place");
    assert!(queue.is_barred(), "the other is not");
    drop(ordinary);
    assert!(!queue.is_barred(), "nor when it has left");
    choosy.amend(|wish| *wish = 3);
    assert!(queue.is_barred(), "it takes anything now");
    serve(&queue, 1);
    assert!(!queue.is_barred() && queue.is_empty(), "and was served");
}

#[tokio::test]
async fn what_suits_nobody_at_the_front_goes_to_one_behind() {
    let queue = Numbers::new(3);
    let mut line: Vec<_> = (0..3).map(|n| queue.enter(n, End::Back).expect("a place")).collect();
    queue.serve(|&wish| if wish == 1 { Turn::Serve(10) } else { Turn::Skip });
    assert_eq!(line[1].answer().await, Some(10), "the one that it suits");
    assert!(!is_answered(&mut line[0]).await && !is_answered(&mut line[2]).await, "only that one");
    line[2].amend(|wish| *wish = 5);
    queue.serve(|&wish| if wish == 5 { Turn::Serve(50) } else { Turn::Skip });
    assert_eq!(line[2].answer().await, Some(50), "it wished for something else then");
}

#[test]
fn an_answer_that_nobody_took_is_dropped_with_its_waiter() {
    let queue: Queue<(), std::sync::Arc<()>> = Queue::new(1);
    let answer = std::sync::Arc::new(());
    let waiting = queue.enter((), End::Back).expect("a place");
    queue.serve(|()| Turn::Serve(std::sync::Arc::clone(&answer)));
    drop(waiting);
    assert_eq!(std::sync::Arc::strong_count(&answer), 1, "given back");
}
