use std::sync::Arc;

use super::super::queue::{End, LineOf, Queue, Turn, Waiting, Wish};

/// Even numbers are choosy.
impl Wish for u32 {
    fn line(&self) -> LineOf {
        // From a hundred on they want the worker of their hundred.
        (*self >= 100).then(|| (self / 100).to_string().into())
    }

    fn is_choosy(&self) -> bool {
        self.is_multiple_of(2)
    }
}

impl Wish for () {
    fn line(&self) -> LineOf {
        None
    }

    fn is_choosy(&self) -> bool {
        false
    }
}

type Numbers = Queue<u32, u32>;

/// Serves `slots` answers: each waiter gets its own wish back.
fn serve(queue: &Numbers, mut slots: usize) {
    queue.serve_all(|&wish| {
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

#[tokio::test]
async fn who_enters_at_the_front_comes_after_those_who_did_before() {
    let queue = Numbers::new(0);
    let mut first = queue.enter(1, End::Front).expect("let in");
    let mut second = queue.enter(3, End::Front).expect("let in");
    serve(&queue, 1);
    assert_eq!(first.answer().await, Some(1), "the one that has waited longer");
    serve(&queue, 1);
    assert_eq!(second.answer().await, Some(3), "then the other");
}

#[tokio::test]
async fn those_who_want_one_worker_have_a_line_of_their_own() {
    let queue = Numbers::new(9);
    let own: Vec<_> = [101, 103].map(|n| queue.enter(n, End::Back).expect("a place")).into();
    let mut other = queue.enter(201, End::Back).expect("a place");
    let mut any = queue.enter(1, End::Back).expect("a place");
    let mut asked = Vec::new();
    queue.serve_all(|&wish| {
        asked.push(wish);
        if wish == 1 { Turn::Serve(wish) } else { Turn::Skip }
    });
    assert_eq!(asked, [101, 201, 1], "one of each line, in the order in which they came");
    assert_eq!(any.answer().await, Some(1), "nobody stands in its way");
    asked.clear();
    queue.serve_at(Some(&"2".into()), |&wish| {
        asked.push(wish);
        Turn::Serve(wish)
    });
    assert_eq!(asked, [201], "what is free at one worker is nothing to those who want another");
    assert_eq!(other.answer().await, Some(201), "its own");
    assert_eq!(queue.len(), own.len(), "they still wait");
}

#[test]
fn those_who_want_one_worker_leave_some_places_to_the_others() {
    let queue = Numbers::new(4);
    let own: Vec<_> = (0..3).filter_map(|_| queue.enter(101, End::Back)).collect();
    assert_eq!(own.len(), 3, "three of four");
    assert!(queue.enter(101, End::Back).is_none(), "the fourth is not for them");
    let _other = queue.enter(1, End::Back).expect("but for one who takes any worker");
    assert!(queue.enter(1, End::Back).is_none(), "and then it is full");
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
    queue.serve_all(|&wish| if wish == 1 { Turn::Serve(10) } else { Turn::Skip });
    assert_eq!(line[1].answer().await, Some(10), "the one that it suits");
    assert!(!is_answered(&mut line[0]).await && !is_answered(&mut line[2]).await, "only that one");
    line[2].amend(|wish| *wish = 5);
    queue.serve_all(|&wish| if wish == 5 { Turn::Serve(50) } else { Turn::Skip });
    assert_eq!(line[2].answer().await, Some(50), "it wished for something else then");
}

#[test]
fn an_answer_that_nobody_took_is_dropped_with_its_waiter() {
    let queue: Queue<(), Arc<()>> = Queue::new(1);
    let answer = Arc::new(());
    let waiting = queue.enter((), End::Back).expect("a place");
    queue.serve_all(|()| Turn::Serve(Arc::clone(&answer)));
    drop(waiting);
    assert_eq!(Arc::strong_count(&answer), 1, "given back");
}
