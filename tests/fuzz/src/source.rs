//! The grammar of sources.

use ecs_bootstrap::testing;

/// What the grammar takes prints as one line that it takes again, unless it hides the query of a
/// presigned URL; nothing prints that query.
pub fn source(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match testing::source(text) {
        Ok((shown, needs_credentials)) => {
            assert!(!shown.is_empty() && !shown.contains(char::is_control));
            let again = testing::source(&shown).expect("what is shown is a source");
            assert_eq!(again, (shown.clone(), needs_credentials));
            assert!(
                !text.starts_with("https://") || !shown.contains(['?', '#']),
                "a query is shown"
            );
        }
        Err((message, remedy)) => assert!(!message.contains('\n') && !remedy.is_empty()),
    }
}
