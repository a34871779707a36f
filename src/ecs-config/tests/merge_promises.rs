//! What holds for all files: no reader fails, and what the merger renders reads the same to every
//! reader.

use std::collections::BTreeSet;

use ecs_config::expand::{expand, placeholders};
use ecs_config::merge::{Layer, Merged, Present, merge};
use ecs_config::readers::Reader;
use proptest::prelude::*;

/// Files near the edge: mostly assignments, with what upsets readers in between.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let clean = prop::sample::select(vec![
        "A=1\n",
        "B=2\n",
        "C={\"a\":\"b\"}\n",
        "D=x y\n",
        "E=\n",
        "# text\n",
        "\n",
        "  A=3 \n",
        "ECS_CLUSTER=c\n",
    ]);
    let odd = prop::sample::select(vec![
        "# K=old\n",
        "# ends \\\n",
        "; note\n",
        "F=v\r\n",
        "\u{feff}",
        "A=\u{e9}\n",
        "# \u{a0}\n",
        "G=1",
        "#",
    ]);
    let bad = prop::sample::select(vec![
        "K=\"v\"\n",
        "K = v\n",
        "K=a\\\n",
        "word\n",
        "K='\n",
        "K=\u{a0}\n",
        "K=\0\n",
        "=\n",
        "a-b=1\n",
        "K=\r",
    ]);
    let line =
        prop_oneof![12 => clean, 3 => odd, 1 => bad].prop_map(|text| text.as_bytes().to_vec());
    prop::collection::vec(
        prop_oneof![20 => line, 1 => prop::collection::vec(any::<u8>(), 0..8)],
        0..12,
    )
    .prop_map(|lines| lines.concat())
}

const PATH: &str = "/etc/ecs/ecs.config";

fn merged(
    layers: &[Vec<u8>],
    present: Option<(&[u8], &BTreeSet<String>)>,
    keep: &[String],
    replace: bool,
) -> Option<Merged> {
    let layers: Vec<_> = layers.iter().map(|bytes| Layer { name: "layer", bytes }).collect();
    let none = BTreeSet::new();
    let (bytes, owned) = present.unwrap_or((b"", &none));
    merge(&layers, Present { path: PATH, bytes, owned, keep, replace }).ok()
}

/// An empty layer besides makes the merger render, instead of passing one layer through.
fn rendered(file: &[u8]) -> Option<Merged> {
    merged(&[file.to_vec(), vec![]], None, &[], false)
}

fn assert_reads_the_same(bytes: &[u8]) {
    let maps = Reader::ALL.map(|reader| (reader.read(bytes), reader));
    for (reading, reader) in &maps {
        assert_eq!(reading.error, None, "{}", reader.name());
        assert_eq!(reading.map(), maps[0].0.map(), "{}", reader.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn readers_name_only_lines_of_the_file(bytes in prop_oneof![files(), prop::collection::vec(any::<u8>(), 0..200)]) {
        let lines = bytes.iter().filter(|&&c| c == b'\n').count() + 1;
        for reader in Reader::ALL {
            let reading = reader.read(&bytes);
            prop_assert!(reading.variables.iter().all(|set| (1..=lines).contains(&set.line)));
            prop_assert!(reading.dropped.iter().chain(&reading.error).all(|note| (1..=lines).contains(&note.line)));
        }
    }

    #[test]
    fn merged_file_reads_the_same_to_every_reader(
        layers in prop::collection::vec(files(), 2..4), present in files(), replace: bool, keep in prop::sample::subsequence(vec!["A", "E", "K"], 0..3),
    ) {
        let keep: Vec<String> = keep.into_iter().map(str::to_owned).collect();
        let owned = BTreeSet::from(["B".to_owned()]);
        if let Some(merged) = merged(&layers, Some((&present, &owned)), &keep, replace) {
            assert_reads_the_same(&merged.bytes);
            prop_assert!(merged.bytes.is_empty() || merged.bytes.ends_with(b"\n"));
            let again = self::merged(&layers, Some((&merged.bytes, &merged.owned)), &keep, replace).expect("our own file merges");
            prop_assert_eq!(again.bytes, merged.bytes, "running twice changes something");
            prop_assert_eq!(again.owned, merged.owned);
        }
    }

    #[test]
    fn merging_a_merged_file_changes_nothing(file in files()) {
        if let Some(first) = rendered(&file) {
            prop_assert_eq!(&rendered(&first.bytes).expect("our own file renders").bytes, &first.bytes);
            let whole: Vec<_> = Reader::ALL.iter().map(|reader| reader.read(&first.bytes).map().len()).collect();
            prop_assert!(whole.iter().all(|&count| count == first.keys.len()), "{:?} variables, {} keys", whole, first.keys.len());
        }
    }

    #[test]
    fn single_layer_merges_twice_to_the_same(file in files()) {
        let first = merged(std::slice::from_ref(&file), None, &[], false).expect("a single layer always merges");
        let again = merged(&[file], Some((&first.bytes, &first.owned)), &[], false);
        prop_assert_eq!(again, Some(first));
    }

    #[test]
    fn expand_keeps_lines_and_looks_up_what_was_listed(file in files(), value in "[a-z0-9-]{1,9}") {
        let file = [file, b"K=${region}-${tag:a b}\n".to_vec()].concat();
        let listed = placeholders(&file);
        let expanded = expand(&file, |asked| listed.contains(asked).then(|| value.clone()));
        if let Ok(expanded) = expanded {
            let lines = |bytes: &[u8]| bytes.iter().filter(|&&c| c == b'\n').count();
            prop_assert_eq!(lines(&expanded), lines(&file));
        }
    }
}
