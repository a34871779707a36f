//! The variables of the process.

use std::ffi::OsString;
use std::path::PathBuf;

use ecs_config::text::printable;

use super::Error;

/// Variables that this program reads, besides those whose names begin as in [`PREFIXES`].
const NAMES: [&str; 9] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
];
const PREFIXES: [&str; 2] = ["ECS_BOOTSTRAP_", "AWS_"];

/// Names and values, as the process got them.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    variables: Vec<(String, String)>,
    /// The name of a variable that we read and that is not UTF-8.
    not_utf8: Option<String>,
}

impl Environment {
    /// Of this process.
    pub(crate) fn of_process() -> Self {
        Environment::new(std::env::vars_os())
    }

    fn new(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Environment::default();
        for (name, value) in variables {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => environment.variables.push((name, value)),
                (name, _) => {
                    let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                    if is_read(&name) {
                        environment.not_utf8 = Some(printable(&name));
                    }
                }
            }
        }
        environment
    }

    /// A variable that we read must not be dropped because its bytes are not text: without
    /// ECS_BOOTSTRAP_EXPECT_ROLE nothing would be expected.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.not_utf8.clone().map_or(Ok(()), |name| Err(Error::NotUtf8(name)))
    }

    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value)
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }
}

fn is_read(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn environment(name: &[u8], value: &[u8]) -> Environment {
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Environment::new([(text(name), text(value))].into_iter())
    }

    #[test]
    fn a_variable_of_ours_that_is_not_utf8_is_refused() {
        let ours: [&[u8]; 4] =
            [b"ECS_BOOTSTRAP_EXPECT_ROLE", b"AWS_CA_BUNDLE", b"https_proxy", b"ECS_BOOTSTRAP_\xff"];
        for name in ours {
            let error = environment(name, b"true\xff").check().unwrap_err();
            assert!(error.to_string().contains("is not UTF-8"), "{error}");
        }
        assert_eq!(environment(b"LESSOPEN", b"\xff").check(), Ok(()));
        assert_eq!(environment(b"AWS_REGION", b"eu-west-1").check(), Ok(()));
    }
}
