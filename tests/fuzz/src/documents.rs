//! What parses documents of others: settings, instance metadata, registrations, credentials, errors of
//! AWS, answers of the kernel.

use ecs_bootstrap::testing;

/// Settings are refused in three lines, whatever is quoted in them.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match testing::settings_file(text) {
        Ok(names) => assert!(names.iter().all(|name| text.contains(name))),
        Err(why) => {
            assert_eq!(why.lines().count(), 3, "{why}");
            assert!(why.chars().all(|c| c == '\n' || !c.is_control()), "{why}");
        }
    }
}

/// What is taken from a document can go into a header, a host name or onto a screen.
pub fn documents(bytes: &[u8]) {
    for found in testing::documents(bytes).into_iter().flatten() {
        assert!(!found.is_empty() && !found.contains(char::is_control), "{found:?}");
    }
}

/// An element is a part of the document, without its entities.
pub fn aws_error(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for found in testing::aws_error(&text).into_iter().flatten() {
        assert!(!found.is_empty() && found.len() <= text.len(), "{found:?}");
    }
}

/// Each link takes a header in the dump.
pub fn netlink(bytes: &[u8]) {
    assert!(testing::count_links(bytes) * 16 <= bytes.len());
}
