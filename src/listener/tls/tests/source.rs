//! When what files hold is taken, refused and told, without files.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use super::super::SetupError;
use super::super::source::{InUse, Look, Patience, Source};

/// A file that can be read unless it is empty, used unless it says `broken`, and taken unless it says `worse`; and how often
/// something was made of it.
struct Scripted(Rc<RefCell<&'static str>>, Rc<Cell<u32>>);

impl Source for Scripted {
    type Contents = &'static str;
    type Product = &'static str;

    fn path(&self) -> PathBuf {
        PathBuf::from("scripted.pem")
    }

    fn read(&self) -> Result<&'static str, SetupError> {
        match *self.0.borrow() {
            "" => Err(SetupError::Tls(rustls::Error::FailedToGetCurrentTime)),
            text => Ok(text),
        }
    }

    fn make(&self, contents: &&'static str) -> Result<&'static str, SetupError> {
        self.1.set(self.1.get() + 1);
        match *contents {
            "broken" | "broken too" => Err(SetupError::Tls(rustls::Error::DecryptError)),
            text => Ok(text),
        }
    }

    fn objection(&self, new: &&'static str, _: &&'static str) -> Option<String> {
        (*new == "worse").then(|| "worse".to_owned())
    }
}

/// What is expected of a look: nothing, taken, or the beginning of what is told.
const NOTHING: &str = "";
const TAKEN: &str = "taken";
const BROKEN: &str = "TLS cannot be set up: cannot decrypt";
const GONE: &str = "TLS cannot be set up: failed to get";
const WORSE: &str = "worse";

#[test]
fn nothing_is_taken_or_told_before_it_was_found_twice() {
    let looks = [
        ("new", NOTHING, "old"),
        ("new", TAKEN, "new"),
        ("new", NOTHING, "new"),
        ("half", NOTHING, "new"),
        ("new", NOTHING, "new"),
        ("half", NOTHING, "new"),
        ("broken", NOTHING, "new"),
        ("broken", BROKEN, "new"),
        ("broken", NOTHING, "new"),
        ("broken too", NOTHING, "new"),
        ("broken", NOTHING, "new"),
        ("broken", BROKEN, "new"),
        ("new", NOTHING, "new"),
        ("broken", NOTHING, "new"),
        ("newer", NOTHING, "new"),
        ("newer", TAKEN, "newer"),
        ("", NOTHING, "newer"),
        ("", GONE, "newer"),
        ("", NOTHING, "newer"),
        ("worse", NOTHING, "newer"),
        ("worse", WORSE, "newer"),
        ("newest", NOTHING, "newer"),
        ("newest", TAKEN, "newest"),
    ];
    let file = Rc::new(RefCell::new("old"));
    let mut in_use =
        InUse::open(Scripted(Rc::clone(&file), Rc::default())).expect("it can be used");
    for (number, (text, expected, product)) in looks.into_iter().enumerate() {
        *file.borrow_mut() = text;
        let look = in_use.look(Patience::UntilFoundTwice);
        let as_expected = match &look {
            Look::Unchanged => expected == NOTHING,
            Look::Taken => expected == TAKEN,
            Look::Kept(reason) => !expected.is_empty() && reason.starts_with(expected),
        };
        assert!(as_expected, "look {number} at `{text}`: {look:?}");
        assert_eq!(*in_use.product(), product, "look {number} at `{text}`: what is in use");
    }
}

#[test]
fn an_operator_is_told_each_time_and_trouble_stays_until_the_file_is_good_again() {
    let file = Rc::new(RefCell::new("old"));
    let mut in_use =
        InUse::open(Scripted(Rc::clone(&file), Rc::default())).expect("it can be used");
    *file.borrow_mut() = "broken";
    in_use.look(Patience::UntilFoundTwice);
    assert_eq!(in_use.trouble(), None, "it may be half of what is being written");
    for time in 1..=2 {
        let look = in_use.look(Patience::None);
        assert!(
            matches!(&look, Look::Kept(reason) if reason.starts_with(BROKEN)),
            "{time}: {look:?}"
        );
    }
    assert_eq!(in_use.look(Patience::UntilFoundTwice), Look::Unchanged, "it was told");
    assert!(in_use.trouble().is_some_and(|reason| reason.starts_with(BROKEN)), "still broken");
    *file.borrow_mut() = "old";
    assert_eq!(in_use.look(Patience::None), Look::Unchanged, "what is in use is back");
    assert_eq!(in_use.trouble(), None, "and nothing is wrong");
    *file.borrow_mut() = "new";
    assert_eq!(in_use.look(Patience::None), Look::Taken, "the operator says that it is whole");
}

#[test]
fn files_that_cannot_be_used_do_not_open() {
    let file = Rc::new(RefCell::new("broken"));
    let error = InUse::open(Scripted(file, Rc::default())).err().expect("broken").to_string();
    assert!(error.starts_with(BROKEN), "{error}");
}

/// A large list of revoked certificates that is refused lies there for days, perhaps, and is looked at every two seconds.
#[test]
fn nothing_is_made_of_the_same_twice() {
    let (file, made) = (Rc::new(RefCell::new("old")), Rc::new(Cell::new(0)));
    let source = Scripted(Rc::clone(&file), Rc::clone(&made));
    let mut in_use = InUse::open(source).expect("it can be used");
    for (text, expected) in [("worse", 2), ("broken", 3), ("new", 4)] {
        file.replace(text);
        for _ in 0..5 {
            in_use.look(Patience::UntilFoundTwice);
        }
        assert_eq!(made.get(), expected, "once of {text:?}");
    }
    assert_eq!(*in_use.product(), "new", "the control: it was taken");
}
