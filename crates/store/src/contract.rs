//! What every backend, and every wrapper around one, must do.
//!
//! A new backend is ready when `check` passes for it.

use crate::backend::{Backend, BackendError, BackendExt, Decided, Key, LIST_PAGE_MAX, Put};

/// Runs the whole suite on an empty backend and leaves it empty.
///
/// # Panics
/// On the first broken promise, naming it.
pub fn check(backend: &dyn Backend) {
    absence_is_an_answer(backend);
    a_put_creates_once_and_never_overwrites(backend);
    ranges_are_exact(backend);
    listings_are_sorted_by_key_and_complete(backend);
    a_page_is_bounded_and_continues(backend);
    deleting_is_repeatable(backend);
    one_of_many_creators_wins(backend);
    a_put_is_decided(backend);
    assert_eq!(names(backend, ""), Vec::<String>::new(), "the suite cleans up");
}

fn key(name: &str) -> Key {
    Key::new(name).expect("the suite uses valid names")
}

fn ok<T>(answer: Result<T, BackendError>) -> T {
    answer.unwrap_or_else(|error| panic!("{error}"))
}

fn names(backend: &dyn Backend, prefix: &str) -> Vec<String> {
    ok(backend.list_all(prefix)).iter().map(|entry| entry.key.to_string()).collect()
}

fn create(backend: &dyn Backend, name: &str, body: &[u8]) {
    assert_eq!(ok(backend.put_new(&key(name), &[body])), Put::Created, "{name} is new");
}

fn clear(backend: &dyn Backend) {
    for entry in ok(backend.list_all("")) {
        ok(backend.delete(&entry.key));
    }
}

fn absence_is_an_answer(backend: &dyn Backend) {
    for absent in ["absent", "absent/below", "a/b/c/d"] {
        let absent = key(absent);
        assert_eq!(ok(backend.get(&absent)), None);
        assert_eq!(ok(backend.get_range(&absent, 0, &mut [0; 4])), None);
        assert_eq!(ok(backend.size(&absent)), None);
    }
    assert_eq!(names(backend, "absent/"), Vec::<String>::new());
}

fn a_put_creates_once_and_never_overwrites(backend: &dyn Backend) {
    let name = key("t/put.me");
    assert_eq!(ok(backend.put_new(&name, &[b"one ", b"", b"two"])), Put::Created);
    assert_eq!(ok(backend.put_new(&name, &[b"other"])), Put::Existed);
    assert_eq!(ok(backend.get(&name)).as_deref(), Some(&b"one two"[..]));
    assert_eq!(ok(backend.size(&name)), Some(7));
    create(backend, "t/empty", b"");
    assert_eq!(ok(backend.get(&key("t/empty"))), Some(Vec::new()));
    clear(backend);
}

fn ranges_are_exact(backend: &dyn Backend) {
    create(backend, "range", b"0123456789");
    let name = key("range");
    let read = |offset, length: usize| {
        let mut into = vec![b'x'; length];
        backend.get_range(&name, offset, &mut into).map(|found| found.map(|()| into))
    };
    for (offset, length, expected) in [(0, 10, "0123456789"), (3, 4, "3456"), (10, 0, "")] {
        assert_eq!(ok(read(offset, length)), Some(expected.as_bytes().to_vec()));
    }
    for (offset, length) in [(0, 11), (9, 2), (10, 1), (u64::MAX, 1)] {
        let answer = read(offset, length);
        assert!(answer.is_err(), "{offset}+{length} is beyond the end: {answer:?}");
    }
    clear(backend);
}

fn listings_are_sorted_by_key_and_complete(backend: &dyn Backend) {
    // `-` and `.` sort before `/`, digits and letters after it.
    let sorted = ["a-b", "a.b", "a/b", "a/b.c", "a0", "b/c-d/e", "b/c/d", "b/c0", "c"];
    for name in sorted.iter().rev() {
        create(backend, name, name.as_bytes());
    }
    assert_eq!(names(backend, ""), sorted);
    for entry in ok(backend.list_all("")) {
        assert_eq!(entry.size_bytes, entry.key.as_str().len() as u64);
    }
    for (prefix, expected) in [
        ("a", &sorted[..5]),
        ("a/", &sorted[2..4]),
        ("a/b.", &sorted[3..4]),
        ("b/c", &sorted[5..8]),
        ("b/c/", &sorted[6..7]),
        ("d", &[]),
    ] {
        assert_eq!(names(backend, prefix), expected, "prefix {prefix}");
    }
    for after in ["a", "a-b", "a.z", "a/", "a/b", "a0", "b/c/d", "b/d", "c", "zz"] {
        let Ok(after) = Key::new(after) else { continue };
        let page = ok(backend.list("", Some(&after)));
        let found: Vec<&str> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
        let expected: Vec<&str> =
            sorted.into_iter().filter(|name| *name > after.as_str()).collect();
        assert_eq!(found, expected, "after {after}");
        assert!(page.is_last);
    }
    clear(backend);
}

fn a_page_is_bounded_and_continues(backend: &dyn Backend) {
    let total = LIST_PAGE_MAX + 2;
    for number in 0..total {
        create(backend, &format!("page/{:02}/{number:05}", number % 7), b"");
    }
    let first = ok(backend.list("page/", None));
    assert_eq!(first.entries.len(), LIST_PAGE_MAX);
    assert!(!first.is_last);
    let last = first.entries.last().map(|entry| &entry.key);
    let second = ok(backend.list("page/", last));
    assert_eq!(second.entries.len(), 2);
    assert!(second.is_last);
    assert_eq!(names(backend, "page/").len(), total);
    clear(backend);
}

fn deleting_is_repeatable(backend: &dyn Backend) {
    create(backend, "d/gone", b"x");
    create(backend, "d/kept", b"x");
    for _ in 0..2 {
        ok(backend.delete(&key("d/gone")));
        assert_eq!(ok(backend.get(&key("d/gone"))), None);
    }
    ok(backend.delete(&key("never/was/there")));
    assert_eq!(names(backend, ""), ["d/kept"]);
    create(backend, "d/gone", b"again");
    assert_eq!(ok(backend.get(&key("d/gone"))).as_deref(), Some(&b"again"[..]));
    clear(backend);
}

fn one_of_many_creators_wins(backend: &dyn Backend) {
    const CREATORS: u8 = 16;
    let name = key("race/deep/er");
    let answers: Vec<(u8, Put)> = std::thread::scope(|scope| {
        let put = |body: u8| ok(backend.put_new(&name, &[&[body; 1000]]));
        let threads: Vec<_> =
            (0..CREATORS).map(|body| scope.spawn(move || (body, put(body)))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    assert_eq!(answers.len(), usize::from(CREATORS));
    let winners: Vec<u8> =
        answers.iter().filter(|(_, put)| *put == Put::Created).map(|(body, _)| *body).collect();
    let [winner] = winners[..] else { panic!("{} creators won", winners.len()) };
    assert_eq!(ok(backend.get(&name)), Some(vec![winner; 1000]));
    clear(backend);
}

fn a_put_is_decided(backend: &dyn Backend) {
    let name = key("decided");
    assert_eq!(ok(backend.put_decided(&name, &[b"o", b"urs"])), Decided::Ours);
    assert_eq!(ok(backend.put_decided(&name, &[b"ours"])), Decided::Ours);
    assert_eq!(ok(backend.put_decided(&name, &[b"our"])), Decided::Other(b"ours".to_vec()));
    assert_eq!(ok(backend.put_decided(&name, &[b"ours!"])), Decided::Other(b"ours".to_vec()));
    clear(backend);
}
