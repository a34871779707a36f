use super::*;

const PATH: &str = "/etc/ecs/ecs.config";
/// As AWS Batch's user data leaves it (aws/aws-cdk#9900).
const BATCH: &str = "ECS_CLUSTER=Env-ed59a8d07adb417_Batch_3ef677e8-a1c6-3936-9345-e383995e7827\nECS_DISABLE_IMAGE_CLEANUP=false\n\
                     ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=2m\nECS_RESERVED_MEMORY=32\nECS_AVAILABLE_LOGGING_DRIVERS=[\"json-file\",\"awslogs\"]\n";

/// A merge under way, so that each test says only what matters to it.
#[derive(Default)]
struct Case {
    layers: Vec<(&'static str, String)>,
    present: Option<String>,
    owned: BTreeSet<String>,
    keep: Vec<String>,
    replace: bool,
}

impl Case {
    fn layers(layers: &[&str]) -> Case {
        let names = ["first", "second", "third"];
        Case {
            layers: names.into_iter().zip(layers.iter().map(ToString::to_string)).collect(),
            ..Case::default()
        }
    }

    fn present(mut self, present: &str, owned: &[&str]) -> Case {
        self.present = Some(present.into());
        self.owned = owned.iter().map(ToString::to_string).collect();
        self
    }

    fn keep(mut self, key: &str) -> Case {
        self.keep.push(key.into());
        self
    }

    fn replace(mut self) -> Case {
        self.replace = true;
        self
    }

    fn merge(&self) -> Result<Merged, Error> {
        let layers: Vec<_> =
            self.layers.iter().map(|(name, text)| Layer { name, bytes: text.as_bytes() }).collect();
        let bytes = self.present.as_deref().unwrap_or_default().as_bytes();
        let Case { owned, keep, replace, .. } = self;
        merge(&layers, Present { path: PATH, bytes, owned, keep, replace: *replace })
    }

    #[track_caller]
    fn gives(&self, expected: &str) -> Merged {
        let merged = self.merge().unwrap();
        assert_eq!(text(&merged), expected);
        merged
    }

