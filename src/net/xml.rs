//! As much of XML as AWS's error documents need: they are flat.

/// The text of the first element of that name.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    let plain = [
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    Some(plain.iter().fold(text.trim().to_owned(), |text, (from, to)| text.replace(from, to)))
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_decodes_entities_once() {
        let xml = "<Error><Code> X </Code><Message>a &amp;lt; b &quot;c&quot;</Message><Empty></Empty></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("X"));
        assert_eq!(element(xml, "Message").as_deref(), Some("a &lt; b \"c\""));
        assert_eq!((element(xml, "Empty"), element(xml, "Region")), (None, None));
    }
}
