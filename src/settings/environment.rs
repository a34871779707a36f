//! The variables of the process.

/// Names and values, as the process got them.
#[derive(Debug)]
pub(crate) struct Environment(Vec<(String, String)>);

impl Environment {
    /// Of this process. Variables that are not UTF-8 are left out.
    pub(crate) fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(std::env::vars_os().filter_map(utf8).collect())
    }

    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value)
    }

    /// One that is set and not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}