    #[track_caller]
    fn fails(&self, expected: &str) {
        assert_eq!(
            self.merge().map(|merged| text(&merged)).map_err(|error| error.to_string()),
            Err(expected.into())
        );
    }
}

fn text(merged: &Merged) -> String {
    String::from_utf8(merged.bytes.clone()).unwrap()
}

fn changes(merged: &Merged) -> Vec<String> {
    merged
        .changes
        .iter()
        .map(|change| format!("{}:{} {}", change.from, change.line, change.what))
        .collect()
}

fn origins(merged: &Merged) -> Vec<String> {
    merged
        .keys
        .iter()
        .map(|(key, origin)| format!("{key} {}:{}", origin.from, origin.line))
        .collect()
}

#[test]
fn single_layer_keeps_its_bytes() {
    let odd = "# A=old\n;x\n  K = \"v\" \nnonsense\n\n";
    Case::layers(&[odd]).gives(odd);
    Case::layers(&[odd]).present("K =old\n", &["K "]).gives(odd);
}

#[test]
fn single_layer_is_normalised_with_notes() {
    let merged = Case::layers(&["\u{feff}A=1\nB=2\r\n\r\nC=3"]).gives("A=1\nB=2\n\nC=3\n");
    assert_eq!(
        changes(&merged),
        [
            "first:1 byte order mark removed",
            "first:4 final newline added",
            "first:2 CRLF replaced by LF"
        ]
    );
    assert_eq!(origins(&merged), ["A first:1", "B first:2", "C first:4"]);
}

#[test]
fn later_layer_wins_and_keys_have_origins() {
    let merged = Case::layers(&["A=1\nB=1\n", "B=2\nC=2\n", "A=3\n"]).gives("B=2\nC=2\nA=3\n");
    assert_eq!(origins(&merged), ["A third:1", "B second:1", "C second:2"]);
    assert_eq!(merged.owned.len(), 3);
}

#[test]
fn comments_and_order_of_layers_stay() {
    Case::layers(&["# base\n\n# cluster\nA=1\nB=1\n", "# overlay\nA=2\n"])
        .gives("# base\n\n# cluster\n\nB=1\n# overlay\nA=2\n");
}

#[test]
fn comment_that_some_reader_would_set_is_left_out() {
    let merged = Case::layers(&["# A=old\n; B\n# ends \\\nA=1\n", "B=2\n"]).gives("A=1\nB=2\n");
    assert_eq!(changes(&merged).len(), 3);
    assert!(changes(&merged)[0].starts_with("first:1 a comment"));
}

#[test]
fn foreign_keys_stay_unless_a_layer_sets_them() {
    let case = Case::layers(&["A=1\n"]).present("# theirs\nX=9\n# about a\nA=9\n", &[]);
    let merged = case.gives("# theirs\nX=9\nA=1\n");
    assert_eq!(origins(&merged), ["A first:1", format!("X {PATH}:2").as_str()]);
    assert_eq!(merged.owned, BTreeSet::from(["A".into()]));
}

#[test]
fn own_key_that_no_layer_sets_is_removed() {
    Case::layers(&["A=1\n"]).present("X=9\nA=1\nB=2\n", &["A", "B"]).gives("X=9\nA=1\n");
    Case::layers(&["A=1\n"]).present("A=1\nB=2\n", &["A", "B"]).gives("A=1\n");
}

#[test]
fn kept_foreign_key_wins_over_layers() {
    let case = Case::layers(&["A=1\nB=1\n"]).present("A=9\n", &[]).keep("A").keep("B");
    let merged = case.gives("A=9\nB=1\n");
    assert_eq!(merged.owned, BTreeSet::from(["B".into()]));
}

#[test]
fn kept_own_key_may_change() {
    Case::layers(&["A=1\n"]).present("A=9\n", &["A"]).keep("A").gives("A=1\n");
}

#[test]
fn replace_drops_foreign_keys_except_kept() {
    Case::layers(&["A=1\n"]).present("X=9\nY=9\n", &[]).replace().gives("A=1\n");
    Case::layers(&["A=1\n"]).present("X=9\nY=9\n", &[]).replace().keep("Y").gives("Y=9\nA=1\n");
}

#[test]
fn key_appended_to_our_file_is_foreign() {
    let case = Case::layers(&["A=1\nB=1\n"]).present("A=1\nB=1\nA=appended\n", &["A", "B"]);
    case.gives("A=1\nB=1\n");
    case.keep("A").gives("A=appended\nB=1\n");
    Case::layers(&["B=1\n"])
        .present("A=1\nB=1\nA=appended\n", &["A", "B"])
        .gives("A=appended\nB=1\n");
}

#[test]
fn foreign_lines_that_set_nothing_are_left_out() {
    let merged = Case::layers(&["A=1\n"]).present("cat <<EOF\nX=9\nEOF\n", &[]).gives("X=9\nA=1\n");
    assert_eq!(
        changes(&merged),
        [
            format!("{PATH}:1 sets nothing and is not a comment: left out"),
            format!("{PATH}:3 sets nothing and is not a comment: left out")
        ]
    );
}

#[test]
fn layer_line_that_sets_nothing_is_an_error() {
    Case::layers(&["A=1\nhunter2\n", "B=1\n"]).fails("first, line 2: not KEY=VALUE");
}

#[test]
fn misread_line_is_an_error_without_its_value() {
    for (line, key, reader) in [
        ("K=\"hunter2\"", "K", "systemd"),
        ("K=hunter2\\", "K", "systemd"),
        ("K= hunter2", "K", "systemd"),
        ("K-K=hunter2", "K-K", "systemd"),
        ("K=hunter2\u{a0}", "K", "ecs-init"),
        ("K=hunter2\x07", "K", "systemd-219"),
        ("export K=hunter2", "`export K`", "systemd"),
    ] {
        Case::layers(&["A=1\n", &format!("\n{line}\n")])
            .fails(&format!("second, line 2: {reader} would not read {key} as it is written"));
        Case::layers(&["A=1\n"])
            .present(&format!("{line}\n"), &[])
            .fails(&format!("{PATH}, line 1: {reader} would not read {key} as it is written"));
    }
}

#[test]
fn white_space_around_lines_is_removed() {
    Case::layers(&["  A=1 \t\n", "\tB=2\r\n"]).gives("A=1\nB=2\n");
}

#[test]
fn cluster_of_batch_is_never_overwritten() {
    let case = || Case::layers(&["ECS_CLUSTER=mine\n", "ECS_LOGLEVEL=warn\n"]).present(BATCH, &[]);
    let conflict = format!(
        "{PATH}, line 1: AWS Batch generated this ECS_CLUSTER; first would make the host leave it"
    );
    case().fails(&conflict);
    case().replace().fails(&conflict);
    assert!(matches!(case().merge().unwrap_err(), Error::Conflict { .. }));
    case().keep("ECS_CLUSTER").gives(&format!("{BATCH}ECS_LOGLEVEL=warn\n"));
}

#[test]
fn cluster_that_batch_appended_is_recognised() {
    let present = format!("ECS_CLUSTER=mine\n{BATCH}");
    let case = || Case::layers(&["ECS_CLUSTER=mine\n"]).present(&present, &["ECS_CLUSTER"]);
    case().fails(&format!(
        "{PATH}, line 2: AWS Batch generated this ECS_CLUSTER; first would make the host leave it"
    ));
    case().keep("ECS_CLUSTER").gives(BATCH);
}

#[test]
fn cluster_of_batch_survives_replace() {
    Case::layers(&["A=1\n"])
        .present(BATCH, &[])
        .replace()
        .fails(&format!("{PATH}, line 1: AWS Batch generated this ECS_CLUSTER; --replace would make the host leave it"));
}

#[test]
fn layers_without_cluster_merge_with_batch() {
    Case::layers(&["A=1\n"]).present(BATCH, &[]).gives(&format!("{BATCH}A=1\n"));
    let cluster = BATCH.lines().next().unwrap();
    Case::layers(&[cluster]).present(BATCH, &[]).replace().gives(&format!("{cluster}\n"));
}

#[test]
fn is_batch_knows_generated_clusters() {
    assert!(is_batch(BATCH.as_bytes()));
    assert!(is_batch(b"ECS_CLUSTER=AWSBatch-env-1a6929d6-f62b-3d45-b3b5-31e7f64ae0da"));
    assert!(!is_batch(b"ECS_CLUSTER=AWSBatch-env\n"));
    assert!(!is_batch(b"ECS_CLUSTER=1a6929d6-f62b-3d45-b3b5-31e7f64ae0da\n"));
    assert!(!is_batch(format!("{BATCH}ECS_CLUSTER=mine\n").as_bytes()));
    assert!(!is_batch(b""));
}

#[test]
fn merging_twice_gives_the_same_bytes() {
    let mut case = Case::layers(&["# ours\nA=1\n\n# c\nB=1\n", "# end\n"])
        .present("# theirs\n\nX=1\n# A\nA=0\nY=1\n# tail\n", &["Z"]);
    let first = case.merge().unwrap();
    assert_eq!(text(&first), "# theirs\n\nX=1\nY=1\n# ours\nA=1\n\n# c\nB=1\n# end\n");
    (case.present, case.owned) = (Some(text(&first)), first.owned.clone());
    let second = case.merge().unwrap();
    assert_eq!((text(&second), second.owned), (text(&first), first.owned));
}
