use super::*;
use crate::error::Diagnostic;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn read(text: &str) -> Source {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn object_of(text: &str) -> Object {
    match read(text).location {
        Location::S3(object) => object,
        _ => panic!("{text} is not in S3"),
    }
}

fn refused(text: &str) -> (String, String) {
    let error = text.parse::<Source>().expect_err(text);
    assert!(!error.remedy().is_empty());
    (error.to_string(), error.remedy())
}

#[test]
fn every_key_can_be_written() {
    let table = [
        ("s3://bucket/ecs.config", "ecs.config"),
        ("s3://bucket/a/b/c", "a/b/c"),
        ("s3://bucket//leading", "/leading"),
        ("s3://bucket///", "//"),
        ("s3://bucket/a//b", "a//b"),
        ("s3://bucket/with space", "with space"),
        ("s3://bucket/with%20space", "with space"),
        ("s3://bucket/plus+plus", "plus+plus"),
        ("s3://bucket/100%25", "100%"),
        ("s3://bucket/%2520", "%20"),
        ("s3://bucket/a%23b", "a#b"),
        ("s3://bucket/what%3F", "what?"),
        ("s3://bucket/größe/设置", "größe/设置"),
        ("s3://bucket/gr%C3%B6%c3%9fe", "größe"),
        ("s3://bucket/folder%2F", "folder/"),
        ("s3://bucket/a&b=c;d:e@f", "a&b=c;d:e@f"),
        ("s3://bucket/...", "..."),
        ("s3://bucket/line%0Abreak", "line\nbreak"),
        ("arn:aws:s3:::bucket/a:b/c d", "a:b/c d"),
        ("arn:aws:s3:us-west-2:123456789012:accesspoint/mine/object/x/object/y", "x/object/y"),
    ];
    for (text, key) in table {
        if text.ends_with("///") {
            assert!(refused(text).0.contains("folder"));
            continue;
        }
        assert_eq!(object_of(text).key, key, "{text}");
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn bucket_of_2018_is_in_us_east_1() {
    for name in ["My_Bucket", "Logs.2017", "a_b"] {
        let object = object_of(&format!("s3://{name}/k"));
        assert!(object.bucket.is_legacy() && object.region.as_deref() == Some("us-east-1"));
    }
    assert!(!object_of("s3://my.bucket-1/k").bucket.is_legacy());
}

#[test]
fn options_and_digest_are_parsed() {
    let text = format!(
        "s3://my.bucket-1/k%3Fv?versionId=3/L4kqtJlcpXroDTDmJ+rmSpXd%26&region=eu-west-1&owner=123456789012#sha256={}",
        HEX.to_uppercase()
    );
    let source = read(&text);
    assert_eq!(source.sha256.as_deref(), Some(HEX));
    let wanted = Object {
        bucket: Bucket::Named { partition: None, name: "my.bucket-1".into() },
        key: "k?v".into(),
        version_id: Some("3/L4kqtJlcpXroDTDmJ+rmSpXd&".into()),
        region: Some("eu-west-1".into()),
        owner: Some("123456789012".into()),
    };
    assert_eq!(object_of(&text), wanted);
    assert_eq!(object_of("s3://bucket/k?versionId=null").version_id.as_deref(), Some("null"));
}

#[test]
fn arn_names_partition_and_access_point_region() {
    for partition in &crate::net::partition::PARTITIONS {
        let named = object_of(&format!("arn:{}:s3:::bucket/k", partition.name));
        assert_eq!(
            named.bucket,
            Bucket::Named { partition: Some(partition), name: "bucket".into() }
        );
        assert_eq!(named.region, None);

        let point = object_of(&format!(
            "arn:{}:s3:{}:123456789012:accesspoint/mine-1/object/a/k",
            partition.name, partition.home
        ));
        let (region, account, name) =
            (partition.home.to_owned(), "123456789012".to_owned(), "mine-1".to_owned());
        assert_eq!(point.region.as_deref(), Some(partition.home));
        assert_eq!(point.bucket, Bucket::AccessPoint { partition, region, account, name });
        assert_eq!(point.key, "a/k");
    }
    let same = "arn:aws:s3:us-west-2:123456789012:accesspoint/mine/object/k?region=us-west-2";
    assert_eq!(object_of(same).region.as_deref(), Some("us-west-2"));
    let of_cli = object_of("s3://arn:aws:s3:us-west-2:123456789012:accesspoint/mine/object/k");
    assert_eq!((of_cli.key.as_str(), of_cli.region.as_deref()), ("object/k", Some("us-west-2")));
    assert_eq!(object_of("s3://arn:aws:s3:::bucket/k"), object_of("arn:aws:s3:::bucket/k"));
}

#[test]
fn file_urls_are_decoded_and_plain_paths_are_not() {
    let digest = format!("/etc/a#sha256={HEX}");
    let table = [
        ("file:///etc/ecs%20a+b.config", "/etc/ecs a+b.config"),
        ("/etc/ecs%20a.config", "/etc/ecs%20a.config"),
        ("relative/ecs.config", "relative/ecs.config"),
        ("./a?b#c", "./a?b#c"),
        ("-", "-"),
        (&digest, "/etc/a"),
    ];
    for (text, path) in table {
        assert!(
            matches!(&read(text).location, Location::File(found) if found.as_os_str() == path),
            "{text}"
        );
    }
    assert_eq!(read(&digest).sha256.as_deref(), Some(HEX));
    assert_eq!(read(&format!("file:///a#sha256={HEX}")).sha256.as_deref(), Some(HEX));
}

#[test]
fn presigned_query_is_kept_and_never_shown() {
    let text = format!(
        "https://u:MARKER@bucket.s3.amazonaws.com:8443/k%20x?X-Amz-Signature=MARKER&versionId=7#sha256={HEX}"
    );
    let source = read(&text);
    let Location::Https(url) = &source.location else { panic!("{source}") };
    assert_eq!(url.query(), Some("X-Amz-Signature=MARKER&versionId=7"));
    assert_eq!(url.fragment(), None);
    assert_eq!(source.sha256.as_deref(), Some(HEX));
    assert_eq!(source.to_string(), "https://bucket.s3.amazonaws.com:8443/k%20x");
    assert_eq!(
        serde_json::to_string(&source).unwrap(),
        "\"https://bucket.s3.amazonaws.com:8443/k%20x\""
    );
    assert!(!format!("{source:?}").contains("MARKER"));
    for bad in [
        "https://u:MARKER@host/k?sig=MARKER#MARKER",
        "http://host.test/k?sig=MARKER",
        "https://?MARKER",
        "HTTPS://[x/?MARKER",
        "https://u:MARKER@[x/",
    ] {
        let (message, remedy) = refused(bad);
        assert!(!message.contains("MARKER") && !remedy.contains("MARKER"), "{message}");
    }
}

#[test]
fn plain_http_is_for_loopback_only() {
    for good in ["http://127.0.0.1:9000/k", "http://[::1]/k", "http://localhost/k?x=y"] {
        read(good);
    }
    for bad in ["http://host.test/k", "http://10.0.0.1/k", "http://127.0.0.1.evil.test/k"] {
        assert!(refused(bad).0.contains("plain http"), "{bad}");
    }
}

#[test]
fn parameters_and_secrets_have_versions_and_regions() {
    let arn = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a/b-AbCdEf";
    let table = [
        ("ssm:///a/b.c-d_e", "/a/b.c-d_e", None, None),
        ("ssm:///a?version=3&region=eu-west-1", "/a", Some(("version", "3")), Some("eu-west-1")),
        ("ssm:///a?label=blue", "/a", Some(("label", "blue")), None),
        ("secretsmanager://a/b+c=d@e", "a/b+c=d@e", None, None),
        ("secretsmanager://a?versionStage=X", "a", Some(("versionStage", "X")), None),
        (&*format!("secretsmanager://{arn}"), arn, None, Some("cn-north-1")),
    ];
    for (text, id, version, region) in table {
        let source = read(text);
        let secret = source.secret().unwrap();
        let version = version.map(|(name, value)| (name, value.to_owned()));
        assert_eq!((&*secret.id, &secret.version), (id, &version), "{text}");
        assert_eq!(secret.region.as_deref(), region, "{text}");
        assert!(source.needs_credentials() && source.to_string() == text);
    }
    let bad = [
        "ssm://a",
        "ssm:///a//b",
        "ssm:///a b",
        "ssm:///",
        "ssm:///a?version=x",
        "ssm:///a?version=1&label=b",
        "ssm:///a?versionId=1",
        "ssm:///a?region=EU",
        "secretsmanager://",
        "secretsmanager://a:b",
        "secretsmanager://a?version=1",
        "secretsmanager://arn:aws:ssm:eu-west-1:123456789012:secret:a",
        "secretsmanager://arn:aws:secretsmanager:eu-west-1:1:secret:a",
        "secretsmanager://arn:aws:secretsmanager:eu-west-1:123456789012:secret:a?region=us-east-1",
    ];
    for text in bad {
        refused(text);
    }
    let named = |length: usize| format!("secretsmanager://{}", "n".repeat(length));
    read(&named(519));
    assert!(refused(&named(520)).0.contains("512 characters"));
}

#[test]
fn invalid_source_is_refused_with_reason_and_remedy() {
    let long = format!("s3://bucket/{}", "k".repeat(1025));
    let wide = format!("s3://{}/k", "b".repeat(64));
    let table = [
        ("", "it is empty", "s3://BUCKET/KEY"),
        ("s3://bucket/a\nb", "control character", "%XX"),
        ("s4://bucket/k", "did you mean `s3`?", "s3://"),
        ("S3://bucket/k", "did you mean `s3`?", "s3://"),
        ("ftp://host/k", "`ftp` is not a kind of source", "s3://"),
        ("s3://bucket", "no key in it", "key"),
        ("s3://bucket/", "no key in it", "key"),
        ("s3://bucket/folder/", "names a folder", "%2F"),
        ("s3:///k", "it is empty", "console"),
        ("s3://Bucket!/k", "other characters", "lower-case"),
        ("arn:aws-cn:s3:::my_bucket/k", "us-east-1 only", "lower-case"),
        ("s3://my_bucket/k?region=eu-west-1", "must be us-east-1", "option"),
        ("s3://b--usw2-az1--x-s3/k", "S3 Express", "general purpose"),
        ("s3://ap-usw2-az1--xa-s3/k", "S3 Express", "general purpose"),
        ("s3://alias--op-s3/k", "Outposts", "general purpose"),
        ("s3://arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/k", "Outposts", "general"),
        ("s3://arn:aws:s3::123456789012:accesspoint/m.mrap/k", "multi-region", "arn:"),
        ("arn:aws:s3::123456789012:accesspoint/m.mrap/k", "multi-region", "arn:"),
        ("s3://alias--ol-s3/k", "Object Lambda", "general purpose"),
        ("s3://m.mrap/k", "multi-region", "general purpose"),
        ("arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/bucket/b", "Outposts", "general"),
        ("arn:aws:s3express:us-west-2:123456789012:bucket/b", "S3 Express", "general purpose"),
        ("s3://my%20bucket/k", "only keys are decoded", "lower-case"),
        ("s3://bücket/k", "other characters", "lower-case"),
        ("s3://bu/k", "3 to 63", "lower-case"),
        (&wide, "3 to 63", "lower-case"),
        ("s3://-bucket/k", "begin and end", "lower-case"),
        ("s3://bu..cket/k", "two dots", "lower-case"),
        ("s3://192.168.0.1/k", "looks like an address", "lower-case"),
        (&long, "1025 bytes", "copy"),
        ("s3://bucket/a/../b", "`..`", "copy"),
        ("s3://bucket/%2e%2E/b", "`..`", "copy"),
        ("s3://bucket/100%", "unlike the AWS CLI", "%25"),
        ("s3://bucket/%zz", "`%zz`", "%25"),
        ("s3://bucket/%2", "`%2`", "%25"),
        ("s3://bucket/%é", "`%é`", "%25"),
        ("s3://bucket/%FF", "not UTF-8", "UTF-8"),
        ("s3://bucket/k?versionID=1", "did you mean `versionId`?", "%3F"),
        ("s3://bucket/k?", "`` is not an option", "%3F"),
        ("s3://bucket/k?versionId=", "a version's id", "leave it out"),
        ("s3://bucket/k?region=US", "a region", "leave it out"),
        ("s3://bucket/k?owner=12345", "12 digits", "leave it out"),
        ("s3://bucket/k?region=us-west-2&region=us-west-2", "given twice", "leave it out"),
        ("s3://bucket/k#frag", "not a digest", "%23"),
        ("s3://bucket/k#sha256=abc", "64 hexadecimal digits", "sha256sum"),
        ("/etc/ecs.config#sha256=abc", "64 hexadecimal digits", "sha256sum"),
        ("arn:aws:s3:::bucket", "no key in it", "key"),
        ("arn:aws:s3", "too few parts", "arn:"),
        ("arn:aws:sqs:::bucket/k", "not `s3`", "arn:"),
        ("arn:aws-us-gv:s3:::bucket/k", "did you mean", "arn:"),
        ("arn:aws:s3::123456789012:accesspoint/m.mrap/object/k", "multi-region", "arn:"),
        ("arn:aws:s3:us-west-2:1:accesspoint/mine/object/k", "12 digits", "arn:"),
        ("arn:aws:s3:us-west-2:123456789012:accesspoint/mine", "no key in it", "key"),
        (
            "arn:aws:s3:us-west-2:123456789012:accesspoint/Mine/object/k",
            "access point's name",
            "arn:",
        ),
        ("arn:aws:s3:us-west-2:123456789012:bucket/k", "not `accesspoint", "arn:"),
        (
            "arn:aws:s3:us-west-2:123456789012:accesspoint/mine/object/k?region=eu-west-1",
            "the region of the ARN",
            "leave it out",
        ),
        ("file://etc/ecs.config", "a host", "three slashes"),
        ("file:///etc/ecs.config?region=eu-west-1", "no options", "%3F"),
        ("https://", "not a URL", "s3://"),
    ];
    for (text, why, how) in table {
        let (message, remedy) = refused(text);
        assert!(message.contains(why), "{text}: {message}");
        assert!(remedy.contains(how), "{text}: {remedy}");
    }
}
