//! What parses documents of others: settings, instance metadata, registrations, credentials, answers of
//! AWS and of the kernel, packets, user data.

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

/// What is taken from an answer fits on one line of a screen; a region and an ARN go into requests.
pub fn aws_error(bytes: &[u8]) {
    let (words, region) = testing::s3_answer(bytes);
    assert!(is_one_line(&words), "{words:?}");
    assert!(region.is_none_or(|region| region.bytes().all(|c| c.is_ascii_graphic())));
    let (parts, caller) = testing::answer(bytes);
    assert!(parts.iter().all(|part| is_one_line(part)), "{parts:?}");
    if let Some((account, arn)) = caller {
        assert!(account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit()), "{account}");
        assert!(arn.starts_with("arn:") && arn.bytes().all(|c| c.is_ascii_graphic()), "{arn:?}");
    }
}

/// A code, a message and a request's id have 300 characters each, at most.
fn is_one_line(text: &str) -> bool {
    text.chars().count() <= 1000 && !text.contains(|c: char| c.is_control() || c == '\u{2028}')
}

/// Each link, neighbour and rule takes a header in the dump. A rule is removed as it was read.
pub fn netlink(bytes: &[u8]) {
    assert!(testing::count_links(bytes).iter().all(|count| count * 16 <= bytes.len()));
    let (rules, read_back) = testing::count_routing_rules(bytes);
    assert!(rules * 16 <= bytes.len());
    assert_eq!(rules, read_back, "a rule is not read as it is encoded");
}

/// Each table, chain and rule takes a header in the dump, and each recorded packet four bytes.
pub fn nftables(bytes: &[u8]) {
    let [tables, chains, rules, packets] = testing::count_nftables(bytes);
    assert!((tables + chains + rules) * 16 + packets * 4 <= bytes.len());
}

/// A packet has a whole IP header and the beginning of a TCP header.
pub fn packet(bytes: &[u8]) {
    assert!(!testing::is_packet(bytes) || bytes.len() >= 28);
}

/// The line is one of the document.
pub fn user_data(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let line = testing::waiting_line(&text);
    assert!(line.is_none_or(|line| (1..=text.lines().count()).contains(&line)), "{line:?}");
}
